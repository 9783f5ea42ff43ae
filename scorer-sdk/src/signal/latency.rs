//! Latency: log buckets of microseconds.

use super::{Direction, NameHasher, Quantity, Question, Rule, Signal, Token};
use crate::exchange::Exchange;
use crate::sketch::buckets;

/// The signal `latency`, with the margins below which a difference is nobody's concern: an odds
/// ratio says how sure a shift is, not how large, and between two pods that answer in 10.0 and
/// 10.2 ms it grows without bound.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Relative margin on top of the baseline's quantile: 0.1 is 10%.
    pub margin: f64,
    /// Absolute margin in microseconds; the larger of the two counts.
    pub floor_us: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            margin: 0.1,
            floor_us: 1_000,
        }
    }
}

const fn slow(name: &'static str, quantile: f64) -> Question {
    Question::new(name, Rule::Above { quantile }).bursty()
}

impl Signal for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            slow("slow_p50", 0.5)
                .weight(0.15)
                .needs(50.0)
                .meaning("are slower than the baseline's median"),
            slow("slow_p95", 0.95)
                .weight(0.15)
                .meaning("are slower than the baseline's 95th percentile"),
            slow("slow_p99", 0.99)
                .weight(0.05)
                .needs(300.0)
                .meaning("are slower than the baseline's 99th percentile"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        exchange
            .duration_us
            .map(|duration| Token::Number(buckets::code(duration)))
    }

    fn quantity(&self) -> Option<Quantity> {
        Some(Quantity::Duration)
    }

    fn widen(&self, code: u16, _: Direction) -> u16 {
        let edge = buckets::upper_bound(code);
        let margin = (edge as f64 * self.margin) as u64;
        buckets::code(edge.saturating_add(margin.max(self.floor_us)))
    }
}
