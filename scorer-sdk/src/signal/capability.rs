//! Capabilities: what a signal tells the engine and the filter about itself.
//!
//! Nobody asks for a signal by its name. A caller asks the plan for a signal that can do what the
//! caller needs ([`crate::Plan::duration`], [`crate::Plan::failures`], [`crate::Plan::wants`]), so
//! that an author's own signal is treated as the built-in ones are.

use crate::sketch::buckets;

/// A part of an exchange that costs something to get. It is there only while a signal that is on
/// reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// [`Exchange::next_call`](crate::Exchange::next_call): sessions are followed from call to
    /// call. A signal that reads it is on by default where the config has `session.from`.
    Sessions,
    /// [`Exchange::body`](crate::Exchange::body): the shape of response bodies. A signal that reads
    /// it is on by default where the config has `body`.
    Bodies,
    /// [`Exchange::fan_out`](crate::Exchange::fan_out): the application's own calls, joined with
    /// the request that caused them. A signal that reads it is off until the config switches it on.
    FanOut,
}

/// Tells whether a token is a failure of the server.
pub type IsFailure = fn(u16) -> bool;

/// What a signal's numbers measure, where they are log buckets ([`buckets`]) and not codes of the
/// signal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// How long the exchange took as a whole, in microseconds. Such a signal also counts exchanges
    /// that are still in flight, its times are watched for drift, and a guard does not refuse for
    /// it, because the time is not known when the headers come.
    Duration,
    /// Bytes.
    Bytes,
}

impl Quantity {
    /// The bucket `code` for people: its upper bound with the unit.
    #[must_use]
    pub fn label(self, code: u16) -> String {
        let bound = buckets::upper_bound(code);
        match self {
            Self::Duration => format!("{:.1} ms", bound as f64 / 1_000.0),
            Self::Bytes => format!("{bound} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{NameHasher, Question, Rule, Signal, Token};
    use crate::testing::exchange;
    use crate::{Engine, Exchange, Plan};
    use core::time::Duration;
    use std::sync::Arc;

    /// An author's signal for everything: whether a session goes on, what failed, how long it took.
    struct Own(&'static [Input]);

    fn teapot(code: u16) -> bool {
        code == 418
    }

    impl Signal for Own {
        fn name(&self) -> &'static str {
            "own"
        }

        fn questions(&self) -> Vec<Question> {
            vec![
                Question::new("teapot", Rule::Fixed(teapot)),
                Question::new("late", Rule::Above { quantile: 0.9 }).needs(1.0),
            ]
        }

        fn inputs(&self) -> &'static [Input] {
            self.0
        }

        fn quantity(&self) -> Option<Quantity> {
            Some(Quantity::Duration)
        }

        fn failures(&self) -> Option<IsFailure> {
            Some(teapot)
        }

        fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
            exchange.next_call.map(|_| Token::Number(418))
        }
    }

    fn plan(config: &str, inputs: &'static [Input]) -> Plan {
        Plan::with_signals(config, vec![Box::new(Own(inputs))]).unwrap()
    }

    fn is_on(config: &str, inputs: &'static [Input]) -> bool {
        let plan = plan(config, inputs);
        plan.signals.iter().any(|signal| signal.name() == "own")
    }

    #[test]
    fn sessions_are_followed_for_an_own_signal_that_reads_them() {
        let config = r#"{"warm_up": "0s", "baseline": "v1", "candidate": "v2",
            "session": {"from": "connection"}, "signals": {"next_call": false}}"#;
        let mut engine = Engine::new(Arc::new(plan(config, &[Input::Sessions])), 1);
        // A call is charged when the sessions of its tick are over.
        for second in 0..50 {
            for session in 0..4 {
                engine.observe(&Exchange {
                    version: if session % 2 == 0 { "v1" } else { "v2" },
                    session: Some(session),
                    ..exchange()
                });
            }
            engine.advance(Duration::from_secs(1_000 + second));
        }
        let found = engine.judge().inspect();
        let own = found[0].routes[0]
            .signals
            .iter()
            .find(|signal| signal.signal == "own")
            .unwrap();
        assert_eq!(own.tokens.len(), 1, "{own:?}");
        assert!(own.tokens[0].candidate > 0.0, "{own:?}");
    }

    #[test]
    fn what_a_signal_reads_decides_whether_it_is_on_by_default() {
        assert!(is_on("", &[]));
        assert!(!is_on("", &[Input::Bodies]));
        assert!(is_on(r#"{"body": {}}"#, &[Input::Bodies]));
        assert!(!is_on("", &[Input::Sessions]));
        assert!(!is_on("", &[Input::FanOut]));
        let config = r#"{"signals": {"own": true}}"#;
        assert!(plan(config, &[Input::FanOut]).wants(Input::FanOut));
    }

    #[test]
    fn an_own_signal_stands_in_for_a_built_in_one_that_is_off() {
        let built_in = plan("", &[]);
        let name = |plan: &Plan, index: Option<usize>| plan.signals[index.unwrap()].name();
        assert_eq!(name(&built_in, built_in.duration()), "latency");
        assert_eq!(
            name(&built_in, built_in.failures().map(|found| found.0)),
            "outcome"
        );

        let own = plan(r#"{"signals": {"latency": false, "outcome": false}}"#, &[]);
        assert_eq!(name(&own, own.duration()), "own");
        let (index, is_failure) = own.failures().unwrap();
        assert_eq!(name(&own, Some(index)), "own");
        assert!(is_failure(418) && !is_failure(500));
    }

    #[test]
    fn numbers_that_measure_a_quantity_are_written_with_its_unit() {
        assert_eq!(Own(&[]).label(0), Quantity::Duration.label(0));
        assert_eq!(Quantity::Bytes.label(0), "0 B");
    }
}
