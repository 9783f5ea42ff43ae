//! A scenario behind the whole engine.

use super::sampler::Sampler;
use super::scenario::Scenario;
use super::traffic::Traffic;
use crate::config::{ConfigError, Plan};
use crate::engine::Engine;
use crate::exchange::Sampling;
use crate::judge::verdict::{Decision, Verdict};
use crate::memory::Memory;
use std::sync::Arc;

/// A plan for simulated rollouts: `config` (JSON), whose versions are `v1` and `v2` and whose
/// warm-up is none where it does not say otherwise.
///
/// # Errors
/// When the config is not sound.
pub fn plan(config: &str) -> Result<Arc<Plan>, ConfigError> {
    let mut json = match serde_json::from_str(config) {
        Ok(serde_json::Value::Object(json)) => json,
        // Let the parser of configs say what is wrong.
        _ => return Plan::from_json(config).map(Arc::new),
    };
    for (key, value) in [("baseline", "v1"), ("candidate", "v2"), ("warm_up", "0s")] {
        json.entry(key).or_insert_with(|| value.into());
    }
    Plan::from_json(&serde_json::Value::Object(json).to_string()).map(Arc::new)
}

/// A simulated rollout and the engine that watches it.
pub struct Rollout {
    traffic: Traffic,
    sampler: Sampler,
    engine: Engine,
}

/// How a simulated rollout ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// The last decision.
    pub decision: Decision,
    /// Requests that the candidate has served, up to the verdict where there is one.
    pub candidate_requests: u64,
    /// Those since its harm began.
    pub since_onset: u64,
    /// The highest evidence that was seen, in nats.
    pub highest_evidence: f64,
    /// Whether it was ever suspect.
    pub was_suspect: bool,
    /// Whether the placebo ever held back a verdict.
    pub was_held: bool,
    /// Whether the placebo ever found that the baseline differs from itself.
    pub placebo_spoke: bool,
}

impl End {
    /// Whether the candidate was found anomalous.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.decision.verdict == Verdict::Anomalous
    }
}

impl Rollout {
    /// A rollout whose baseline has been alone for the scenario's `learning` requests.
    #[must_use]
    pub fn new(plan: Arc<Plan>, scenario: Scenario, seed: u64) -> Self {
        Self::sampled(plan, scenario, Vec::new(), seed)
    }

    /// As [`Rollout::new`], behind workers that look at a part of the exchanges: see [`Sampler`].
    #[must_use]
    pub fn sampled(plan: Arc<Plan>, scenario: Scenario, workers: Vec<Sampling>, seed: u64) -> Self {
        let mut rollout = Self {
            traffic: Traffic::new(scenario, seed),
            sampler: Sampler::new(workers, seed),
            engine: Engine::new(plan, seed),
        };
        while rollout.traffic.is_learning() {
            rollout.advance();
        }
        rollout
    }

    /// The traffic.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Replaces the proxy by one that knows nothing, after so many ticks without any. It is handed what
    /// the one before it remembers, if it `remembers`, or told that there is no memory.
    pub fn replace_proxy(&mut self, plan: Arc<Plan>, away_ticks: u64, remembers: bool, seed: u64) {
        let written = self.traffic.now();
        let names = self.engine.judge().decisions();
        let known: Vec<(String, Option<Memory>)> = names
            .into_iter()
            .map(|decision| decision.destination)
            .map(|name| (name.clone(), self.engine.judge().memory(&name)))
            .collect();
        for _ in 0..away_ticks {
            self.traffic.advance();
        }
        self.engine = Engine::new(plan, seed);
        self.engine.judge_mut().wait_for_memories();
        self.advance();
        let now = self.traffic.now();
        for (name, memory) in known {
            let memory = memory.filter(|_| remembers).map(|memory| (memory, written));
            self.engine.judge_mut().remember(&name, memory, now);
        }
    }

    /// Lets one tick pass without asking for the decision.
    pub fn advance(&mut self) {
        self.traffic.advance();
        for exchange in self.traffic.exchanges() {
            self.sampler.observe(&mut self.engine, &exchange);
        }
        self.engine.advance(self.traffic.now());
    }

    /// Lets one tick pass and gives the decision.
    pub fn tick(&mut self) -> Decision {
        self.advance();
        let mut decisions = self.engine.judge().decisions();
        // There is one service, known after its first exchange.
        decisions.pop().unwrap_or_default()
    }

    /// Lets ticks pass until the candidate is found anomalous or has served `candidate_requests`.
    pub fn run(&mut self, candidate_requests: u64) -> End {
        self.run_while(|rollout| rollout.traffic.candidate_requests() < candidate_requests)
    }

    /// Lets ticks pass until the candidate is found anomalous or `go_on` says no.
    pub fn run_while(&mut self, mut go_on: impl FnMut(&Self) -> bool) -> End {
        let mut end = End::default();
        while go_on(self) {
            end.decision = self.tick();
            end.highest_evidence = end.highest_evidence.max(end.decision.evidence);
            end.was_suspect |= end.decision.verdict >= Verdict::Suspect;
            end.was_held |= end.decision.held_by_placebo;
            end.placebo_spoke |= !end.decision.placebo.is_empty();
            if end.is_anomalous() {
                break;
            }
        }
        end.candidate_requests = self.traffic.candidate_requests();
        end.since_onset = self.traffic.since_onset();
        end
    }
}
