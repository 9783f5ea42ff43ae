//! Steering: requests to a condemned version are sent to the baseline.

use crate::host::Host;
use crate::stream::upstream::Upstream;
use crate::sync::publication::Directive;
use hashbrown::HashMap;
use scorer_sdk::telemetry::STEER_HEADER;
use std::rc::Rc;

/// What one worker steers.
#[derive(Debug, Default)]
pub struct Steering {
    /// Whether any destination is being steered: the one flag that a request looks at.
    is_on: bool,
    /// Gathers the share of requests that a probation lets through.
    trickle: f64,
    /// Requests that were steered, by destination.
    steered: HashMap<Rc<str>, u64>,
}

impl Steering {
    /// Takes over whether there is anything to be steered.
    pub fn update(&mut self, is_on: bool) {
        self.is_on = is_on;
    }

    /// Whether any destination is being steered.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Sends the request to the baseline if a verdict stands against its destination's candidate.
    pub fn steer(&mut self, host: &impl Host, directives: &[Directive], upstream: Upstream) {
        let Some(directive) = directives
            .iter()
            .find(|directive| directive.destination == *upstream.destination)
            .filter(|directive| directive.steer_share > 0.0)
        else {
            return;
        };
        // Where the route tells the version, the other versions' requests stay where they are.
        if let Some(version) = &upstream.version
            && !directive
                .condemned_versions
                .iter()
                .any(|condemned| **condemned == **version)
        {
            return;
        }
        self.trickle += 1.0 - directive.steer_share;
        if self.trickle >= 1.0 {
            self.trickle -= 1.0;
            return;
        }
        host.set_request_header(STEER_HEADER.name, &directive.baseline);
        *self.steered.entry(upstream.destination).or_insert(0) += 1;
    }

    /// Takes the requests that were steered since the last call, by destination.
    pub fn take(&mut self) -> impl Iterator<Item = (Rc<str>, u64)> {
        self.steered.drain()
    }
}
