//! Content type: the media type of the response, without its parameters.

use super::{NameHasher, Question, Rule, Signal, Token};
use crate::exchange::Exchange;

/// The signal `content_type`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContentType;

fn media_type<'a>(exchange: &Exchange<'a>) -> &'a str {
    match exchange.content_type.split(';').next().map(str::trim) {
        None | Some("") => "none",
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
        if exchange.is_error() {
            return None;
        }
        Some(Token::Name(hasher.hash(media_type(exchange))))
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        name.push_str(media_type(exchange));
    }
}
