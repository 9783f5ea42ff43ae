//! Body shape: which keys the JSON of an answer has, where, and with values of which types.
//!
//! The whole shape is a token for the change test alone: with n optional fields there are up to
//! 2^n of them. Harm is asked for each path, of [`crate::shape::presence`].

use super::{Input, NameHasher, Question, Rule, Signal, Token};
use crate::exchange::Exchange;

/// The signal `body_shape`.
#[derive(Debug, Clone, Copy, Default)]
pub struct BodyShape;

/// Share of the baseline's answers in which a path has to hold before its loss is harm.
pub const HELD: f64 = 0.995;
/// Answers of the baseline in which it could have held.
pub const NEEDS: f64 = 100.0;

const fn path_question(name: &'static str, weight: f64, meaning: &'static str) -> Question {
    Question::new(name, Rule::Path)
        .weight(weight)
        .needs(NEEDS)
        .meaning(meaning)
}

impl Signal for BodyShape {
    fn name(&self) -> &'static str {
        "body_shape"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            path_question(
                "lost_path",
                0.08,
                "lack a part of the body that the baseline's always have",
            ),
            path_question(
                "changed_type",
                0.05,
                "have a part of the body in another type than the baseline's",
            ),
            path_question(
                "null_path",
                0.03,
                "have a null in the body where the baseline's never have",
            ),
        ]
    }

    fn inputs(&self) -> &'static [Input] {
        &[Input::Bodies]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        // An error has a body of its own; it counts as an error and not twice.
        if exchange.is_error() || !exchange.may_have_content() {
            return None;
        }
        exchange
            .body
            .filter(|facts| facts.may_be_judged())
            .map(|facts| Token::Name(facts.hash()))
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        if let Some(facts) = exchange.body {
            facts.describe(name);
        }
    }
}
