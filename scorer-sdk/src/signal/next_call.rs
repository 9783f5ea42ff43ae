//! Next call: which route the same session asks for next, charged to the version that served the
//! call before.
//!
//! A page that lost its link, or sends its users round in a circle, answers 200 in good time; what
//! its users do next is not what stable's users do.

use super::{Found, Input, NameHasher, Question, Rule, Signal, Token, listed};
use crate::exchange::Exchange;

/// What stands for the end of a session.
pub const NO_CALL: &str = "(nothing)";

/// The signal `next_call`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NextCall;

impl Signal for NextCall {
    fn name(&self) -> &'static str {
        "next_call"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("strayed", Rule::Unlike { share: 0.5 })
                .weight(0.03)
                .meaning("are followed by another call than most of the baseline's"),
            Question::new("unusual_next_call", Rule::Unusual { share: 0.001 })
                .weight(0.02)
                .needs(200.0)
                .meaning("are followed by a call that hardly ever follows the baseline's"),
        ]
    }

    fn inputs(&self) -> &'static [Input] {
        &[Input::Sessions]
    }

    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token> {
        exchange
            .next_call
            .map(|next| Token::Name(hasher.hash(next)))
    }

    fn phrase(&self, question: &Question, found: &Found) -> Option<String> {
        found.names.first()?;
        let said = |name: &String| match name.as_str() {
            NO_CALL => "no further call".to_owned(),
            name => name.to_owned(),
        };
        let names: Vec<String> = found.names.iter().map(said).collect();
        let mut text = format!("are followed by {}", listed(&names));
        if let (Rule::Unlike { .. }, Some(usual)) = (question.rule, found.others.first()) {
            text.push_str(&format!(" instead of {}", said(usual)));
        }
        Some(text)
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        name.push_str(exchange.next_call.unwrap_or_default());
    }
}
