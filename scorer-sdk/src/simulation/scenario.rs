//! What happens in a simulated rollout.

use super::clients::{Clients, Retries};
use super::deployment::Deployment;
use super::service::Service;
use super::share::Share;
use super::shared_change::{SharedChange, Swing};
use core::time::Duration;

/// What happens in a simulated rollout. The default is a healthy one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The service and its routes.
    pub service: Service,
    /// The stable version.
    pub baseline: Deployment,
    /// The new version.
    pub candidate: Deployment,
    /// The candidate's share of the requests.
    pub share: Share,
    /// How many requests there are.
    pub load: Load,
    /// What hits both versions.
    pub shared_change: SharedChange,
    /// A request header that all of the candidate's requests carry and no other, as when a rule
    /// sends beta users to it.
    pub header_rule: Option<String>,
    /// The clients.
    pub clients: Clients,
    /// What happens to failed requests.
    pub retries: Retries,
    /// Requests that the baseline has answered alone before the candidate came.
    pub learning: u64,
}

impl Default for Scenario {
    /// A shop with six routes, versions `v1` and `v2` on four pods each, a tenth of 200 requests a
    /// second for `v2`.
    fn default() -> Self {
        Self {
            service: Service::default(),
            baseline: Deployment::new("v1", 4),
            candidate: Deployment::new("v2", 4),
            share: Share::default(),
            load: Load::default(),
            shared_change: SharedChange::default(),
            header_rule: None,
            clients: Clients::default(),
            retries: Retries::default(),
            learning: 4_000,
        }
    }
}

/// How many requests there are: a Poisson number each tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Mean number of requests in a tick.
    pub requests: f64,
    /// How that number swings.
    pub swing: Option<Swing>,
    /// Length of a tick. Plan and traffic should agree.
    pub tick: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            requests: 200.0,
            swing: None,
            tick: Duration::from_secs(1),
        }
    }
}
