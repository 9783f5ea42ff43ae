//! Evidence over time, in a bounded number of points however long it took.
//!
//! Looks are taken at evenly spaced ticks. When there are too many, each second one goes and the
//! looks that follow are twice as far apart.

use scorer_sdk::Verdict;
use std::collections::{BTreeMap, HashMap};

/// Most points of one line.
pub const MAX_POINTS: usize = 500;
/// Most destinations that are followed.
const MAX_DESTINATIONS: usize = 256;
/// Most pairs of route and category of one destination that are followed.
const MAX_PAIRS: usize = 24;
/// Evidence, in nats, from which on a pair is followed.
const WORTH_FOLLOWING: f64 = 0.5;

/// What was seen of one candidate at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Seconds since the Unix epoch.
    pub at: f64,
    /// Evidence over all routes and categories, in nats.
    pub evidence: f64,
    /// Evidence that is enough, in nats.
    pub threshold: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// A pair of route and category over time.
#[derive(Debug, Clone, PartialEq)]
pub struct PairTrack {
    /// The route's label.
    pub route: String,
    /// The category.
    pub category: String,
    /// Seconds since the Unix epoch and evidence in nats.
    pub points: Vec<[f64; 2]>,
    /// The largest evidence that was seen.
    pub peak: f64,
}

/// One candidate of a destination over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    /// The candidate.
    pub candidate: String,
    /// What was seen, in the order of time.
    pub looks: Vec<Look>,
    pairs: HashMap<(String, String), PairTrack>,
}

/// All destinations over time.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    tracks: BTreeMap<String, Track>,
    ticks: u64,
    /// A look is taken each 2^this ticks.
    sparseness: u32,
    at: f64,
}

impl Timeline {
    /// Begins a tick, `at` seconds since the Unix epoch. Says whether this tick is looked at; if not,
    /// nothing should be added.
    pub fn begin(&mut self, at: f64) -> bool {
        let looked_at = self.ticks.is_multiple_of(1 << self.sparseness.min(63));
        self.ticks += 1;
        if looked_at {
            self.begin_last(at);
        }
        looked_at
    }

    /// As [`Timeline::begin`], for the last tick, which is always looked at.
    pub fn begin_last(&mut self, at: f64) {
        self.at = at;
        if self
            .tracks
            .values()
            .any(|track| track.looks.len() >= MAX_POINTS)
        {
            self.sparseness += 1;
            for track in self.tracks.values_mut() {
                halve(&mut track.looks);
                track
                    .pairs
                    .values_mut()
                    .for_each(|pair| halve(&mut pair.points));
            }
        }
    }

    /// Adds what is thought of a candidate. Another candidate of the same destination begins anew.
    pub fn add(
        &mut self,
        destination: &str,
        candidate: &str,
        evidence: f64,
        threshold: f64,
        verdict: Verdict,
    ) {
        if candidate.is_empty() {
            return;
        }
        if !self.tracks.contains_key(destination) {
            if self.tracks.len() >= MAX_DESTINATIONS {
                return;
            }
            self.tracks.insert(destination.to_owned(), Track::default());
        }
        let Some(track) = self.tracks.get_mut(destination) else {
            return;
        };
        if track.candidate != candidate {
            *track = Track {
                candidate: candidate.to_owned(),
                ..Track::default()
            };
        }
        // The last tick may be looked at twice.
        track.looks.retain(|look| look.at < self.at);
        track.looks.push(Look {
            at: self.at,
            evidence,
            threshold,
            verdict,
        });
    }

    /// Adds the evidence of a pair, in nats. Only those that ever spoke against the candidate are
    /// followed, and when there are too many, the strongest.
    pub fn add_pair(&mut self, destination: &str, route: &str, category: &str, evidence: f64) {
        let Some(track) = self.tracks.get_mut(destination) else {
            return;
        };
        let key = (route.to_owned(), category.to_owned());
        if !track.pairs.contains_key(&key) {
            if evidence < WORTH_FOLLOWING {
                return;
            }
            if track.pairs.len() >= MAX_PAIRS {
                let quietest = track
                    .pairs
                    .iter()
                    .min_by(|one, other| one.1.peak.total_cmp(&other.1.peak))
                    .map(|(key, pair)| (key.clone(), pair.peak));
                match quietest {
                    Some((quietest, peak)) if peak < evidence => track.pairs.remove(&quietest),
                    _ => return,
                };
            }
        }
        let pair = track.pairs.entry(key).or_insert_with(|| PairTrack {
            route: route.to_owned(),
            category: category.to_owned(),
            points: Vec::new(),
            peak: evidence,
        });
        pair.points.retain(|point| point[0] < self.at);
        pair.points.push([self.at, evidence]);
        pair.peak = pair.peak.max(evidence);
    }

    /// The destination's last candidate.
    #[must_use]
    pub fn track(&self, destination: &str) -> Option<&Track> {
        self.tracks.get(destination)
    }

    /// The destinations by name, with their last candidates.
    pub fn tracks(&self) -> impl Iterator<Item = (&str, &Track)> {
        self.tracks
            .iter()
            .map(|(name, track)| (name.as_str(), track))
    }
}

impl Track {
    /// The pairs that were followed, the strongest first.
    #[must_use]
    pub fn strongest(&self) -> Vec<&PairTrack> {
        let mut pairs: Vec<&PairTrack> = self.pairs.values().collect();
        pairs.sort_by(|one, other| {
            let names = (&one.route, &one.category).cmp(&(&other.route, &other.category));
            other.peak.total_cmp(&one.peak).then(names)
        });
        pairs
    }
}

/// Drops each second item, never the first.
fn halve<T>(items: &mut Vec<T>) {
    let mut index = 0_usize;
    items.retain(|_| {
        index += 1;
        !index.is_multiple_of(2)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(timeline: &mut Timeline, at: u32, candidate: &str) {
        timeline.add("shop", candidate, f64::from(at), 4.6, Verdict::Learning);
    }

    #[test]
    fn points_are_bounded_and_span_the_whole_time() {
        let mut timeline = Timeline::default();
        for tick in 0..100_000 {
            if timeline.begin(f64::from(tick)) {
                look(&mut timeline, tick, "v2");
                timeline.add_pair("shop", "GET /", "error", 1.0);
            }
        }
        timeline.begin_last(99_999.0);
        look(&mut timeline, 99_999, "v2");
        let track = timeline.track("shop").unwrap();
        assert!((MAX_POINTS / 2 - 1..=MAX_POINTS).contains(&track.looks.len()));
        assert!(track.strongest()[0].points.len() <= MAX_POINTS);
        assert_eq!(track.looks[0].at, 0.0);
        assert_eq!(track.looks.last().unwrap().at, 99_999.0);
        assert!(track.looks.is_sorted_by(|one, other| one.at < other.at));
    }

    #[test]
    fn another_candidate_begins_anew() {
        let mut timeline = Timeline::default();
        for (at, candidate) in [(1, "v2"), (2, "v2"), (3, ""), (4, "v3")] {
            timeline.begin(f64::from(at));
            look(&mut timeline, at, candidate);
        }
        let track = timeline.track("shop").unwrap();
        assert_eq!((track.candidate.as_str(), track.looks.len()), ("v3", 1));
    }

    #[test]
    fn of_many_pairs_the_strongest_are_followed() {
        let mut timeline = Timeline::default();
        timeline.begin(1.0);
        look(&mut timeline, 1, "v2");
        for number in 0..1_000 {
            timeline.add_pair(
                "shop",
                &format!("GET /{number}"),
                "error",
                f64::from(number),
            );
        }
        let track = timeline.track("shop").unwrap();
        let strongest = track.strongest();
        assert_eq!(strongest.len(), MAX_PAIRS);
        assert_eq!(strongest[0].route, "GET /999");
    }
}
