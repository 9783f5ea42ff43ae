//! Fan-out: the calls that the application makes itself while it serves one request.
//!
//! A fan-out is written as a list such as `auth GET /check 1,stock GET /items/{int} 6+`: one part
//! for each distinct call, with how often it was made in rough numbers. A part that stable always
//! has and the candidate lacks is a skipped call, or one that is made more or less often: N+1
//! queries turn `1` into `6+`.

use super::{Found, Input, NameHasher, Question, Rule, Signal, Token};
use crate::exchange::Exchange;

/// Most distinct calls of a fan-out; further ones count as one.
pub const MAX_CALLS: usize = 24;
/// What stands for the calls beyond [`MAX_CALLS`].
pub const MORE: &str = "more";

/// The signal `fan_out`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FanOut;

/// How often a call was made, in rough numbers: 1, 2, 3-5, 6+.
#[must_use]
pub fn rough_count(count: u64) -> &'static str {
    match count {
        0 | 1 => "1",
        2 => "2",
        3..=5 => "3-5",
        _ => "6+",
    }
}

/// Writes a fan-out from calls with their counts, in any order.
#[must_use]
pub fn describe(calls: &mut [(String, u64)]) -> String {
    crate::order::sort(calls);
    let mut parts: Vec<String> = calls
        .iter()
        .take(MAX_CALLS)
        .map(|(call, count)| format!("{} {}", call.replace(',', ";"), rough_count(*count)))
        .collect();
    if calls.len() > MAX_CALLS {
        parts.push(MORE.to_owned());
    }
    parts.join(",")
}

/// A part of a fan-out: the call, and how often it was made.
fn parted(part: &str) -> (&str, &str) {
    match part.rsplit_once(' ') {
        Some((call, "1")) => (call, "once"),
        Some((call, "2")) => (call, "twice"),
        Some((call, "3-5")) => (call, "3 to 5 times"),
        Some((call, "6+")) => (call, "6+ times"),
        _ => (part, "once"),
    }
}

impl Signal for FanOut {
    fn name(&self) -> &'static str {
        "fan_out"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("lost_call", Rule::Lost { presence: 0.995 })
                .weight(0.06)
                .meaning(
                    "skip a call that the baseline always makes, or make it more or less often",
                ),
            Question::new("unusual_fan_out", Rule::Unusual { share: 0.001 })
                .weight(0.03)
                .meaning("make calls that the baseline hardly ever makes"),
        ]
    }

    fn inputs(&self) -> &'static [Input] {
        &[Input::FanOut]
    }

    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token> {
        // A failure breaks off anywhere; it counts as a failure and not twice.
        if exchange.is_error() {
            return None;
        }
        exchange
            .fan_out
            .map(|calls| Token::Name(hasher.hash(calls)))
    }

    fn phrase(&self, _: &Question, found: &Found) -> Option<String> {
        let other = |call: &str| {
            let others = found.others.iter().map(|part| parted(part));
            others.into_iter().find(|other| other.0 == call)
        };
        let lost = found.names.iter().map(|part| parted(part));
        let is_lost = |call: &str| found.names.iter().any(|part| parted(part).0 == call);
        let changed = lost.map(|(call, often)| match other(call) {
            Some((_, now)) => format!("call {call} {now} instead of {often}"),
            None => format!("do not call {call}"),
        });
        let new = found
            .others
            .iter()
            .map(|part| parted(part))
            .filter(|(call, _)| !is_lost(call))
            .map(|(call, often)| format!("also call {call} {often}"));
        let all: Vec<String> = changed.chain(new).collect();
        (!all.is_empty()).then(|| super::listed(&all))
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        name.push_str(exchange.fan_out.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_calls_does_not_matter_and_their_number_only_roughly() {
        let calls = |list: &[(&str, u64)]| {
            let mut calls: Vec<(String, u64)> = list
                .iter()
                .map(|(call, count)| ((*call).to_owned(), *count))
                .collect();
            describe(&mut calls)
        };
        assert_eq!(
            calls(&[("stock GET /items", 7), ("auth GET /check", 1)]),
            calls(&[("auth GET /check", 1), ("stock GET /items", 60)])
        );
        assert_eq!(calls(&[("a", 1), ("b", 4)]), "a 1,b 3-5");
        let many: Vec<(String, u64)> = (0..30).map(|call| (format!("c{call:02}"), 1)).collect();
        let text = describe(&mut many.clone());
        assert!(text.ends_with("c23 1,more"), "{text}");
    }
}
