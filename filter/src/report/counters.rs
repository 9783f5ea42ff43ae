//! The metrics that each worker counts for itself.

use super::metrics::{Id, Metrics};
use super::series;
use super::troubles::{DamageLine, Troubles};
use crate::host::Host;
use scorer_sdk::count::delta::{Delta, VersionDelta};
use scorer_sdk::telemetry::{self, label};

/// What one worker counts.
#[derive(Debug)]
pub struct Counters {
    metrics: Metrics,
    damage: DamageLine,
}

impl Counters {
    /// Nothing counted yet. The process has at most `limit` series.
    #[must_use]
    pub fn new(process: series::Shared, limit: usize) -> Self {
        Self {
            metrics: Metrics::new(process, limit),
            damage: DamageLine::default(),
        }
    }

    /// Counts the exchanges of a delta, and what found no room in a bounded table.
    /// `lost_surprise` is the number of entries that did not fit the models of surprise.
    pub fn count_delta(&mut self, host: &impl Host, delta: &Delta, lost_surprise: u64) {
        for route in &delta.routes {
            let route_label = route.key.label();
            for version in &route.versions {
                let labels = [
                    (label::DESTINATION, route.key.destination.as_str()),
                    (label::ROUTE, route_label.as_str()),
                    (label::VERSION, version.version.as_str()),
                ];
                let metric = Id::of(&telemetry::EXCHANGES);
                self.metrics.count(host, metric, &labels, version.exchanges);
                self.count_bodies(host, labels, version);
            }
        }
        self.metrics.count_overflow(host, &delta.overflow);
        self.metrics.count_lost(host, "surprise", lost_surprise);
        self.metrics.count_refused(host);
    }

    /// Counts what keeps the worker and the judge apart, once a tick.
    pub fn count_troubles(&mut self, host: &impl Host, role: &str, troubles: Troubles) {
        let labels = [(label::ROLE, role)];
        let metric = Id::of(&telemetry::UNMERGED_TICKS);
        let ticks = u64::from(troubles.is_late);
        self.metrics.count(host, metric, &labels, ticks);
        self.metrics.count_lost(host, "mailbox", troubles.lost);
        let damaged = troubles.damage.parts;
        self.metrics.count_lost(host, "damaged", damaged);
        self.damage.tell(&troubles.damage);
    }

    /// Counts the bodies of a version on a route: those that were looked at, and those that were to
    /// be.
    fn count_bodies(
        &mut self,
        host: &impl Host,
        labels: [(&str, &str); 3],
        version: &VersionDelta,
    ) {
        let metric = Id::of(&telemetry::BODIES);
        let looked_at = version.bodies.answers() as u64;
        self.metrics.count(host, metric, &labels, looked_at);
        let [destination, route, version_label] = labels;
        for (reason, count) in version.bodies_left_out.items() {
            let reason = (label::REASON, reason.name());
            let labels = [destination, route, version_label, reason];
            let metric = Id::of(&telemetry::BODIES_LEFT_OUT);
            self.metrics.count(host, metric, &labels, u64::from(count));
        }
    }

    /// Counts requests to a destination that were steered.
    pub fn count_steered(&mut self, host: &impl Host, destination: &str, count: u64) {
        let labels = [(label::DESTINATION, destination)];
        let metric = Id::of(&telemetry::STEERED);
        self.metrics.count(host, metric, &labels, count);
    }

    /// Counts requests to a destination that a further attempt rescued.
    pub fn count_rescued(&mut self, host: &impl Host, destination: &str, count: u64) {
        let labels = [(label::DESTINATION, destination)];
        let metric = Id::of(&telemetry::RESCUED);
        self.metrics.count(host, metric, &labels, count);
    }

    /// Counts refusals. `reason` is `<route>;<category>`, as the caller's proxy was told.
    pub fn count_rejected(&mut self, host: &impl Host, reason: &str, count: u64) {
        let (route, category) = reason.rsplit_once(';').unwrap_or((reason, ""));
        let labels = [(label::ROUTE, route), (label::REASON, category)];
        let metric = Id::of(&telemetry::REJECTED);
        self.metrics.count(host, metric, &labels, count);
    }

    /// Adds the surprise of one exchange, in bits, to the histogram of its version.
    pub fn sample_surprise(
        &mut self,
        host: &impl Host,
        destination: &str,
        version: &str,
        bits: f64,
    ) {
        let labels = [(label::DESTINATION, destination), (label::VERSION, version)];
        let tenths = (10.0 * bits) as u64;
        let metric = Id::of(&telemetry::SURPRISE);
        self.metrics.sample(host, metric, &labels, tenths);
    }
}
