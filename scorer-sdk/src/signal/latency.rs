//! Latency: log buckets of microseconds.

use super::{Direction, Found, NameHasher, Quantity, Question, Rule, Signal, Token};
use crate::exchange::Exchange;
use crate::sketch::buckets;

/// The signal `latency`, with the margins below which a difference is nobody's concern: an odds
/// ratio says how sure a shift is, not how large, and between two pods that answer in 10.0 and
/// 10.2 ms it grows without bound.
///
/// A cut is the baseline's quantile widened by the larger of the two margins, and a quantile whose
/// shift is certainly smaller than that is no harm. The defaults are 20% and 5 ms. People notice
/// that something takes longer from about a fifth on; a few milliseconds are what another node, a
/// neighbour or a collection of garbage costs, and what a proxy's own hop takes.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Relative margin on top of the baseline's quantile: 0.2 is 20%.
    pub margin: f64,
    /// Absolute margin in microseconds; the larger of the two counts.
    pub floor_us: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            margin: 0.2,
            floor_us: 5_000,
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

    fn phrase(&self, question: &Question, found: &Found) -> Option<String> {
        let (_, whose) = question.meaning.rsplit_once(" than ")?;
        let cuts = found.cuts.join(" to ");
        (!cuts.is_empty()).then(|| format!("are slower than {cuts} ({whose} and a margin)"))
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
