//! Many pairs, one verdict: weighted means of e-values, and which pairs to name.

/// Routes over which the weights are nearly flat, before they fall like `1/r²`.
const ROUTE_HORIZON: f64 = 8.0;

/// The evidence of one (route, category) pair and its share of the verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedEvidence {
    /// The pair's weight, given out when it first appeared; all weights sum to at most 1.
    pub weight: f64,
    /// The pair's log e-value, in nats.
    pub log_evidence: f64,
}

impl WeightedEvidence {
    fn carries(&self) -> bool {
        self.weight > 0.0 && self.weight.is_finite()
    }

    /// `ln(weight · e)`; a weight that is not a positive finite number carries nothing.
    fn log_share(&self) -> f64 {
        if self.carries() && !self.log_evidence.is_nan() {
            self.weight.ln() + self.log_evidence
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// `ln(e^a + e^b)` without overflow; NaN only where an argument is NaN.
#[must_use]
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY || high == f64::INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// The log of the weighted mean of e-values, in nats: an e-value again, under any dependence.
///
/// Weight that no pair holds yet counts as an e-value of 1, so that the mean begins at 1 and a new
/// pair changes nothing by appearing. A log e-value that is not a number counts as an e-value of
/// 0; the answer is never NaN.
#[must_use]
pub fn log_weighted_mean(pairs: impl IntoIterator<Item = WeightedEvidence>) -> f64 {
    let mut log_sum = f64::NEG_INFINITY;
    let mut given = 0.0;
    for pair in pairs {
        log_sum = log_add_exp(log_sum, pair.log_share());
        if pair.carries() {
            given += pair.weight;
        }
    }
    log_add_exp(log_sum, (1.0 - given).max(0.0).ln())
}

/// The weight of the `rank`-th route that appeared, from 0: `h/((r+h)(r+h+1))` with `h = 8`.
/// Over all ranks the weights sum to 1, however many routes there will be. A route's categories
/// share its weight.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "only the size matters")]
pub fn route_weight(rank: usize) -> f64 {
    let shifted = rank as f64 + ROUTE_HORIZON;
    ROUTE_HORIZON / (shifted * (shifted + 1.0))
}

/// Which pairs to name: the indices that weighted e-BH picks from the current e-values at level
/// `alpha`, largest share first. The expected part of wrong ones among them is at most `alpha`.
///
/// With the shares `w_i·e_i` in falling order, the first `k` are named for the largest `k` whose
/// k-th share is at least `1/(alpha·k)`; equal weights `1/K` give the rule of Wang and Ramdas. It
/// may name no pair although the mean is enough, where many small shares make it up; then name the
/// largest share.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of pairs are small")]
pub fn e_bh(pairs: &[WeightedEvidence], alpha: f64) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = pairs
        .iter()
        .map(WeightedEvidence::log_share)
        .enumerate()
        .collect();
    crate::order::sort_by(&mut order, |a, b| b.1.total_cmp(&a.1));
    let mut named = 0;
    for (position, (_, log_share)) in order.iter().enumerate() {
        if *log_share >= -(alpha * (position + 1) as f64).ln() {
            named = position + 1;
        }
    }
    order.truncate(named);
    order.into_iter().map(|(index, _)| index).collect()
}
