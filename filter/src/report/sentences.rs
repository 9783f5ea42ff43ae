//! Log lines about verdicts: each change is told once.

use log::Level;
use scorer_sdk::drift::Cause;
use scorer_sdk::judge::verdict::{Decision, Reason, Silent, Verdict};

/// What the log has been told of a candidate.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    destination: String,
    candidate: String,
    verdict: Verdict,
    differs: bool,
    baseline_failing: bool,
    held_by_placebo: bool,
    unbalanced: bool,
    against_past: bool,
}

impl Told {
    fn new(decision: &Decision) -> Self {
        Self {
            destination: decision.destination.clone(),
            candidate: decision.candidate.clone(),
            verdict: decision.verdict,
            differs: decision.differs(),
            baseline_failing: decision.baseline_failing,
            held_by_placebo: decision.held_by_placebo,
            unbalanced: !decision.balance.is_empty(),
            against_past: !decision.against_past.is_empty(),
        }
    }
}

/// Writes the lines, and remembers what the log has been told.
#[derive(Debug, Default)]
pub struct Sentences {
    verdicts: Vec<Told>,
    /// Destinations whose placebo finding has been told.
    uneven: Vec<String>,
    /// Destinations and versions whose silence has been told.
    silent: Vec<(String, String, Silent)>,
    /// The last cause that was told, per destination.
    causes: Vec<(String, Cause)>,
}

impl Sentences {
    /// Says in the log what has changed since the last decisions.
    pub fn tell(&mut self, decisions: &[Decision]) {
        self.tell_placebo(decisions);
        self.tell_verdicts(decisions);
        self.tell_silence(decisions);
        self.tell_shared_change(decisions);
    }

    /// Says when a baseline begins to differ from itself.
    fn tell_placebo(&mut self, decisions: &[Decision]) {
        let findings = decisions
            .iter()
            .filter_map(|decision| Some((decision, decision.placebo.first()?)));
        let mut uneven = Vec::new();
        for (decision, finding) in findings {
            if !self.uneven.contains(&decision.destination) {
                log::warn!(
                    "serin: {}: {}; a candidate has to differ by more",
                    decision.destination,
                    finding.sentence(&decision.baseline)
                );
            }
            uneven.push(decision.destination.clone());
        }
        self.uneven = uneven;
    }

    /// Says when a version falls silent, and when it is heard of again or not missed any more.
    fn tell_silence(&mut self, decisions: &[Decision]) {
        let told = core::mem::take(&mut self.silent);
        for decision in decisions {
            for silence in &decision.silent {
                let name = decision.destination.clone();
                let now = (name, silence.version.clone(), silence.kind);
                if !told.contains(&now) {
                    // That stable gets nothing any more is how a rollout ends.
                    let ends = silence.kind == Silent::Idle && silence.version == decision.baseline;
                    let level = if ends { Level::Info } else { Level::Warn };
                    log::log!(level, "serin: {}: {}", now.0, silence.sentence());
                }
                self.silent.push(now);
            }
        }
        for gone in told.iter().filter(|gone| !self.silent.contains(gone)) {
            log::info!(
                "serin: {}: {} has traffic and answers again",
                gone.0,
                gone.1
            );
        }
    }

    /// Says when something drifts, what the cause is, and when it is over.
    fn tell_shared_change(&mut self, decisions: &[Decision]) {
        let told = core::mem::take(&mut self.causes);
        for decision in decisions {
            let (name, shared_change) = (&decision.destination, &decision.shared_change);
            // A verdict without any drift has a line of its own.
            let drifts = shared_change
                .series
                .iter()
                .any(|series| series.drift.is_some());
            let cause = if drifts {
                shared_change.cause
            } else {
                Cause::Nothing
            };
            let before = told
                .iter()
                .find(|(destination, _)| destination == name)
                .map_or(Cause::Nothing, |(_, cause)| *cause);
            if cause != before {
                match cause {
                    Cause::Nothing => {
                        log::info!(
                            "serin: {name}: drift: no version differs from its past any more"
                        );
                    }
                    _ => log::warn!("serin: {name}: drift: {}", shared_change.sentence),
                }
            }
            self.causes.push((name.clone(), cause));
        }
    }

    /// Says when a verdict has changed, or what limits it.
    fn tell_verdicts(&mut self, decisions: &[Decision]) {
        let mut told = Vec::new();
        for decision in decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
        {
            let now = Told::new(decision);
            let known = self.verdicts.contains(&now);
            told.push(now);
            if !known {
                log::log!(level(decision), "{}", sentence(decision));
            }
        }
        self.verdicts = told;
    }
}

fn level(decision: &Decision) -> Level {
    match decision.verdict {
        // By default Istio's proxies log nothing below a warning.
        Verdict::Anomalous | Verdict::Suspect => Level::Warn,
        _ if !decision.against_past.is_empty() => Level::Warn,
        // Differences are warnings as well.
        _ if decision.held_by_placebo || decision.differs() || !decision.balance.is_empty() => {
            Level::Warn
        }
        _ => Level::Info,
    }
}

/// The verdict with its reasons, and what limits it.
fn sentence(decision: &Decision) -> String {
    let failing = if decision.baseline_failing && decision.verdict == Verdict::Anomalous {
        "; Serin steers nothing, because the baseline itself fails"
    } else {
        ""
    };
    let held = if decision.held_by_placebo && decision.placebo.is_empty() {
        "; held back, because two halves of the baseline seem to differ as much"
    } else {
        ""
    };
    let differs = match decision.differences.first() {
        Some(difference) => format!("; behaves differently: {difference}"),
        None => String::new(),
    };
    let timing = match decision.timing() {
        Some(timing) => format!("; {}", timing.sentence(&decision.candidate)),
        None => String::new(),
    };
    let examples = match decision.reasons.first().map(Reason::for_example) {
        Some(examples) if !examples.is_empty() => format!("; {examples}"),
        _ => String::new(),
    };
    format!(
        "serin: {} {} is {}: {}{timing}{examples}{held}{differs}{failing}",
        decision.destination,
        decision.candidate,
        decision.verdict,
        decision.explanation()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;
    use core::time::Duration;
    use scorer_sdk::{Engine, Exchange, Plan};
    use std::sync::Arc;

    #[test]
    fn a_change_is_told_once_and_at_the_level_that_it_deserves() {
        let host = FakeHost::default();
        let mut decision = Decision {
            destination: "shop".to_owned(),
            candidate: "v2".to_owned(),
            verdict: Verdict::Healthy,
            ..Decision::default()
        };
        let mut sentences = Sentences::default();
        sentences.tell(core::slice::from_ref(&decision));
        sentences.tell(core::slice::from_ref(&decision));
        decision.verdict = Verdict::Suspect;
        sentences.tell(core::slice::from_ref(&decision));
        decision.verdict = Verdict::Anomalous;
        sentences.tell(core::slice::from_ref(&decision));
        let levels: Vec<Level> = host.log().iter().map(|line| line.0).collect();
        assert_eq!(levels, [Level::Info, Level::Warn, Level::Warn]);
    }

    #[test]
    fn a_version_that_answers_nothing_is_a_warning_and_the_end_of_a_rollout_is_none() {
        let host = FakeHost::default();
        let plan = Arc::new(Plan::from_json("{}").unwrap());
        let mut engine = Engine::new(plan, 1);
        let mut sentences = Sentences::default();
        let mut second = 1_700_000_000;
        let mut run = |seconds: u64, mute: bool, share: u64| {
            for _ in 0..seconds {
                for number in 0..20 {
                    let is_new = number < share;
                    engine.observe(&Exchange {
                        destination: "shop",
                        method: "GET",
                        path: "/",
                        version: if is_new { "v2" } else { "v1" },
                        status: (!(mute && is_new)).then_some(200),
                        ..Exchange::default()
                    });
                }
                second += 1;
                sentences.tell(&engine.tick(Duration::from_secs(second)));
            }
        };
        run(60, false, 2);
        run(60, true, 2);
        run(120, false, 20);
        let log = host.log();
        let level = |words: &str| {
            let mut lines = log.iter().filter(|line| line.1.contains(words));
            let level = lines.next().map(|line| line.0);
            assert!(lines.next().is_none(), "{words} is told twice");
            level
        };
        assert_eq!(level("shop: v2 has answered none of"), Some(Level::Warn));
        assert_eq!(
            level("shop: v1 has received no request for"),
            Some(Level::Info)
        );
        assert_eq!(
            level("shop: v2 has traffic and answers again"),
            Some(Level::Info)
        );
    }
}
