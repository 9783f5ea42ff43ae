//! What real traffic has and independent requests have not: requests share a pod, a session, a
//! client, a cold start, a stream that lasts for minutes.
//!
//! The rollouts run in real time under the default config, `warm_up` included, after the baseline
//! has been alone for five minutes; an exchange is reported when it ends.

mod alarms;
mod attack;
mod healthy;
mod power;

pub use alarms::{Alarms, alarms, sampled_alarms};
pub use attack::{Attack, Attacked, attacked, attacks, sampled_attack};
pub use healthy::{healthy, healthy_under_load};
pub use power::{Bad, Found, bad, found, warm_but_slow};

use crate::simulation::{Deployment, Load, Reported, Scenario, Share};

/// Ticks for which the baseline is alone.
const ALONE: u64 = 300;

/// How much traffic there is, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Mean number of requests in a second.
    pub load: f64,
    /// The candidate's share, from 0 to 1.
    pub share: f64,
    /// Length of the rollout in seconds.
    pub seconds: u64,
}

/// 20 minutes at 60 requests a second, a tenth for the candidate.
pub const USUAL: Geometry = Geometry {
    load: 60.0,
    share: 0.1,
    seconds: 1_200,
};

/// 14 minutes at 30 requests a second, a fifth for the candidate.
pub const SHORT: Geometry = Geometry {
    load: 30.0,
    share: 0.2,
    seconds: 840,
};

/// One kind of rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about, for people.
    pub name: String,
    /// The scenario.
    pub scenario: Scenario,
    /// Length of the rollout in ticks of a second.
    pub ticks: u64,
}

/// A healthy rollout whose requests are independent: ten pods and two.
#[must_use]
pub fn plain(geometry: Geometry) -> Scenario {
    Scenario {
        baseline: Deployment::new("v1", 10),
        candidate: Deployment::new("v2", 2),
        share: Share::Constant(geometry.share),
        load: Load {
            requests: geometry.load,
            reported: Reported::AtItsEnd,
            ..Load::default()
        },
        learning: 0,
        alone: ALONE,
        ..Scenario::default()
    }
}

/// The scenario with so many pods of baseline and candidate.
fn pods(mut scenario: Scenario, baseline: usize, candidate: usize) -> Scenario {
    scenario.baseline.pods = baseline;
    scenario.candidate.pods = candidate;
    scenario
}
