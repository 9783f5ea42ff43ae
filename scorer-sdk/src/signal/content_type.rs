//! Content type: the media type of the response, without its parameters.

use super::{Found, NameHasher, Question, Rule, Signal, Token, listed};
use crate::exchange::Exchange;

/// The signal `content_type`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContentType;

/// What stands for a content type that is missing.
const NONE: &str = "none";

fn media_type<'a>(exchange: &Exchange<'a>) -> &'a str {
    match exchange.content_type.split(';').next().map(str::trim) {
        None | Some("") => NONE,
        Some(media_type) => media_type,
    }
}

impl Signal for ContentType {
    fn name(&self) -> &'static str {
        "content_type"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("unusual_content_type", Rule::Unusual { share: 0.001 })
                .weight(0.04)
                .meaning("have a content type that the baseline hardly ever sends"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token> {
        // Failures come from whoever failed, often a proxy with a page of its own.
        if exchange.is_error() || !exchange.may_have_content() {
            return None;
        }
        Some(Token::Name(hasher.hash(media_type(exchange))))
    }

    fn phrase(&self, _: &Question, found: &Found) -> Option<String> {
        let first = found.names.first()?;
        Some(if found.names.len() == 1 && first == NONE {
            "come without a content type".to_owned()
        } else {
            format!("come with the content type {}", listed(&found.names))
        })
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        name.push_str(media_type(exchange));
    }
}
