//! Silence: a version that gets requests and answers none, and one that gets none while others do.
//!
//! Both say nothing of how good a version is, so nothing here is evidence. A version is *mute* when
//! its last requests are all without a response, so many that the share of unanswered ones before
//! makes it a chance of one in a million. It is *idle* when the others got so many requests since
//! its last one that its share before makes the same chance of it. Requests are not independent,
//! so that both have to last as well: three times as long as the longest time that was usual.
//!
//! A guard sees the requests to its own version only and is never told that it is idle.

use crate::count::delta::RouteDelta;
use crate::judge::verdict::{Silence, Silent};
use crate::limits::MAX_VERSION_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Versions that are followed.
const MAX_FOLLOWED: usize = 8;
/// The chance of a silence that is told, as nats: one in a million.
const UNLIKELY: f64 = 13.8;
/// Least time without an answer until it is told.
const MUTE_AFTER_MS: u64 = 30_000;
/// Least time without a request.
const IDLE_AFTER_MS: u64 = 60_000;
/// A silence is told when it has lasted this many times as long as the longest before it.
const TIMES_AS_LONG: u64 = 3;
/// But after this time at the latest.
const AT_LATEST_MS: u64 = 600_000;
/// Requests that a version must have had before it can be missed.
const ESTABLISHED: f64 = 20.0;
/// Time without a request after which a version is not missed any more: it was taken away.
const FORGOTTEN_AFTER_MS: u64 = 900_000;
/// Requests over which shares are remembered.
const MEMORY: f64 = 5_000.0;
/// Ticks further apart count as this long.
const LONGEST_TICK_MS: u64 = 60_000;
/// What every version is thought to have answered before it came: 3 of 4 requests.
const PRIOR_ANSWERED: f64 = 3.0;
const PRIOR: f64 = 4.0;

/// What was heard of one version.
#[derive(Debug, Clone, Default, PartialEq)]
struct Heard {
    name: String,
    /// Decayed requests of its own, and of all versions, until its last one.
    own: f64,
    all: f64,
    /// Decayed requests that it answered.
    answered: f64,
    /// Requests of others since its last one, and the time in which they came.
    missed: f64,
    idle_ms: u64,
    longest_idle_ms: u64,
    /// Requests without an answer since its last answer, and the time since the first of them.
    unanswered: f64,
    mute_ms: u64,
    longest_mute_ms: u64,
}

impl Heard {
    /// Takes one tick that took `tick_ms`.
    fn take(&mut self, answered: f64, unanswered: f64, others: f64, tick_ms: u64) {
        let own = answered + unanswered;
        if own > 0.0 {
            self.longest_idle_ms = self.longest_idle_ms.max(self.idle_ms);
            let all = own + others + self.missed;
            let keep = (-all / MEMORY).exp();
            self.own = self.own * keep + own;
            self.all = self.all * keep + all;
            self.answered = self.answered * keep + answered;
            (self.missed, self.idle_ms) = (0.0, 0);
        } else if others > 0.0 {
            self.missed += others;
            self.idle_ms = self.idle_ms.saturating_add(tick_ms);
        }
        if answered > 0.0 {
            self.longest_mute_ms = self.longest_mute_ms.max(self.mute_ms);
            (self.unanswered, self.mute_ms) = (0.0, 0);
        } else if self.unanswered > 0.0 {
            self.mute_ms = self.mute_ms.saturating_add(tick_ms);
        }
        if answered == 0.0 {
            self.unanswered += unanswered;
        }
    }

    fn share(&self) -> f64 {
        self.own / self.all.max(1.0)
    }

    fn is_mute(&self) -> bool {
        // Those without an answer are in the sum already and are not held against themselves.
        let before = (self.own - self.unanswered).max(self.answered);
        let unanswered = 1.0 - (self.answered + PRIOR_ANSWERED) / (before + PRIOR);
        let nats = -self.unanswered * unanswered.clamp(0.01, 0.99).ln();
        nats >= UNLIKELY && has_lasted(self.mute_ms, self.longest_mute_ms, MUTE_AFTER_MS)
    }

    fn is_idle(&self) -> bool {
        let nats = -self.missed * (-self.share()).max(-0.999).ln_1p();
        self.own >= ESTABLISHED
            && nats >= UNLIKELY
            && has_lasted(self.idle_ms, self.longest_idle_ms, IDLE_AFTER_MS)
    }

    fn silence(&self, kind: Silent) -> Silence {
        let (ms, requests) = match kind {
            Silent::Mute => (self.mute_ms, self.unanswered),
            Silent::Idle => (self.idle_ms, self.missed),
        };
        Silence {
            version: self.name.clone(),
            kind,
            seconds: ms as f64 / 1e3,
            requests: requests as u64,
            share: self.share(),
        }
    }

    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.name);
        for value in [
            self.own,
            self.all,
            self.answered,
            self.missed,
            self.unanswered,
        ] {
            writer.f64(value);
        }
        for value in [
            self.idle_ms,
            self.longest_idle_ms,
            self.mute_ms,
            self.longest_mute_ms,
        ] {
            writer.u64(value);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        const COUNT: &str = "requests of a version";
        Ok(Self {
            name: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            own: reader.finite(COUNT)?,
            all: reader.finite(COUNT)?,
            answered: reader.finite(COUNT)?,
            missed: reader.finite(COUNT)?,
            unanswered: reader.finite(COUNT)?,
            idle_ms: reader.u64()?,
            longest_idle_ms: reader.u64()?,
            mute_ms: reader.u64()?,
            longest_mute_ms: reader.u64()?,
        })
    }
}

/// Whether a silence is longer than what was usual.
fn has_lasted(ms: u64, longest_ms: u64, least_ms: u64) -> bool {
    let usual = longest_ms.saturating_mul(TIMES_AS_LONG);
    ms >= usual.clamp(least_ms, AT_LATEST_MS)
}

/// What was heard of the versions of one destination.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Silences {
    last_tick_ms: u64,
    heard: Vec<Heard>,
}

impl Silences {
    /// Takes a tick.
    pub(super) fn observe(&mut self, inbox: &[&RouteDelta], now_ms: u64) {
        let tick_ms = now_ms
            .saturating_sub(self.last_tick_ms)
            .min(LONGEST_TICK_MS);
        self.last_tick_ms = now_ms;
        let versions = || inbox.iter().flat_map(|route| &route.versions);
        for version in versions() {
            self.follow(&version.version);
        }
        let all: f64 = versions()
            .map(|version| version.answered as f64 + version.unanswered as f64)
            .sum();
        for heard in &mut self.heard {
            let (mut answered, mut unanswered) = (0.0, 0.0);
            for version in versions().filter(|version| version.version == heard.name) {
                answered += version.answered as f64;
                unanswered += version.unanswered as f64;
            }
            let others = (all - answered - unanswered).max(0.0);
            heard.take(answered, unanswered, others, tick_ms);
        }
        self.heard
            .retain(|heard| heard.idle_ms < FORGOTTEN_AFTER_MS);
    }

    fn follow(&mut self, name: &str) {
        if self.heard.iter().any(|heard| heard.name == name) {
            return;
        }
        if self.heard.len() >= MAX_FOLLOWED {
            // The one that was not heard of for longest makes room.
            let oldest = self
                .heard
                .iter()
                .enumerate()
                .max_by_key(|(_, heard)| heard.idle_ms)
                .map(|(index, _)| index);
            if let Some(oldest) = oldest {
                self.heard.remove(oldest);
            }
        }
        self.heard.push(Heard {
            name: name.to_owned(),
            ..Heard::default()
        });
    }

    /// Whether a version was taken out of the traffic: others went on to get requests, and it did not.
    pub(super) fn is_idle(&self, name: &str) -> bool {
        let heard = self.heard.iter().find(|heard| heard.name == name);
        heard.is_some_and(Heard::is_idle)
    }

    /// Forgets a version. What comes under its name from now on is another release, whose pauses are
    /// not known yet.
    pub(super) fn forget(&mut self, name: &str) {
        self.heard.retain(|heard| heard.name != name);
    }

    /// The versions that are silent. `is_guard` tells that only one version's requests are seen;
    /// the `condemned` ones are kept from traffic, so that nobody misses them.
    pub(super) fn findings(&self, is_guard: bool, condemned: &[String]) -> Vec<Silence> {
        let mut findings = Vec::new();
        for heard in &self.heard {
            if heard.is_mute() {
                findings.push(heard.silence(Silent::Mute));
            } else if heard.is_idle() && !is_guard && !condemned.contains(&heard.name) {
                findings.push(heard.silence(Silent::Idle));
            }
        }
        findings
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.last_tick_ms);
        writer.list(&self.heard, Heard::encode);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            last_tick_ms: reader.u64()?,
            heard: reader.list(MAX_FOLLOWED, Heard::decode)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::delta::VersionDelta;

    /// A tick's counts: version, answered, unanswered.
    fn tick(counts: &[(&str, u64, u64)]) -> Vec<RouteDelta> {
        let versions = counts
            .iter()
            .map(|(version, answered, unanswered)| VersionDelta {
                version: (*version).to_owned(),
                answered: *answered,
                unanswered: *unanswered,
                ..VersionDelta::default()
            })
            .collect();
        vec![RouteDelta {
            versions,
            ..RouteDelta::default()
        }]
    }

    /// Lets seconds pass, and gives the second in which a silence was first told.
    fn run(
        silences: &mut Silences,
        seconds: core::ops::Range<u64>,
        counts: impl Fn(u64) -> Vec<RouteDelta>,
    ) -> Option<(u64, Silence)> {
        let mut told = None;
        for second in seconds {
            let counted = counts(second);
            let inbox: Vec<&RouteDelta> = counted.iter().collect();
            silences.observe(&inbox, 1_000_000 + 1_000 * second);
            let finding = silences.findings(false, &[]).into_iter().next();
            told = told.or(finding.map(|finding| (second, finding)));
        }
        told
    }

    #[test]
    fn a_version_that_stops_to_answer_is_told_within_a_minute() {
        let mut silences = Silences::default();
        let healthy = |_| tick(&[("v1", 18, 0), ("v2", 2, 0)]);
        assert_eq!(run(&mut silences, 0..120, healthy), None);
        let hanging = |_| tick(&[("v1", 18, 0), ("v2", 0, 2)]);
        let (second, silence) = run(&mut silences, 120..300, hanging).unwrap();
        assert!(second < 180, "{second}");
        assert_eq!(
            (silence.version.as_str(), silence.kind),
            ("v2", Silent::Mute)
        );
        // One answer is enough to end it.
        assert_eq!(run(&mut silences, 300..301, healthy), None);
    }

    #[test]
    fn a_new_version_that_never_answers_is_told_and_one_that_hangs_up_now_and_then_is_not() {
        let mut silences = Silences::default();
        let dead = |_| tick(&[("v1", 18, 0), ("v2", 0, 1)]);
        let (second, _) = run(&mut silences, 0..120, dead).unwrap();
        assert!(second < 60, "{second}");
        let mut silences = Silences::default();
        let polls = |second| {
            let answered = u64::from(second % 40 == 0);
            tick(&[("v1", 18, 0), ("v2", answered, u64::from(second % 5 == 1))])
        };
        assert_eq!(run(&mut silences, 0..3_600, polls), None);
    }

    #[test]
    fn a_version_that_gets_no_requests_while_others_do_is_told_within_two_minutes() {
        let mut silences = Silences::default();
        let healthy = |second| tick(&[("v1", 18, 0), ("v2", u64::from(second % 2 == 0), 0)]);
        assert_eq!(run(&mut silences, 0..120, healthy), None);
        let gone = |_| tick(&[("v1", 18, 0)]);
        let (second, silence) = run(&mut silences, 120..300, gone).unwrap();
        assert!(second <= 120 + 75, "{second}");
        assert_eq!(
            (silence.version.as_str(), silence.kind),
            ("v2", Silent::Idle)
        );
        assert!(silences.findings(true, &[]).is_empty(), "a guard");
        assert!(silences.findings(false, &["v2".to_owned()]).is_empty());
        // A day later it is not missed any more.
        run(&mut silences, 300..1_200, gone);
        assert!(silences.findings(false, &[]).is_empty());
    }

    #[test]
    fn a_version_that_was_taken_away_is_idle_until_it_is_forgotten() {
        let mut silences = Silences::default();
        run(&mut silences, 0..120, |_| {
            tick(&[("v1", 18, 0), ("v2", 2, 0)])
        });
        assert!(!silences.is_idle("v2"));
        run(&mut silences, 120..200, |_| tick(&[("v1", 20, 0)]));
        assert!(silences.is_idle("v2") && !silences.is_idle("v1") && !silences.is_idle("v3"));
        silences.forget("v2");
        assert!(!silences.is_idle("v2"));
    }

    #[test]
    fn nobody_is_missed_when_all_traffic_stops_or_when_gaps_are_usual() {
        let mut silences = Silences::default();
        let healthy = |_| tick(&[("v1", 18, 0), ("v2", 2, 0)]);
        run(&mut silences, 0..120, healthy);
        assert_eq!(run(&mut silences, 120..900, |_| tick(&[])), None);
        let mut silences = Silences::default();
        // A user that comes for ten seconds, each half of a minute.
        let bursts = |second| tick(&[("v1", 18, 0), ("v2", u64::from(second % 40 < 10) * 8, 0)]);
        assert_eq!(run(&mut silences, 0..3_600, bursts), None);
    }

    #[test]
    fn its_state_is_read_as_it_was_written() {
        let mut silences = Silences::default();
        run(&mut silences, 0..50, |_| {
            tick(&[("v1", 5, 1), ("v2", 0, 2)])
        });
        let mut writer = Writer::new();
        silences.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(
            Silences::decode(&mut Reader::new(&bytes)).unwrap(),
            silences
        );
    }
}
