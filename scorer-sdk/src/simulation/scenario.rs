//! What happens in a simulated rollout.

use super::clients::{Clients, Retries};
use super::deployment::Deployment;
use super::lone_client::LoneClient;
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
    /// Clients unlike all others, beside these.
    pub lone_clients: Vec<LoneClient>,
    /// What happens to failed requests.
    pub retries: Retries,
    /// Requests that the baseline has answered alone before the candidate came.
    pub learning: u64,
    /// Ticks after that in which the baseline is alone under the usual load.
    pub alone: u64,
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
            lone_clients: Vec::new(),
            retries: Retries::default(),
            learning: 4_000,
            alone: 0,
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
    /// When an exchange is reported.
    pub reported: Reported,
    /// A second proxy, whose counts reach the judge late.
    pub late_proxy: Option<LateProxy>,
}

/// When an exchange is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reported {
    /// In the tick in which it begins, however long it takes: the speed of a judge does not depend
    /// on the durations then.
    #[default]
    AtOnce,
    /// When it ends, as a proxy does.
    AtItsEnd,
}

/// A proxy whose counts reach the judge late, as when its clock or its network lags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LateProxy {
    /// Share of the requests that pass through it, from 0 to 1.
    pub share: f64,
    /// Ticks by which it is late.
    pub ticks: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            requests: 200.0,
            swing: None,
            tick: Duration::from_secs(1),
            reported: Reported::default(),
            late_proxy: None,
        }
    }
}
