//! One worker under one config: what it does at each of the proxy's callbacks, in order.

use crate::act::actions::Actions;
use crate::act::guard::Attempt;
use crate::act::{annotate, forged};
use crate::host::{Host, properties};
use crate::report::access_log;
use crate::report::counters::Counters;
use crate::report::series;
use crate::stream::exchange::Phase;
use crate::stream::glance;
use crate::stream::life::Stream;
use crate::stream::observer::Observer;
use crate::stream::response::Response;
use crate::sync::inquiry::Reply;
use crate::sync::peers::{Peers, role};
use scorer_sdk::Plan;
use scorer_sdk::config::{Mode, Role};
use scorer_sdk::count::delta::Delta;
use scorer_sdk::signal::NameHasher;
use std::rc::Rc;
use std::sync::Arc;

/// What one worker knows and does under one config.
pub struct Worker<H: Host> {
    host: H,
    plan: Arc<Plan>,
    /// Comparer or guard; `Auto` until the first request tells, and a comparer so far.
    role: Role,
    /// The root context, for calls between streams.
    root_id: u32,
    observer: Observer,
    peers: Peers,
    actions: Actions,
    counters: Counters,
    /// Whether it has answered requests: a leader should be idle.
    busy: bool,
    closed: bool,
}

impl<H: Host> Worker<H> {
    /// A worker under `plan`. `plugin` names the plugin among those of the proxy; `series` are those
    /// that its virtual machine has made so far.
    #[must_use]
    pub fn new(
        host: H,
        plan: Arc<Plan>,
        plugin: &str,
        root_id: u32,
        series: series::Shared,
    ) -> Self {
        let role = match plan.role {
            Role::Auto if plan.mode == Mode::Reject => Role::Guard,
            role => role,
        };
        let guarding = role == Role::Guard;
        let peers = Peers::new(&host, &plan, plugin, root_id, guarding, Rc::clone(&series));
        let owner = peers.owner();
        Self {
            role,
            observer: Observer::new(&plan, owner, peers.secret(&host), guarding),
            peers,
            actions: Actions::new(&plan, NameHasher::new(owner)),
            counters: Counters::new(series, plan.max_series),
            busy: false,
            closed: false,
            host,
            plan,
            root_id,
        }
    }

    /// Whether this is the callee's own inbound listener.
    fn is_guarding(&self) -> bool {
        self.role == Role::Guard
    }

    /// Says in the log what runs here.
    pub fn announce(&mut self) {
        log::info!(
            "serin {}: {} as {}, baseline {}, candidate {}",
            env!("CARGO_PKG_VERSION"),
            self.plan.mode.name(),
            role(self.is_guarding()),
            self.plan.baseline.as_deref().unwrap_or("found"),
            self.plan.candidate.as_deref().unwrap_or("found"),
        );
        if self.role != Role::Auto {
            self.observer.look_for_counterpart(&self.host);
        }
    }

    /// Finds out at the first request whether this is an inbound listener: the proxy tells a stream
    /// and not a root context. On an inbound one the worker begins anew as a guard; nothing has been
    /// counted yet.
    fn find_role(&mut self) {
        if self.role != Role::Auto {
            return;
        }
        let direction = self.host.property(properties::LISTENER_DIRECTION);
        let inbound = direction.as_deref() == Some(&properties::INBOUND);
        self.role = if inbound { Role::Guard } else { Role::Comparer };
        if inbound {
            self.observer.become_guard();
            self.peers.become_guard(self.host.now());
        }
        self.observer.look_for_counterpart(&self.host);
        if inbound {
            log::info!("serin: inbound listener, so guard");
        }
    }

    /// The request's headers have come: forged ones go, a verdict steers or refuses. Whether the
    /// request goes on; it does not when it was refused. `is_whole` says that it has no body.
    pub fn on_request(&mut self, stream: &mut Stream, is_whole: bool) -> bool {
        self.busy = true;
        if self.may_glance() && !self.observer.looks(&self.host, stream) {
            let is_forged = forged::remove_at_glance(&self.host);
            if self.actions.is_steering() && !glance::is_left_alone(&self.host) {
                self.steer(is_forged);
            }
            return true;
        }
        let mut request = self.observer.read_request(&self.host);
        let is_forged = forged::remove_from_request(&self.host, &mut request);
        if request.left_alone {
            return true;
        }
        self.find_role();
        self.steer(is_forged);
        if self.is_guarding() {
            self.actions.note_request();
            if self.actions.is_armed()
                && let Some(route) = self.observer.guarded_route(&request.method, &request.path)
                && self.actions.refuse_request(&self.host, &request, &route)
            {
                stream.refused = true;
                return false;
            }
        }
        self.observer.follow(&self.host, stream, request, is_whole);
        true
    }

    /// Whether an exchange need not be looked at in full. A guard acts on each one.
    fn may_glance(&self) -> bool {
        self.role == Role::Comparer
    }

    /// Sends the current request to the baseline, where a verdict stands. `is_forged` says that it
    /// came with a header of Serin's.
    fn steer(&mut self, is_forged: bool) {
        if self.actions.is_steering()
            && let Some(mut upstream) = self.observer.upstream(&self.host)
        {
            if is_forged {
                // The route that the proxy knows is the one that the forged header chose.
                upstream.version = None;
            }
            self.actions.steer(&self.host, upstream);
        }
    }

    /// A part of the request's body has come; `is_end` says that it was the last one.
    pub fn on_request_body(&mut self, stream: &mut Stream, is_end: bool) {
        self.observer.follow_request(&self.host, stream, is_end);
    }

    /// The response's headers have come: it is annotated or refused. Whether the response goes on.
    pub fn on_response(&mut self, stream: &mut Stream) -> bool {
        // A local reply of our own passes here as well.
        if stream.refused {
            return true;
        }
        if stream.is_glanced_at() {
            self.observer.glance_at_response(&self.host, stream);
            if let Some(may_be_refusal) = self.observer.strips_at_glance(stream) {
                forged::remove_from_response_at_glance(&self.host, may_be_refusal);
            }
            return true;
        }
        // Read once: each read copies the whole map.
        let mut response = self.observer.read_response(&self.host);
        self.observer.follow_response(&self.host, stream, &response);
        if forged::remove_from_response(&self.host, &response, self.is_guarding()) {
            self.observer.note_forged();
        }
        self.observer.note_answer(stream, &response);
        self.observer.pass_report(&self.host, stream, &mut response);
        if self.actions.annotates() && stream.is_watched() {
            self.annotate();
        }
        let may_refuse = self.is_guarding() && self.actions.is_armed();
        let is_scored = self.observer.scores_early(stream);
        let is_traced = self.plan.traces && stream.is_watched();
        if (may_refuse || is_scored || is_traced)
            && self.observer.is_proxys_own(&self.host, &response)
        {
            // Nothing of the version's: there is nothing to score, to refuse or to trace.
            stream.keep(response);
            return true;
        }
        if is_traced && let Some(served) = self.observer.served(&self.host) {
            self.actions.trace(&self.host, &served);
        }
        if is_scored && self.is_too_strange(stream, &response) {
            return false;
        }
        if may_refuse {
            let refused = self.is_condemned(stream, &response);
            stream.keep(response);
            return !refused;
        }
        self.observer.choose_body(stream, &response);
        stream.keep(response);
        true
    }

    fn annotate(&mut self) {
        let served = self.observer.version(&self.host);
        let served = served
            .as_ref()
            .map(|(destination, version)| (&**destination, &**version));
        self.actions.annotate(&self.host, served);
    }

    /// Scores the exchange at the response's headers, where this is asked for: for a header or a
    /// trace, or to refuse an answer that is too strange. Whether it was refused.
    fn is_too_strange(&mut self, stream: &mut Stream, response: &Response) -> bool {
        let early = self.observer.score_early(&self.host, stream, response);
        if self.actions.annotates() {
            let text = early.as_ref().map(|early| early.text.as_str());
            annotate::score(&self.host, text);
        }
        if self.plan.traces
            && let Some(early) = early.as_ref().filter(|early| early.has_past)
        {
            access_log::leave_surprise(&self.host, &early.text);
        }
        let Some((method, route)) = early.and_then(|early| early.too_strange) else {
            return false;
        };
        let attempt = Attempt {
            method: &method,
            number: stream.attempt(),
        };
        match self.actions.condemn_strange(&attempt, &route) {
            Some(reason) => {
                self.refuse(stream, response, &reason);
                true
            }
            None => false,
        }
    }

    /// Refuses a response that is itself in a condemned category; whether it did.
    fn is_condemned(&mut self, stream: &mut Stream, response: &Response) -> bool {
        let attempt = stream.attempt();
        let actions = &mut self.actions;
        let reason = self
            .observer
            .decide_at_headers(stream, response, |route, exchange| {
                actions.condemn_response(attempt, route, exchange)
            });
        if let Some(reason) = &reason {
            self.refuse(stream, response, reason);
        }
        reason.is_some()
    }

    /// Replaces the answer, after the exchange was counted as what it was.
    fn refuse(&mut self, stream: &mut Stream, response: &Response, reason: &str) {
        stream.refused = true;
        self.count(stream, response, Phase::Headers);
        self.actions.refuse(&self.host, reason, response.grpc);
    }

    /// The response's trailers have come: forged ones go.
    pub fn on_response_trailers(&mut self, stream: &mut Stream) {
        if self.observer.reads_trailers(stream) && forged::remove_from_trailers(&self.host) {
            self.observer.note_forged_trailers();
        }
        self.observer.follow_body(&self.host, stream, 0);
    }

    /// A chunk of the response's body is passing.
    pub fn on_response_body(&mut self, stream: &mut Stream, size: usize) {
        self.observer.follow_body(&self.host, stream, size);
    }

    /// The exchange is over.
    pub fn on_log(&mut self, stream: &mut Stream) {
        if stream.is_glanced_at() {
            self.observer.count_glance(&self.host, stream);
        } else {
            self.observer.abandon_report(&self.host, stream);
            if !stream.refused {
                let response = stream.take_response();
                self.count(stream, &response, Phase::End);
            }
        }
        if self.closed {
            // The config was replaced while this exchange went on; no further tick will come.
            self.flush();
        }
    }

    fn count(&mut self, stream: &mut Stream, response: &Response, phase: Phase) {
        let counted = self.observer.count(&self.host, stream, response, phase);
        let Some(counted) = counted else {
            return;
        };
        if let Some(surprise) = &counted.surprise {
            access_log::leave_surprise(&self.host, &surprise.text);
            if let Some(bits) = surprise.bits {
                let (destination, version) = (&counted.served.destination, &counted.served.version);
                self.counters
                    .sample_surprise(&self.host, destination, version, bits);
            }
        }
        if let Some(line) = &counted.record {
            access_log::leave_exchange(&self.host, line);
        }
        self.actions
            .count_rescued(&self.host, counted.served, counted.status);
    }

    /// A tick: verdicts come back, what hangs is counted, what was counted goes to the mailbox, and
    /// the worker that holds the lease merges.
    pub fn tick(&mut self) {
        let now = self.host.now();
        if let Some(publication) = self.peers.read(&self.host) {
            let directives = publication.directives;
            let rollouts = directives
                .iter()
                .filter(|directive| !directive.candidate.is_empty())
                .map(|directive| directive.destination.clone());
            self.observer.update(rollouts, publication.cuts);
            self.actions.update(directives, self.is_guarding());
        }
        if self.role != Role::Auto {
            self.observer.look_for_counterpart(&self.host);
        }
        self.observer.tick(&self.host, now, self.root_id);
        self.observer.set_secret(self.peers.secret(&self.host));
        self.peers
            .share_templates(&self.host, self.observer.tally_mut());
        let delta = if self.peers.has_room() {
            self.take()
        } else {
            // What waits is written again now and then: it may have been damaged.
            Delta::default()
        };
        self.peers.publish(&self.host, delta, now);
        let troubles = self.peers.take_troubles(now);
        let role = role(self.is_guarding());
        self.counters.count_troubles(&self.host, role, troubles);
        self.actions.report(&self.host, &mut self.counters);
        self.peers.lead(&self.host, now, self.busy);
    }

    /// Where it counts.
    #[cfg(test)]
    pub(crate) fn tally_mut(&mut self) -> &mut scorer_sdk::count::tally::Tally {
        self.observer.tally_mut()
    }

    /// A call of the leader's has ended.
    pub fn hear(&mut self, reply: &Reply) {
        self.peers.hear(&self.host, reply, self.host.now());
    }

    /// The config is going: everything that was counted goes to the mailbox at once.
    pub fn close(&mut self) {
        self.closed = true;
        self.flush();
    }

    fn flush(&mut self) {
        let delta = self.take();
        self.peers.flush(&self.host, delta);
        let troubles = self.peers.take_troubles(self.host.now());
        let role = role(self.is_guarding());
        self.counters.count_troubles(&self.host, role, troubles);
        self.actions.report(&self.host, &mut self.counters);
    }

    /// What was counted since the last call; the metrics are told.
    fn take(&mut self) -> Delta {
        let (delta, lost_surprise) = self.observer.take();
        self.counters.count_delta(&self.host, &delta, lost_surprise);
        delta
    }
}
