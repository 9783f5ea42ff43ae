//! Where an exchange went: its destination, version and route.

use super::upstream::Upstreams;
use crate::host::{Host, properties};
use scorer_sdk::Plan;
use std::rc::Rc;

/// Where an exchange went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The service.
    pub destination: Rc<str>,
    /// The version that answered.
    pub version: Rc<str>,
    /// Name of the proxy's route; empty where it is not asked for.
    pub route_name: String,
}

impl Served {
    /// Where the current stream went. `None` when this is no version that is watched.
    pub fn current(host: &impl Host, plan: &Plan, upstreams: &mut Upstreams) -> Option<Self> {
        let (destination, version) = upstreams.served(host, plan)?;
        let name = if plan.routes_by_name {
            host.property(properties::ROUTE_NAME)
        } else {
            None
        };
        let route_name = name
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        Some(Self {
            destination,
            version,
            route_name,
        })
    }

    /// Where every stream of a guard goes: to the application beside it.
    #[must_use]
    pub fn by_guarded(plan: &Plan) -> Self {
        let reference = plan.reject.reference.as_ref();
        Self {
            destination: reference
                .map_or("inbound", |known| known.destination.as_str())
                .into(),
            version: plan.candidate.as_deref().unwrap_or("candidate").into(),
            route_name: String::new(),
        }
    }
}
