//! Size: log buckets of the response body's bytes.

use super::{Direction, Found, NameHasher, Quantity, Question, Rule, Signal, Token};
use crate::exchange::{Ending, Exchange};
use crate::sketch::buckets;

/// The signal `size`.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Relative margin around the baseline's range: 0.1 is 10%.
    pub margin: f64,
}

impl Default for Size {
    fn default() -> Self {
        Self { margin: 0.1 }
    }
}

impl Signal for Size {
    fn name(&self) -> &'static str {
        "size"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new(
                "size",
                Rule::Outside {
                    below: 0.005,
                    above: 0.995,
                },
            )
            .weight(0.06)
            .needs(200.0)
            .meaning("have a body outside the baseline's range of sizes"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        // A failure has another body; it counts as a failure and not twice.
        if exchange.ending != Ending::Complete
            || exchange.is_error()
            || !exchange.may_have_content()
        {
            return None;
        }
        exchange
            .response_bytes
            .map(|bytes| Token::Number(buckets::code(bytes)))
    }

    fn phrase(&self, _: &Question, found: &Found) -> Option<String> {
        let [low, high] = found.cuts.as_slice() else {
            return None;
        };
        Some(match found.sides {
            [true, false] => {
                format!("have a body of less than {low} (the baseline's have more)")
            }
            [false, true] => {
                format!("have a body of more than {high} (the baseline's have less)")
            }
            _ => format!("have a body outside the baseline's {low} to {high}"),
        })
    }

    fn quantity(&self) -> Option<Quantity> {
        Some(Quantity::Bytes)
    }

    fn widen(&self, code: u16, direction: Direction) -> u16 {
        match direction {
            Direction::Up => {
                buckets::code((buckets::upper_bound(code) as f64 * (1.0 + self.margin)) as u64)
            }
            Direction::Down => {
                buckets::code((buckets::lower_bound(code) as f64 * (1.0 - self.margin)) as u64)
            }
        }
    }
}
