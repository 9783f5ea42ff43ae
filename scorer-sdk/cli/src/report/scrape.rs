//! A live proxy, looked at each second through its metrics.

use super::timeline::Timeline;
use crate::fetch::{Fetcher, split};
use crate::fleet_evidence;
use crate::metrics_text::{self, Sample, admin_path};
use crate::samples::{candidates, value, verdict_on};
use anyhow::{Result, anyhow, bail};
use scorer_sdk::telemetry::{self, Metric, label};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Looks that may fail one after the other.
const MAX_FAILURES: u32 = 30;
/// Points of one counter.
const MAX_POINTS: usize = 500;
/// Counters that are followed.
const MAX_COUNTERS: usize = 4_096;

/// Counts of one version of a destination, by category; the empty category has all exchanges.
pub type Key = (String, String, String);

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The evidence over time.
    pub timeline: Timeline,
    /// Per destination, version and category: seconds since the Unix epoch and the count.
    pub counters: BTreeMap<Key, Vec<[f64; 2]>>,
    /// The last page's samples.
    pub last: Vec<Sample>,
    /// Looks that were taken.
    pub looks: u64,
    /// Looks that failed, and why the last one did.
    pub failures: u64,
    /// Why the last failure was.
    pub failure: String,
    /// Seconds since the Unix epoch of the first look and the last.
    pub span: (f64, f64),
}

/// Looks at a proxy, with `fetcher`, for some time. `progress` hears how much of it has passed.
///
/// # Errors
/// When the first look fails, or many in a row do, or there is no metric of Serin.
pub fn watch(
    fetcher: &Fetcher,
    url: &str,
    time: Duration,
    progress: &mut dyn FnMut(Duration),
) -> Result<Seen> {
    let url = address(url)?;
    let mut seen = Seen::default();
    let begun = Instant::now();
    // One reading of the wall clock: it may be set while the proxy is looked at.
    let begun_at = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64());
    let mut in_a_row = 0;
    loop {
        let elapsed = begun.elapsed();
        progress(elapsed.min(time));
        match look(fetcher, &url) {
            Ok(samples) => {
                in_a_row = 0;
                seen.add(begun_at + begun.elapsed().as_secs_f64(), samples);
            }
            Err(error) if seen.looks == 0 => return Err(error),
            Err(error) => {
                in_a_row += 1;
                seen.failures += 1;
                seen.failure = format!("{error:#}");
                if in_a_row >= MAX_FAILURES {
                    // What was seen until then is still worth a page.
                    break;
                }
            }
        }
        let next = EVERY.saturating_sub(begun.elapsed().saturating_sub(elapsed));
        if begun.elapsed() + next > time {
            break;
        }
        std::thread::sleep(next);
    }
    Ok(seen)
}

/// The URL that is asked.
fn address(url: &str) -> Result<String> {
    Ok(match split(url)? {
        (base, "") => format!("{base}{}", admin_path()),
        _ => url.to_owned(),
    })
}

fn look(fetcher: &Fetcher, url: &str) -> Result<Vec<Sample>> {
    let hint = "is the proxy's admin address right, and forwarded if it is in a cluster?";
    let page = fetcher
        .get(url)
        .map_err(|error| anyhow!("{error:#}; {hint}"))?;
    if page.status != 200 {
        bail!("{url} answers with {}; {hint}", page.status);
    }
    let samples = metrics_text::parse(&page.body).map_err(|problem| anyhow!("{url} {problem}"))?;
    if samples.is_empty() {
        bail!(
            "{url} shows no metric of Serin: is the filter in this proxy, and has it had traffic?"
        );
    }
    Ok(samples)
}

impl Seen {
    fn add(&mut self, at: f64, samples: Vec<Sample>) {
        if self.looks == 0 {
            self.span.0 = at;
        }
        self.span.1 = at;
        self.looks += 1;
        if self.timeline.begin(at) {
            for (destination, candidate) in candidates(&samples) {
                let value = |metric: &Metric| value(&samples, metric, destination, candidate);
                self.timeline.add(
                    destination,
                    candidate,
                    value(&telemetry::ROLLOUT_EVIDENCE) / 1e3,
                    value(&telemetry::ROLLOUT_THRESHOLD) / 1e3,
                    verdict_on(&samples, destination, candidate),
                );
                for ((route, category), evidence) in
                    fleet_evidence::of_pairs(&samples, destination, candidate)
                {
                    self.timeline
                        .add_pair(destination, route, category, evidence);
                }
            }
        }
        for (key, count) in counts(&samples) {
            if !self.counters.contains_key(&key) && self.counters.len() >= MAX_COUNTERS {
                continue;
            }
            let points = self.counters.entry(key).or_default();
            if points.len() >= MAX_POINTS {
                // Counters lose nothing when each second point goes.
                let mut index = 0_usize;
                points.retain(|_| {
                    index += 1;
                    !index.is_multiple_of(2)
                });
            }
            points.push([at, count]);
        }
        self.last = samples;
    }
}

/// Counts by destination, version and category, over all routes.
fn counts(samples: &[Sample]) -> BTreeMap<Key, f64> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        let counted = [telemetry::EXCHANGES.name, telemetry::CATEGORY.name];
        if !counted.contains(&sample.metric.as_str()) {
            continue;
        }
        let key = [label::DESTINATION, label::VERSION, label::CATEGORY]
            .map(|label| sample.label(label).to_owned());
        let [destination, version, category] = key;
        *counts
            .entry((destination, version, category))
            .or_insert(0.0) += sample.value;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::Verdict;

    fn page(threshold_of_v2: f64, exchanges: f64) -> Vec<Sample> {
        metrics_text::parse(&format!(
            "serin_rollout_threshold{{destination=\"shop\",version=\"old\"}} 0\n\
             serin_rollout_threshold{{destination=\"shop\",version=\"v2\"}} {threshold_of_v2}\n\
             serin_rollout_evidence{{destination=\"shop\",version=\"v2\"}} 2500\n\
             serin_verdict{{destination=\"shop\",version=\"v2\"}} 2\n\
             serin_evidence_for{{destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"error\"}} 3000\n\
             serin_evidence_against{{destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"error\"}} 0\n\
             serin_evidence_for{{destination=\"shop\",route=\"GET /\",version=\"old\",category=\"error\"}} 9000\n\
             serin_exchanges_total{{destination=\"shop\",route=\"a\",version=\"v2\"}} {exchanges}\n\
             serin_exchanges_total{{destination=\"shop\",route=\"b\",version=\"v2\"}} 1\n"
        ))
        .unwrap()
    }

    #[test]
    fn a_replaced_candidate_does_not_speak() {
        let mut seen = Seen::default();
        seen.add(10.0, page(4_605.0, 10.0));
        let track = seen.timeline.track("shop").unwrap();
        assert_eq!(track.candidate, "v2");
        let look = track.looks[0];
        assert_eq!((look.evidence, look.threshold), (2.5, 4.605));
        assert_eq!(look.verdict, Verdict::Suspect);
        assert_eq!(track.strongest()[0].points, [[10.0, 3.0]]);
    }

    #[test]
    fn a_pair_with_only_one_of_its_two_gauges_is_left_out() {
        let labels = |category| {
            format!("destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"{category}\"")
        };
        let more = metrics_text::parse(&format!(
            "serin_evidence_for{{{}}} 8000\nserin_evidence_against{{{}}} 9000\n\
             serin_evidence_for{{{}}} -4000\nserin_evidence_against{{{}}} 1000\n",
            labels("slow"),
            labels("size"),
            labels("refused"),
            labels("refused"),
        ))
        .unwrap();
        let mut samples = page(4_605.0, 10.0);
        samples.extend(more);
        let found: Vec<_> = fleet_evidence::of_pairs(&samples, "shop", "v2")
            .into_iter()
            .collect();
        assert_eq!(
            found,
            [(("GET /", "error"), 3.0), (("GET /", "refused"), -1.0)]
        );
        let mut seen = Seen::default();
        seen.add(10.0, samples);
        let followed = seen.timeline.track("shop").unwrap().strongest();
        let followed: Vec<_> = followed.iter().map(|pair| pair.category.as_str()).collect();
        assert_eq!(followed, ["error"]);
    }

    #[test]
    fn counts_are_summed_over_routes_and_bounded_in_time() {
        let mut seen = Seen::default();
        for second in 0..5_000 {
            seen.add(f64::from(second), page(4_605.0, f64::from(second)));
        }
        let key = ("shop".to_owned(), "v2".to_owned(), String::new());
        let points = &seen.counters[&key];
        assert!(points.len() <= MAX_POINTS);
        assert_eq!(points[0], [0.0, 1.0]);
        assert_eq!(*points.last().unwrap(), [4_999.0, 5_000.0]);
    }

    #[test]
    fn an_admin_address_gets_its_path_and_another_url_is_left_alone() {
        let asked = "http://127.0.0.1:9901/stats?format=json&filter=serin_";
        assert_eq!(address("http://127.0.0.1:9901").unwrap(), asked);
        assert_eq!(address("http://127.0.0.1:9901/").unwrap(), asked);
        let own = "http://127.0.0.1:15090/stats/prometheus";
        assert_eq!(address(own).unwrap(), own);
        assert!(address("ftp://127.0.0.1").is_err());
    }
}
