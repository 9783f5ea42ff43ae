//! All that one worker does about verdicts.

use super::annotate;
use super::guard::{Attempt, Guard};
use super::refuse::Refusals;
use super::steer::Steering;
use crate::host::{Host, properties};
use crate::report::counters::Counters;
use crate::report::trace;
use crate::stream::request::Request;
use crate::stream::served::Served;
use crate::stream::upstream::Upstream;
use crate::sync::publication::Directive;
use hashbrown::HashMap;
use scorer_sdk::Exchange;
use scorer_sdk::Plan;
use scorer_sdk::config::Mode;
use scorer_sdk::judge::verdict::Verdict;
use scorer_sdk::route::RouteKey;
use scorer_sdk::signal::NameHasher;
use std::rc::Rc;
use std::sync::Arc;

/// What one worker does, and what it has done since the last tick.
pub struct Actions {
    plan: Arc<Plan>,
    directives: Vec<Directive>,
    steering: Steering,
    guard: Guard,
    hasher: NameHasher,
    refusals: Refusals,
    /// Requests that a further attempt rescued, by destination.
    rescued: HashMap<Rc<str>, u64>,
}

impl Actions {
    /// Nothing to be done yet. `hasher` hashes what signals read of an answer.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, hasher: NameHasher) -> Self {
        Self {
            plan: Arc::clone(plan),
            directives: Vec::new(),
            steering: Steering::default(),
            guard: Guard::default(),
            hasher,
            refusals: Refusals::default(),
            rescued: HashMap::new(),
        }
    }

    /// Takes over the verdicts. `guarding` says that this is the callee's own inbound listener.
    pub fn update(&mut self, directives: Vec<Directive>, guarding: bool) {
        let steers = directives
            .iter()
            .any(|directive| directive.steer_share > 0.0);
        self.steering
            .update(self.plan.mode == Mode::Steer && steers);
        if guarding && self.plan.mode == Mode::Reject {
            let condemned: Vec<_> = directives
                .iter()
                .filter(|directive| directive.verdict == Some(Verdict::Anomalous))
                .flat_map(|directive| directive.condemned.iter().cloned())
                .collect();
            self.guard.update(&self.plan, &condemned);
        }
        self.directives = directives;
    }

    /// Whether any destination is being steered.
    #[must_use]
    pub fn is_steering(&self) -> bool {
        self.steering.is_on()
    }

    /// Sends the request to the baseline if a verdict stands against its destination's candidate.
    pub fn steer(&mut self, host: &impl Host, upstream: Upstream) {
        self.steering.steer(host, &self.directives, upstream);
    }

    /// Whether responses tell clients what is known.
    #[must_use]
    pub fn annotates(&self) -> bool {
        self.plan.mode == Mode::Annotate
    }

    /// Tells the client what is thought of the version that answered.
    pub fn annotate(&self, host: &impl Host, served: Option<(&str, &str)>) {
        annotate::verdict(host, &self.directives, served);
    }

    /// Leaves to the trace which version answered, and what is thought of the rollout.
    pub fn trace(&self, host: &impl Host, served: &Served) {
        let directive = self
            .directives
            .iter()
            .find(|directive| directive.destination == *served.destination);
        trace::leave_verdict(host, directive, &served.version);
    }

    /// A request has come to the guard: the share that may be refused grows.
    pub fn note_request(&mut self) {
        self.guard.note_request(&self.plan);
    }

    /// Whether the guard may refuse anything at all.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.guard.is_armed()
    }

    /// Refuses a request whose route is condemned; whether it did.
    pub fn refuse_request(
        &mut self,
        host: &impl Host,
        request: &Request,
        route: &RouteKey,
    ) -> bool {
        let attempt = Attempt {
            method: &request.method,
            number: request.attempt,
        };
        let reason = self.guard.refuse_request(&self.plan, &attempt, route);
        if let Some(reason) = &reason {
            self.refuse(host, reason, request.grpc);
        }
        reason.is_some()
    }

    /// Why this response is refused, if it is. The caller has to count the exchange first and then
    /// to call [`Actions::refuse`].
    pub fn condemn_response(
        &mut self,
        attempt: Option<u64>,
        route: &RouteKey,
        exchange: &Exchange<'_>,
    ) -> Option<String> {
        let attempt = Attempt {
            method: exchange.method,
            number: attempt,
        };
        self.guard
            .refuse_response(&self.plan, &attempt, route, exchange, &self.hasher)
    }

    /// Why this response that is too strange is refused, if it is.
    pub fn condemn_strange(&mut self, attempt: &Attempt<'_>, route: &RouteKey) -> Option<String> {
        self.guard.refuse_strange(&self.plan, attempt, route)
    }

    /// Answers in the application's place, and says why.
    pub fn refuse(&mut self, host: &impl Host, reason: &str, grpc: bool) {
        self.refusals.refuse(host, reason, grpc);
    }

    /// Counts a request that took more than one attempt and was then answered well by the baseline.
    pub fn count_rescued(&mut self, host: &impl Host, served: Served, status: Option<u16>) {
        if !self.plan.count_rescued {
            return;
        }
        let attempts = host.number(properties::ATTEMPT_COUNT).unwrap_or(1);
        let by_baseline = self.directives.iter().any(|directive| {
            directive.destination == *served.destination && directive.baseline == *served.version
        });
        if attempts > 1 && by_baseline && status.is_some_and(|status| status < 500) {
            *self.rescued.entry(served.destination).or_insert(0) += 1;
        }
    }

    /// Hands what was done since the last call to the metrics.
    pub fn report(&mut self, host: &impl Host, counters: &mut Counters) {
        for (destination, count) in self.steering.take() {
            counters.count_steered(host, &destination, count);
        }
        for (destination, count) in self.rescued.drain() {
            counters.count_rescued(host, &destination, count);
        }
        for (reason, count) in self.refusals.take() {
            counters.count_rejected(host, &reason, count);
        }
    }
}
