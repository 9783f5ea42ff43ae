//! Outcome: the status, the gRPC status where the content type is gRPC, or how it broke off.

use super::{Found, IsFailure, NameHasher, Question, Rule, Signal, Token, listed};
use crate::exchange::{Ending, Exchange};

/// No response came.
pub const NO_RESPONSE: u16 = 0;
/// The upstream broke off before there was a response.
pub const RESET: u16 = 1;
/// The client went away before there was a response.
pub const CLIENT_GONE: u16 = 2;
/// gRPC status `n` is this plus `n`.
pub const GRPC: u16 = 1000;
/// A response with status `n` whose rest never came is this plus `n`.
pub const CUT_OFF: u16 = 2000;

/// What [`CLIENT_GONE`] is called.
const GIVEN_UP: &str = "given up by the client";
/// What follows the status where [`CUT_OFF`] is meant.
const THEN_CUT_OFF: &str = ", then cut off";

/// The signal `outcome`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome;

/// Whether an outcome is the server's failure: 5xx, a reset, no response, or a gRPC status that
/// OpenTelemetry's conventions count as the server's (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED,
/// INTERNAL, UNAVAILABLE, DATA_LOSS).
#[must_use]
pub fn is_error(code: u16) -> bool {
    matches!(code, NO_RESPONSE | RESET | 500..=599 | CUT_OFF..)
        || matches!(code.checked_sub(GRPC), Some(2 | 4 | 12 | 13 | 14 | 15))
}

/// Whether the server refused the request as the client's fault: 4xx, or one of the other gRPC
/// statuses but OK and CANCELLED.
#[must_use]
pub fn is_refused(code: u16) -> bool {
    matches!(code, 400..=499)
        || matches!(
            code.checked_sub(GRPC),
            Some(3 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 16)
        )
}

/// Whether the exchange failed, whoever is to blame: what a glance at its end can tell.
#[must_use]
pub fn is_failed(code: u16) -> bool {
    matches!(code, NO_RESPONSE | RESET | 400..=599) || code > GRPC
}

/// The code of an exchange's outcome.
#[must_use]
pub fn code(exchange: &Exchange<'_>) -> Option<u16> {
    match (exchange.ending, exchange.status) {
        (Ending::InFlight, _) => None,
        (Ending::Reset, None) => Some(RESET),
        (Ending::Reset, Some(status)) => Some(CUT_OFF + status.clamp(100, 599)),
        (Ending::ClientGone, None) => Some(CLIENT_GONE),
        (_, None) => Some(NO_RESPONSE),
        (_, Some(status)) => Some(match exchange.grpc_status {
            Some(grpc) => GRPC + grpc.min(17),
            None => status.clamp(100, 599),
        }),
    }
}

impl Signal for Outcome {
    fn name(&self) -> &'static str {
        "outcome"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("error", Rule::Fixed(is_error))
                .tolerance(1.5)
                .weight(0.35)
                .meaning("fail (5xx, reset, no answer, gRPC server error)"),
            Question::new("refused", Rule::Fixed(is_refused))
                .weight(0.1)
                .meaning("are refused (4xx, gRPC client error)"),
            Question::new("unusual_status", Rule::Unusual { share: 0.001 })
                .weight(0.04)
                .meaning("end in a way in which the baseline's hardly ever end"),
        ]
    }

    fn failures(&self) -> Option<IsFailure> {
        Some(is_error)
    }

    fn failed(&self) -> Option<IsFailure> {
        Some(is_failed)
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        code(exchange).map(Token::Number)
    }

    fn phrase(&self, question: &Question, found: &Found) -> Option<String> {
        let names = || found.names.iter();
        let first = found.names.first()?;
        let list = listed(&found.names);
        // As "200, then cut off" where there are several.
        let begun = first
            .strip_suffix(THEN_CUT_OFF)
            .filter(|_| found.names.len() == 1);
        Some(match (question.rule, begun) {
            (_, Some(status)) => format!("begin with {status} and are then cut off"),
            (Rule::Fixed(rule), _) if rule(403) => format!("are refused ({list})"),
            (Rule::Fixed(_), _) => format!("fail ({list})"),
            _ if found.names.len() == 1 && first == GIVEN_UP => {
                "end because clients gave up waiting".to_owned()
            }
            _ if names().all(|name| name.bytes().all(|byte| byte.is_ascii_digit())) => {
                format!("are answered with {list}")
            }
            _ => format!("end in a way in which the baseline's hardly ever end ({list})"),
        })
    }

    fn label(&self, code: u16) -> String {
        match code {
            NO_RESPONSE => "no answer".to_owned(),
            RESET => "reset before an answer".to_owned(),
            CLIENT_GONE => GIVEN_UP.to_owned(),
            CUT_OFF.. => format!("{}{THEN_CUT_OFF}", code - CUT_OFF),
            GRPC.. => format!("grpc {}", code - GRPC),
            status => status.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let cases = [
            (500, true, false),
            (503, true, false),
            (404, false, true),
            (200, false, false),
            (NO_RESPONSE, true, false),
            (RESET, true, false),
            (CUT_OFF + 200, true, false),
            (CUT_OFF + 404, true, false),
            (CLIENT_GONE, false, false),
            (GRPC, false, false),
            (GRPC + 1, false, false),
            (GRPC + 5, false, true),
            (GRPC + 14, true, false),
        ];
        for (code, error, refused) in cases {
            assert_eq!(
                (is_error(code), is_refused(code)),
                (error, refused),
                "{code}"
            );
        }
    }
}
