//! Hostile exchanges: texts and numbers that the fuzzer chooses.

use crate::input::Input;
use scorer_sdk::Plan;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::verdict::Decision;
use scorer_sdk::shape::{Limits, Shape};
use scorer_sdk::{Ending, Exchange, HeaderNames};
use std::sync::Arc;

/// A plan that judges early, with every signal that traffic alone can feed.
const CONFIG: &str = r#"{
    "baseline": "v1", "candidate": "v2", "warm_up": "1s", "tick": "1s",
    "body": {}, "session": {"from": "connection"}, "signals": {"fan_out": true},
    "routes": {"templates": ["/api/items/{id}"]}
}"#;
/// Names as real traffic has them, so that exchanges come together on routes and versions.
const DESTINATIONS: [&str; 2] = ["shop", "cart"];
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
const PATHS: [&str; 4] = ["/api/items/7", "/api/cart?x=1", "/", "/users/alice"];

/// The plan of [`CONFIG`].
pub(crate) fn plan() -> Arc<Plan> {
    let Ok(plan) = Plan::from_json(CONFIG) else {
        unreachable!("a test says that the config compiles");
    };
    Arc::new(plan)
}

/// Exchanges from bytes.
pub(crate) struct Traffic<'a> {
    input: Input<'a>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input::new(bytes),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.input.is_empty()
    }

    /// The numbers between the exchanges.
    pub(crate) fn input(&mut self) -> &mut Input<'a> {
        &mut self.input
    }

    /// One of the known names, or any text where the byte is beyond them.
    fn name(&mut self, known: &[&'static str]) -> &'a str {
        let choice = usize::from(self.input.byte() % 16);
        match known.get(choice % (known.len() + 1)) {
            Some(name) => name,
            None => self.input.text(),
        }
    }

    /// Counts one exchange.
    pub(crate) fn record(&mut self, tally: &mut Tally) {
        let destination = self.name(&DESTINATIONS);
        let version = self.name(&VERSIONS);
        let path = self.name(&PATHS);
        let method = self.name(&["GET", "POST"]);
        let flags = self.input.byte();
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let status = if flag(0) { self.input.u16() } else { 200 };
        let headers = vec![self.name(&["etag"]), self.name(&["vary"])];
        let body = flag(1).then(|| {
            let mut shape = Shape::new(Arc::new(Limits::default()));
            shape.feed(self.input.bytes());
            shape.finish()
        });
        tally.record(&Exchange {
            destination,
            route_name: if flag(2) { self.input.text() } else { "" },
            method,
            path,
            version,
            status: (!flag(3)).then_some(status),
            grpc_status: flag(4).then(|| self.input.u16()),
            ending: match flags >> 5 & 3 {
                0 => Ending::Complete,
                1 => Ending::Reset,
                2 => Ending::ClientGone,
                _ => Ending::InFlight,
            },
            duration_us: self.input.optional_u64(),
            response_bytes: self.input.optional_u64(),
            content_type: self.name(&["application/json", "application/grpc"]),
            header_names: Some(&headers),
            upstream_host: self.name(&["10.0.0.1:80", "10.0.0.2:80"]),
            session: self.input.optional_u64(),
            request_bytes: self.input.optional_u64(),
            request_header_names: flag(7).then_some(&headers as &dyn HeaderNames),
            fan_out: flag(7).then(|| self.input.text()),
            body: body.as_ref(),
            ..Exchange::default()
        });
    }
}

/// What holds of every decision.
pub(crate) fn check(decisions: &[Decision]) {
    for decision in decisions {
        assert!(
            decision.evidence.is_finite(),
            "evidence {}",
            decision.evidence
        );
        assert!(decision.change_evidence.is_finite(), "change evidence");
        assert!((0.0..=1.0).contains(&decision.steer_share), "share");
        assert!(!decision.explanation().is_empty(), "no explanation");
        for reason in &decision.reasons {
            assert!(reason.candidate.inside <= reason.candidate.total, "rate");
            assert!(reason.baseline.inside <= reason.baseline.total, "rate");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_compiles() {
        assert!(Plan::from_json(CONFIG).is_ok());
    }
}
