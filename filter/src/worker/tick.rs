//! Between requests: counts go to the mailbox, verdicts come back, and what hangs is counted.

use super::{Worker, served};
use crate::host::Host;
use crate::sync::publication::Publication;
use crate::sync::secret;
use core::time::Duration;
use scorer_sdk::config::{Mode, SessionSource};
use scorer_sdk::count::delta::Delta;
use scorer_sdk::exchange::{Ending, Exchange};
use scorer_sdk::judge::verdict::Verdict;

/// Exchanges in flight that are looked at in one tick.
const MAX_LONG_RUNNING_PER_TICK: usize = 512;
/// Time in microseconds until an exchange in flight on a route without a cut is looked at again.
const LOOK_AGAIN_US: u64 = 10_000_000;
impl<H: Host> Worker<H> {
    /// A tick: what hangs is counted, what was counted goes to the mailbox, verdicts come back, and
    /// whoever holds the lease merges.
    pub fn tick(&mut self) {
        let now = self.host.now();
        self.read_publication();
        if self.role_is_known {
            self.look_for_counterpart();
        }
        self.count_long_running(now);
        self.origins.tick(self.plan.tick);
        if self.plan.session != SessionSource::Connection {
            self.reader
                .set_secret(secret::of_proxy(&self.host, self.owner));
        }
        if let Some(surprise) = &mut self.surprise {
            surprise.tick(now);
        }
        if self.outbox.has_room() {
            let delta = self.take();
            self.outbox.publish(&self.host, delta, now);
        }
        self.count_actions();
        self.leader.tick(&self.host, now, self.busy);
    }

    pub(super) fn take(&mut self) -> Delta {
        let mut delta = self.tally.take();
        delta.overflow.in_flight += core::mem::take(&mut self.overflowed_flights);
        delta.overflow.fan_outs += core::mem::take(&mut self.overflowed_fan_outs);
        for route in &delta.routes {
            let route_label = route.key.label();
            for version in &route.versions {
                let labels = [
                    ("destination", route.key.destination.as_str()),
                    ("route", route_label.as_str()),
                    ("version", version.version.as_str()),
                ];
                self.metrics.count(
                    &self.host,
                    "serin_exchanges_total",
                    &labels,
                    version.exchanges,
                );
            }
        }
        self.metrics.count_overflow(&self.host, &delta.overflow);
        if let Some(surprise) = &mut self.surprise {
            let labels = [("table", "surprise")];
            let lost = surprise.take_overflow();
            self.metrics
                .count(&self.host, "serin_overflow_total", &labels, lost);
        }
        self.metrics.count_refused(&self.host);
        delta
    }

    pub(super) fn count_actions(&mut self) {
        let counts = [
            ("serin_steered_total", &mut self.steered),
            ("serin_rescued_total", &mut self.rescued),
        ];
        for (metric, counts) in counts {
            for (destination, count) in counts.drain() {
                let labels = [("destination", &*destination)];
                self.metrics.count(&self.host, metric, &labels, count);
            }
        }
        for (reason, count) in self.rejected.drain() {
            let (route, category) = reason.rsplit_once(';').unwrap_or((&reason, ""));
            let labels = [("route", route), ("reason", category)];
            self.metrics
                .count(&self.host, "serin_rejected_total", &labels, count);
        }
    }

    fn read_publication(&mut self) {
        let bytes = self.host.shared(&self.keys.verdict()).bytes;
        let number = Publication::peek_number(&bytes);
        if number.is_none_or(|number| number == self.publication) {
            return;
        }
        // What cannot be read is another version's: act as if there were no verdict.
        let publication = Publication::decode(&bytes).unwrap_or_default();
        self.publication = number.unwrap_or(0);
        self.outbox.acknowledge(&publication.acknowledged);
        self.cuts = publication.cuts.into_iter().collect();
        self.steering = self.plan.mode == Mode::Steer
            && publication
                .directives
                .iter()
                .any(|directive| directive.steer_share > 0.0);
        if self.guarding && self.plan.mode == Mode::Reject {
            let condemned: Vec<_> = publication
                .directives
                .iter()
                .filter(|directive| directive.verdict == Some(Verdict::Anomalous))
                .flat_map(|directive| directive.condemned.iter().cloned())
                .collect();
            self.guard.update(&self.plan, &condemned);
        }
        self.tally.set_halves(publication.halves);
        self.directives = publication.directives;
    }

    /// Counts as slow what has been in flight for longer than its route's cut: a candidate that
    /// hangs never completes anything.
    fn count_long_running(&mut self, now: Duration) {
        let Some(shortest) = self.cuts.values().min().copied() else {
            return;
        };
        let mut entered = false;
        let mut looked_at = 0;
        let Self {
            in_flight,
            host,
            tally,
            upstreams,
            origins,
            plan,
            cuts,
            guarding,
            ..
        } = self;
        for flight in in_flight.iter_mut().filter(|flight| !flight.counted) {
            let elapsed = now.saturating_sub(flight.started).as_micros() as u64;
            if elapsed <= shortest.max(flight.not_before_us)
                || looked_at >= MAX_LONG_RUNNING_PER_TICK
            {
                continue;
            }
            // Streams that last long by nature are not looked at in every tick.
            flight.not_before_us = elapsed.saturating_add(LOOK_AGAIN_US);
            looked_at += 1;
            entered = true;
            if !host.enter(flight.context_id) {
                continue;
            }
            let Some(served) = served(host, plan, upstreams, *guarding) else {
                continue;
            };
            let Some(index) = tally.route(
                &served.destination,
                &served.route_name,
                &flight.method,
                &flight.path,
            ) else {
                continue;
            };
            let cut = tally.key(index).and_then(|key| cuts.get(key));
            match cut {
                Some(cut) if elapsed > *cut => {}
                Some(cut) => {
                    flight.not_before_us = *cut;
                    continue;
                }
                None => continue,
            }
            let origin = origins.current(
                host,
                plan,
                tally,
                (&served.destination, &served.version),
                flight.session,
            );
            let exchange = Exchange {
                ending: Ending::InFlight,
                duration_us: Some(elapsed),
                upstream_host: &origin.host,
                session: origin.session,
                ..served.exchange(flight)
            };
            tally.record_at(index, &exchange);
            flight.counted = true;
        }
        if entered {
            self.host.enter(self.root_id);
        }
    }
}
