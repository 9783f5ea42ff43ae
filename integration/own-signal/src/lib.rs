//! A filter with a signal of its own: whether a response can be revalidated by a cache.
//!
//! The whole of it: a file that implements [`Signal`], and a start that hands it over. The config
//! names it like the built-in ones (`signals.validator`, `tolerance.unusual_validator`).

use proxy_wasm::traits::RootContext;
use scorer_sdk::{Exchange, NameHasher, Question, Rule, Signal, Token};

/// Whether a response carries `etag` or `last-modified`.
struct Validator;

const WITHOUT: u16 = 0;
const WITH: u16 = 1;

impl Signal for Validator {
    fn name(&self) -> &'static str {
        "validator"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("unusual_validator", Rule::Unusual { share: 0.001 })
                .tolerance(1.5)
                .weight(0.2)
                .meaning("can be revalidated where the baseline's cannot, or the other way round"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        if exchange.is_error() {
            return None;
        }
        let mut found = WITHOUT;
        exchange.header_names?.visit(&mut |name| {
            if name == "etag" || name == "last-modified" {
                found = WITH;
            }
        });
        Some(Token::Number(found))
    }

    fn label(&self, code: u16) -> String {
        if code == WITH {
            "validator"
        } else {
            "no validator"
        }
        .to_owned()
    }
}

fn root(context_id: u32) -> Box<dyn RootContext> {
    Box::new(serin_filter::adapter::Root::with_signals(
        context_id,
        || vec![Box::new(Validator)],
    ))
}

// The macro expands to a public function without docs, which only a private module may hold.
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(super::root);
    }}
}
