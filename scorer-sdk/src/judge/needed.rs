//! How much more traffic a regression of some size would need to be found.
//!
//! Side by side, given how many exchanges were bad, one of them is the candidate's with probability
//! `f·OR/(f·OR + 1 − f)` at the candidate's share `f` (4.6 of the design). What it adds to the
//! evidence, in the mean, is the divergence of that law from the one at the tolerance. Where workers look
//! at a part of the exchanges, these are requests that come and not those that are looked at:
//! failures are judged up to the budget.

use super::comparison::Comparison;
use super::rollout::Rollout;
use super::weights::POOLED_WEIGHT;
use crate::config::Plan;
use crate::evidence::ALTERNATIVES;
use crate::judge::verdict::Needed;

/// Odds ratios for which it is told.
const ODDS_RATIOS: [f64; 5] = [2.0, 3.0, 5.0, 10.0, 25.0];
/// Exchanges that are added to the baseline's, half of one bad: a rate of zero is never certain.
const PRIOR: [f64; 2] = [0.5, 1.0];

/// Candidate requests that a regression of each size on all routes would still need, for the
/// category `error`. Nothing where no share is known.
pub(super) fn needed(
    plan: &Plan,
    comparison: &Comparison,
    rollout: &Rollout,
    threshold: f64,
) -> Vec<Needed> {
    let Some((number, (signal, question))) = plan
        .questions
        .iter()
        .enumerate()
        .find(|(_, (_, question))| question.name == "error")
    else {
        return Vec::new();
    };
    let (Some(pair), Some(part)) = (
        comparison.pooled.get(number),
        comparison.weights.questions().get(number),
    ) else {
        return Vec::new();
    };
    let [baseline, candidate] = rollout.exchanges.map(|count| count as f64);
    if candidate == 0.0 || baseline == 0.0 {
        return Vec::new();
    }
    let share = candidate / (candidate + baseline);
    let [bad, all] = comparison
        .routes
        .iter()
        .filter_map(|route| route.past.baseline_rate(plan, *signal, question))
        .fold(PRIOR, |[bad, all], [more_bad, more]| {
            [bad + more_bad, all + more]
        });
    let rate = bad / all;
    // The evidence that the pair over all routes lacks, when one alternative of the harm test fits
    // and has its part of the stake.
    let missing = threshold - (POOLED_WEIGHT * part).ln() + (ALTERNATIVES.len() as f64).ln()
        - pair.harm.log_evidence().max(0.0);
    ODDS_RATIOS
        .iter()
        .filter(|odds_ratio| **odds_ratio > question.tolerance)
        .map(|odds_ratio| Needed {
            category: question.name,
            odds_ratio: *odds_ratio,
            requests: (missing.max(0.0)
                / nats_per_request(share, rate, *odds_ratio, question.tolerance))
            .ceil() as u64,
        })
        .collect()
}

/// Mean evidence for one candidate request, in nats.
fn nats_per_request(share: f64, rate: f64, odds_ratio: f64, tolerance: f64) -> f64 {
    let of_candidate = |ratio: f64| share * ratio / (share * ratio + 1.0 - share);
    let (truth, null) = (of_candidate(odds_ratio), of_candidate(tolerance));
    let divergence =
        truth * (truth / null).ln() + (1.0 - truth) * ((1.0 - truth) / (1.0 - null)).ln();
    let odds = odds_ratio * rate / (1.0 - rate).max(1e-9);
    let events = odds / (1.0 + odds) + (1.0 - share) / share * rate;
    (divergence * events).max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_the_design_comes_out() {
        // 4.6: at an equal share and an odds ratio of 5, 36 events, about 620 candidate requests.
        let nats = nats_per_request(0.5, 0.01, 5.0, 1.5);
        let requests = 100.0_f64.ln() / nats;
        assert!((550.0..700.0).contains(&requests), "{requests}");
    }
}
