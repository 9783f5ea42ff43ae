//! What hits both versions alike, and pods by chance.

use core::f64::consts::TAU;
use std::ops::Range;

/// What happens to both versions. The default is that nothing does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SharedChange {
    /// Odds of failures of both versions swing.
    pub errors: Option<Swing>,
    /// Durations of both versions swing.
    pub latency: Option<Swing>,
    /// Pods stall by chance.
    pub bursts: Option<Bursts>,
    /// A shared dependency is down or slow.
    pub outages: Vec<Outage>,
}

impl SharedChange {
    /// Factors on odds of failure and on durations in this tick, which is negative before the
    /// rollout.
    pub(super) fn factors(&self, tick: i64, phase: f64) -> (f64, f64) {
        let swing = |swing: &Option<Swing>, phase| {
            swing.as_ref().map_or(1.0, |swing| swing.at(tick, phase))
        };
        self.outages
            .iter()
            .filter(|outage| u64::try_from(tick).is_ok_and(|tick| outage.ticks.contains(&tick)))
            .fold(
                // The two swings are not in step.
                (
                    swing(&self.errors, phase),
                    swing(&self.latency, phase + 0.3),
                ),
                |(errors, latency), outage| (errors * outage.error_odds, latency * outage.slower),
            )
    }
}

/// A factor that swings as a sine does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Swing {
    /// From `1/factor` to `factor`, evenly in logs.
    pub factor: f64,
    /// Ticks from one peak to the next.
    pub period: f64,
}

impl Swing {
    /// The factor in this tick; `phase` is in periods.
    pub(super) fn at(&self, tick: i64, phase: f64) -> f64 {
        let angle = TAU * (tick as f64 / self.period + phase);
        self.factor.powf(angle.sin())
    }
}

/// Pods that stall for a tick, as in a garbage collection pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Chance of each pod of each version in each tick, from 0 to 1.
    pub chance: f64,
    /// Share of its requests in that tick that the pause hits, from 0 to 1.
    pub share: f64,
    /// Durations of these, in multiples.
    pub slower: f64,
    /// Odds of their failure, in multiples.
    pub error_odds: f64,
}

/// A time in which both versions are worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Ticks of the rollout.
    pub ticks: Range<u64>,
    /// Odds of a failure, in multiples.
    pub error_odds: f64,
    /// Durations, in multiples.
    pub slower: f64,
}
