//! The leader's questions to serve-verdict: when they are asked, and what came of them.
//!
//! Each candidate is asked about once in `fleet.every`. Where nothing comes back, questions become
//! rarer, and each proxy asks at another moment. What is answered is kept until the next merge.

use super::known_answers::KnownAnswers;
use crate::host::Host;
use crate::report::fleet_line::{Failure, FleetLine};
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::config::FleetPlan;
use scorer_sdk::judge::verdict::{Decision, FleetWord};
use scorer_sdk::wire::fleet::{FleetAnswer, Unusable, question, read, rollout_number};
use std::sync::Arc;

/// Candidates that are asked about in one round; with more of them the next ones follow.
const MAX_ASKED: usize = 8;
/// Longest time for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After failures in a row the time between questions doubles, up to so many times.
const MAX_DOUBLINGS: u32 = 3;
/// So many answers in a row have to clear a candidate: a proxy that was not scraped once has no
/// evidence, and that clears nobody.
const CLEARS: u32 = 6;
/// Failures by reason that are counted until they are reported.
const REASONS: [&str; 5] = ["not_sent", "no_answer", "refused", "unreadable", "old"];

/// A candidate of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The service.
    pub destination: String,
    /// Its new version.
    pub candidate: String,
}

/// What the proxy hands over when a call has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The proxy's number of the call.
    pub token: u32,
    /// The status; none where nobody answered.
    pub status: Option<u16>,
    /// The body, as far as it is read.
    pub body: Vec<u8>,
    /// The header `etag`, as it came.
    pub tag: Option<Vec<u8>>,
}

/// Asks, and keeps what was answered.
pub struct Inquiry {
    plan: Arc<Plan>,
    rollout: u32,
    /// Calls whose answer has not come.
    asked: Vec<(u32, About)>,
    /// When the next round begins.
    next: Duration,
    /// Where the next round goes on, where there are too many for one.
    offset: usize,
    /// Rounds in a row in which nobody answered well.
    failures: u32,
    /// How many answers in a row cleared whom.
    clears: Vec<(About, u32)>,
    /// What need not be sent again.
    known: KnownAnswers,
    /// Words that were not heeded yet.
    words: Vec<(About, FleetWord)>,
    /// Failures since the last report, as in [`REASONS`].
    counts: [u64; REASONS.len()],
    /// When the last usable answer came.
    answered: Duration,
    line: FleetLine,
}

impl Inquiry {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            rollout: rollout_number(plan.rollout.as_deref()),
            plan,
            asked: Vec::new(),
            next: Duration::ZERO,
            offset: 0,
            failures: 0,
            clears: Vec::new(),
            known: KnownAnswers::default(),
            words: Vec::new(),
            counts: [0; REASONS.len()],
            answered: Duration::ZERO,
            line: FleetLine::default(),
        }
    }

    /// The number of the config's rollout.
    #[must_use]
    pub fn rollout(&self) -> u32 {
        self.rollout
    }

    /// When the last usable answer came, since the Unix epoch; zero before the first.
    #[must_use]
    pub fn answered(&self) -> Duration {
        self.answered
    }

    /// Another worker leads: answers to this one's questions are of no use to it.
    pub fn abandon(&mut self) {
        self.asked.clear();
        self.words.clear();
        self.clears.clear();
        self.known.retain(&[]);
    }

    /// Asks about the candidates, if it is time.
    pub fn tick(&mut self, host: &impl Host, decisions: &[Decision], now: Duration) {
        let plan = Arc::clone(&self.plan);
        let Some(fleet) = &plan.fleet else {
            return;
        };
        // After the clock was set back the next round is not waited for.
        if now < self.next && self.next - now <= longest_pause(fleet) {
            return;
        }
        // A call that outlives its own timeout has been forgotten by the proxy.
        for _ in self.asked.drain(..).collect::<Vec<_>>() {
            self.note(Err(Failure::NoAnswer));
        }
        let mut candidates = decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty() && !decision.baseline.is_empty())
            .map(|decision| About {
                destination: decision.destination.clone(),
                candidate: decision.candidate.clone(),
            })
            .collect::<Vec<_>>();
        self.clears.retain(|(about, _)| candidates.contains(about));
        self.known.retain(&candidates);
        if candidates.is_empty() {
            return;
        }
        let count = candidates.len();
        candidates.rotate_left(self.offset % count);
        self.offset = (self.offset % count).saturating_add(MAX_ASKED);
        self.next = now + pause(fleet, self.failures, host.draw());
        self.failures = self.failures.saturating_add(1);
        for about in candidates.into_iter().take(MAX_ASKED) {
            let path = question(fleet, &about.destination, &about.candidate, self.rollout);
            let wait = fleet.every.min(LONGEST_WAIT);
            let tag = self.known.find(&about, now).map(|(tag, _)| tag);
            match host.call(&fleet.cluster, &path, fleet.token.as_deref(), tag, wait) {
                Some(token) => self.asked.push((token, about)),
                None => self.note(Err(Failure::NotSent)),
            }
        }
    }

    /// Takes the end of a call.
    pub fn hear(&mut self, reply: &Reply, now: Duration) {
        let Some(place) = self
            .asked
            .iter()
            .position(|(token, _)| *token == reply.token)
        else {
            return;
        };
        let (_, about) = self.asked.swap_remove(place);
        let answer = match reply.status {
            None => Err(Failure::NoAnswer),
            Some(200) => {
                read(&reply.body, &about.destination, &about.candidate).map_err(|unusable| {
                    match unusable {
                        Unusable::Unreadable => Failure::Unreadable,
                        Unusable::Old => Failure::Old,
                    }
                })
            }
            // Nothing has changed since the last answer, which may be too old by now.
            Some(304) => match self.known.find(&about, now) {
                Some((_, answer)) => Ok(answer),
                None => Err(Failure::Old),
            },
            Some(status) => Err(Failure::Refused(status)),
        };
        if let (Some(200), Ok(answer)) = (reply.status, answer) {
            self.known.keep(&about, answer, reply.tag.as_deref(), now);
        }
        self.note(answer);
        if let Ok(answer) = answer {
            self.failures = 0;
            self.answered = now;
            if let Some(fleet) = &self.plan.fleet {
                self.next = self.next.min(now + fleet.every);
            }
            self.keep(about, answer.word);
        }
    }

    /// Keeps the word about a candidate, if it is one.
    fn keep(&mut self, about: About, word: Option<FleetWord>) {
        let known = self.clears.iter().position(|(known, _)| *known == about);
        if word != Some(FleetWord::Clear) {
            if let Some(place) = known {
                self.clears.swap_remove(place);
            }
            self.words.extend(word.map(|word| (about, word)));
            return;
        }
        let times = match known.and_then(|place| self.clears.get_mut(place)) {
            Some((_, times)) => {
                *times = times.saturating_add(1);
                *times
            }
            None => {
                self.clears.push((about.clone(), 1));
                1
            }
        };
        if times >= CLEARS {
            self.words.push((about, FleetWord::Clear));
        }
    }

    /// Hands each word with its destination and candidate to `heed`.
    pub fn take_words(&mut self, heed: &mut dyn FnMut(&str, &str, FleetWord)) {
        for (about, word) in self.words.drain(..) {
            heed(&about.destination, &about.candidate, word);
        }
    }

    /// Hands the failures since the last call, by reason, to `count`.
    pub fn take_failures(&mut self, count: &mut dyn FnMut(&'static str, u64)) {
        for (reason, number) in REASONS.iter().zip(&mut self.counts) {
            count(reason, core::mem::take(number));
        }
    }

    fn note(&mut self, answer: Result<FleetAnswer, Failure>) {
        let expected = self.plan.fleet.as_ref().map_or(0, |fleet| fleet.proxies);
        self.line.tell(answer, u64::from(expected));
        if let Err(failure) = answer
            && let Some(count) = self.counts.get_mut(failure.number())
        {
            *count = count.saturating_add(1);
        }
    }
}

/// Time until the next round, after so many failures in a row; `draw` is any number.
fn pause(fleet: &FleetPlan, failures: u32, draw: u64) -> Duration {
    let doubled = fleet.every * 2_u32.pow(failures.min(MAX_DOUBLINGS));
    // From 80% to 120% of it, so that proxies that start together do not ask together.
    doubled * (80 + (draw % 41) as u32) / 100
}

fn longest_pause(fleet: &FleetPlan) -> Duration {
    fleet.every * 2_u32.pow(MAX_DOUBLINGS) * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    const CONFIG: &str = r#"{"fleet": {"cluster": "serve-verdict", "token": "s3cret"}}"#;

    fn inquiry() -> Inquiry {
        Inquiry::new(Arc::new(Plan::from_json(CONFIG).unwrap()))
    }

    fn decisions(count: usize) -> Vec<Decision> {
        (0..count)
            .map(|number| Decision {
                destination: format!("shop-{number}"),
                baseline: "v1".to_owned(),
                candidate: "v2".to_owned(),
                ..Decision::default()
            })
            .collect()
    }

    fn answer(verdict: &str, evidence: f64) -> String {
        format!(
            r#"{{"destination": "shop-0", "candidate": "v2", "verdict": "{verdict}",
            "evidence": {evidence}, "threshold": 5.3, "age_seconds": 1.0, "proxies": 3}}"#
        )
    }

    fn words(inquiry: &mut Inquiry) -> Vec<FleetWord> {
        let mut words = Vec::new();
        inquiry.take_words(&mut |_, _, word| words.push(word));
        words
    }

    fn failures(inquiry: &mut Inquiry) -> Vec<(&'static str, u64)> {
        let mut failures = Vec::new();
        inquiry.take_failures(&mut |reason, count| {
            if count > 0 {
                failures.push((reason, count));
            }
        });
        failures
    }

    /// Asks when it is time, and answers with this.
    fn round(inquiry: &mut Inquiry, host: &FakeHost, status: Option<u16>, body: &str) {
        host.pass(Duration::from_secs(100));
        inquiry.tick(host, &decisions(1), host.now());
        let token = host.calls().last().unwrap().token;
        let reply = Reply {
            token,
            status,
            body: body.as_bytes().to_vec(),
            tag: Some(b"W/\"1\"".to_vec()),
        };
        inquiry.hear(&reply, host.now());
    }

    #[test]
    fn a_candidate_is_condemned_at_once_and_cleared_after_several_answers() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        round(&mut inquiry, &host, Some(200), &answer("anomalous", 9.0));
        assert_eq!(words(&mut inquiry), [FleetWord::Condemn]);
        let call = host.calls().last().unwrap().clone();
        assert_eq!(call.cluster, "serve-verdict");
        assert_eq!(call.token_sent.as_deref(), Some("s3cret"));
        assert_eq!(
            call.path,
            "/v1/fleet?destination=shop-0&candidate=v2&rollout=0"
        );
        for _ in 1..CLEARS {
            round(&mut inquiry, &host, Some(200), &answer("learning", 0.0));
        }
        assert_eq!(words(&mut inquiry), []);
        // Between the two: it begins anew.
        round(&mut inquiry, &host, Some(200), &answer("suspect", 4.0));
        for _ in 1..CLEARS {
            round(&mut inquiry, &host, Some(200), &answer("learning", 0.0));
        }
        assert_eq!(words(&mut inquiry), []);
        round(&mut inquiry, &host, Some(200), &answer("healthy", 0.0));
        assert_eq!(words(&mut inquiry), [FleetWord::Clear]);
        assert_eq!(failures(&mut inquiry), []);
        assert_eq!(inquiry.answered(), host.now());
    }

    #[test]
    fn what_leads_to_nothing_is_counted_and_told_once() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        round(&mut inquiry, &host, None, "");
        round(&mut inquiry, &host, None, "");
        round(&mut inquiry, &host, Some(401), "{}");
        round(&mut inquiry, &host, Some(200), "<html>");
        let old = answer("anomalous", 9.0).replace("1.0", "99.0");
        round(&mut inquiry, &host, Some(200), &old);
        assert_eq!(words(&mut inquiry), []);
        assert_eq!(
            failures(&mut inquiry),
            [
                ("no_answer", 2),
                ("refused", 1),
                ("unreadable", 1),
                ("old", 1)
            ]
        );
        assert_eq!(host.log().len(), 1, "{:?}", host.log());
        round(&mut inquiry, &host, Some(200), &answer("suspect", 4.0));
        assert_eq!(host.log().len(), 2, "{:?}", host.log());
    }

    #[test]
    fn what_has_not_changed_counts_as_said_again_until_it_is_too_old() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        let round = |inquiry: &mut Inquiry, seconds, status, body: &str| {
            host.pass(Duration::from_secs(seconds));
            inquiry.tick(&host, &decisions(1), host.now());
            let call = host.calls().last().unwrap().clone();
            let reply = Reply {
                token: call.token,
                status: Some(status),
                body: body.as_bytes().to_vec(),
                tag: (status == 200).then(|| b"W/\"1\"".to_vec()),
            };
            inquiry.hear(&reply, host.now());
            call.known
        };
        // Nobody has said anything yet that could be the same.
        assert_eq!(round(&mut inquiry, 100, 304, ""), None);
        assert_eq!(failures(&mut inquiry), [("old", 1)]);
        let said = answer("anomalous", 9.0);
        assert_eq!(round(&mut inquiry, 100, 200, &said), None);
        assert_eq!(words(&mut inquiry), [FleetWord::Condemn]);
        for _ in 0..5 {
            let sent = round(&mut inquiry, 10, 304, "");
            assert_eq!(sent.as_deref(), Some("W/\"1\""));
            assert_eq!(words(&mut inquiry), [FleetWord::Condemn]);
        }
        // The evidence was a second old when it came.
        assert_eq!(round(&mut inquiry, 10, 304, ""), None);
        assert_eq!(words(&mut inquiry), []);
        assert_eq!(failures(&mut inquiry), [("old", 1)]);
    }

    #[test]
    fn where_nobody_answers_questions_become_rarer_and_never_stop() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        let mut moments = Vec::new();
        for _ in 0..600 {
            host.pass(Duration::from_secs(1));
            let before = host.calls().len();
            inquiry.tick(&host, &decisions(1), host.now());
            if host.calls().len() > before {
                moments.push(host.now().as_secs());
            }
        }
        let pauses: Vec<u64> = moments.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(
            pauses[0] <= 7 && pauses.iter().all(|pause| *pause <= 49),
            "{pauses:?}"
        );
        assert!(pauses[4] >= 32, "{pauses:?}");
        assert!(moments.len() > 10);
    }

    #[test]
    fn of_many_candidates_each_has_its_turn_and_no_call_is_waited_for_twice() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        for _ in 0..3 {
            host.pass(Duration::from_secs(100));
            inquiry.tick(&host, &decisions(20), host.now());
            assert!(inquiry.asked.len() <= MAX_ASKED);
        }
        let mut paths: Vec<String> = host.calls().into_iter().map(|call| call.path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 20);
    }

    #[test]
    fn without_a_candidate_nobody_is_asked() {
        let (host, mut inquiry) = (FakeHost::default(), inquiry());
        inquiry.tick(&host, &[Decision::default()], host.now());
        assert_eq!(host.calls().len(), 0);
    }
}
