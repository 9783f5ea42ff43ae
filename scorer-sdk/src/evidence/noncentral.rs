//! Fisher's noncentral hypergeometric law: how the events of a block fall on its two arms.
//!
//! Given `c` candidate and `s` baseline exchanges, `t` of them in the category, the number `x` of
//! the candidate's among those has `P(x) ∝ r(x) = C(c,x)·C(s,t−x)·OR^x`. The normaliser is
//! summed outwards from the mode by the recurrence
//! `r(x+1)/r(x) = OR·(c−x)(t−x) / ((x+1)(s−t+x+1))`, and only as far as terms still count, so a
//! block of a hundred thousand exchanges costs some standard deviations and not all its terms.

use libm::lgamma;

/// Terms below this part of the mode's (`e^-40`) no longer change the sum.
const NEGLIGIBLE: f64 = 4.248_354_255_291_589e-18;

/// More exchanges in one arm of one block than any tick can hold; such a block is left out.
/// It bounds the work that a damaged count can cause.
const MOST_EXCHANGES: u64 = 1 << 32;

/// Odds ratios are cut to `1/LIMIT ..= LIMIT`, where the recurrence can neither overflow nor
/// vanish.
const ODDS_RATIO_LIMIT: f64 = 1e9;

/// The exchanges of one route in one tick, seen through one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// Exchanges of the candidate.
    pub candidate: u64,
    /// Exchanges of the baseline.
    pub baseline: u64,
    /// How many of the candidate's are in the category.
    pub candidate_in: u64,
    /// How many of the baseline's are in the category.
    pub baseline_in: u64,
}

/// The law of a block given its margins, with what was observed.
///
/// Counts in the category above those of the arm are cut to them.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    candidate: f64,
    events: f64,
    observed: f64,
    /// `s − t`, which may be negative.
    slack: f64,
    lowest: f64,
    highest: f64,
}

/// What a walk over the support found, relative to the term at the mode.
struct Walk {
    mode: f64,
    sum: f64,
    /// The observed count's term, where the walk came past it.
    observed: Option<f64>,
    #[cfg(test)]
    terms: usize,
}

impl Law {
    /// The law for the margins of `block`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn new(block: &Block) -> Self {
        let (candidate, baseline) = if block.candidate.max(block.baseline) > MOST_EXCHANGES {
            (0, 0)
        } else {
            (block.candidate, block.baseline)
        };
        let observed = block.candidate_in.min(candidate);
        let events = observed + block.baseline_in.min(baseline);
        Self {
            candidate: candidate as f64,
            events: events as f64,
            observed: observed as f64,
            slack: baseline as f64 - events as f64,
            lowest: events.saturating_sub(baseline) as f64,
            highest: events.min(candidate) as f64,
        }
    }

    /// Whether the margins leave only one outcome, so that every odds ratio explains it alike.
    #[must_use]
    pub fn is_degenerate(&self) -> bool {
        self.lowest >= self.highest
    }

    /// `ln P(x | c, s, t; odds_ratio)` in nats for the observed `x`; 0 where the margins leave no
    /// other outcome. An odds ratio that is not a positive number counts as 1.
    #[must_use]
    pub fn log_probability(&self, odds_ratio: f64) -> f64 {
        if self.is_degenerate() {
            return 0.0;
        }
        let odds_ratio = usable(odds_ratio);
        let walk = self.walk(odds_ratio);
        let relative = match walk.observed {
            Some(term) => term.ln(),
            None => {
                (self.observed - walk.mode) * odds_ratio.ln() + self.log_ways(self.observed)
                    - self.log_ways(walk.mode)
            }
        };
        relative - walk.sum.ln()
    }

    fn walk(&self, odds_ratio: f64) -> Walk {
        let mode = self.mode(odds_ratio);
        let mut walk = Walk {
            mode,
            sum: 1.0,
            observed: (self.observed == mode).then_some(1.0),
            #[cfg(test)]
            terms: 1,
        };
        let (mut count, mut term) = (mode, 1.0);
        while count < self.highest && term > NEGLIGIBLE {
            term *= odds_ratio * (self.candidate - count) * (self.events - count)
                / ((count + 1.0) * (self.slack + count + 1.0));
            count += 1.0;
            walk.add(term, count == self.observed);
        }
        (count, term) = (mode, 1.0);
        while count > self.lowest && term > NEGLIGIBLE {
            term *= count * (self.slack + count)
                / (odds_ratio * (self.candidate - count + 1.0) * (self.events - count + 1.0));
            count -= 1.0;
            walk.add(term, count == self.observed);
        }
        walk
    }

    /// The count whose term is the largest: the floor of the root of `r(x) = r(x−1)`, that is of
    /// `(w−1)x² − [w(c+t+2) + s−t]x + w(c+1)(t+1) = 0`, in the form without cancellation.
    fn mode(&self, odds_ratio: f64) -> f64 {
        let a = odds_ratio - 1.0;
        let b = odds_ratio * (self.candidate + self.events + 2.0) + self.slack;
        let c = odds_ratio * (self.candidate + 1.0) * (self.events + 1.0);
        let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
        // b < 0 only where w < 1, so a is not 0 there.
        let x = if b < 0.0 {
            (b - root) / (2.0 * a)
        } else {
            2.0 * c / (b + root)
        };
        x.floor().clamp(self.lowest, self.highest)
    }

    /// `ln(C(c,x)·C(s,t−x))` up to a constant of the margins.
    fn log_ways(&self, count: f64) -> f64 {
        -(lgamma(count + 1.0)
            + lgamma(self.candidate - count + 1.0)
            + lgamma(self.events - count + 1.0)
            + lgamma(self.slack + count + 1.0))
    }
}

impl Walk {
    fn add(&mut self, term: f64, is_observed: bool) {
        self.sum += term;
        // A term that underflowed has no log; the caller computes it from scratch.
        if is_observed && term > 0.0 {
            self.observed = Some(term);
        }
        #[cfg(test)]
        {
            self.terms += 1;
        }
    }
}

fn usable(odds_ratio: f64) -> f64 {
    if odds_ratio > 0.0 {
        odds_ratio.clamp(ODDS_RATIO_LIMIT.recip(), ODDS_RATIO_LIMIT)
    } else {
        1.0
    }
}

/// The form for a guard, which sees no baseline beside it and knows its rate from a reference:
/// the binomial `ln P` in nats of `candidate_in` of `candidate` exchanges at the odds
/// `odds_ratio · p0/(1−p0)`.
///
/// `baseline_rate` is `p0`; outside of the open interval (0, 1) nothing can be said and the answer
/// is 0, so smooth a rate that was never seen. Unlike [`Law`] this trusts the past: shared change that
/// comes after the reference is charged to the candidate.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn reference_log_probability(
    candidate: u64,
    candidate_in: u64,
    baseline_rate: f64,
    odds_ratio: f64,
) -> f64 {
    if !(baseline_rate > 0.0 && baseline_rate < 1.0) {
        return 0.0;
    }
    let inside = candidate_in.min(candidate) as f64;
    let outside = candidate as f64 - inside;
    let odds = usable(odds_ratio) * baseline_rate / (1.0 - baseline_rate);
    let log_ways = lgamma(inside + outside + 1.0) - lgamma(inside + 1.0) - lgamma(outside + 1.0);
    // ln p = ln odds − ln(1+odds) and ln(1−p) = −ln(1+odds).
    log_ways + inside * odds.ln() - (inside + outside) * odds.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::{Block, Law};

    #[test]
    fn a_large_block_costs_hundreds_of_terms_and_not_all() {
        for odds_ratio in [0.1, 1.0, 1.5, 45.0] {
            let law = Law::new(&Block {
                candidate: 100_000,
                baseline: 100_000,
                candidate_in: 50_000,
                baseline_in: 50_000,
            });
            let terms = law.walk(odds_ratio).terms;
            assert!(terms < 4_000, "{terms} terms at odds ratio {odds_ratio}");
        }
    }

    #[test]
    fn no_term_is_larger_than_that_of_the_mode() {
        for block in [(7, 5, 3, 2), (40, 3, 30, 3), (3, 90, 1, 60), (50, 50, 0, 1)] {
            let law = Law::new(&Block {
                candidate: block.0,
                baseline: block.1,
                candidate_in: block.2,
                baseline_in: block.3,
            });
            for odds_ratio in [1e-6, 0.03, 0.5, 1.0, 2.0, 45.0, 1e6] {
                let log_term = |x: f64| law.log_ways(x) + x * f64::ln(odds_ratio);
                let mode = law.mode(odds_ratio);
                let mut x = law.lowest;
                while x <= law.highest {
                    assert!(log_term(x) <= log_term(mode) + 1e-9);
                    x += 1.0;
                }
            }
        }
    }
}
