//! What to hold results against: bounds of the binomial law, and the least number of requests that
//! any test needs.

use super::random;

/// A chance whose odds are `factor` times those of `chance`.
#[must_use]
pub fn at_odds(chance: f64, factor: f64) -> f64 {
    random::at_odds(chance, factor)
}

/// The smallest count that `Binomial(trials, rate)` stays at or below with probability 0.999: a
/// seeded test whose count is above it has found something.
#[must_use]
pub fn binomial_bound(trials: u64, rate: f64) -> u64 {
    if rate <= 0.0 {
        return 0;
    }
    let mut log_term = trials as f64 * (-rate).ln_1p();
    let mut sum = log_term.exp();
    let mut count = 0;
    while sum < 0.999 && count < trials {
        log_term += ((trials - count) as f64 / (count + 1) as f64 * rate / (1.0 - rate)).ln();
        count += 1;
        sum += log_term.exp();
    }
    count
}

/// The middle value, the upper one of two; 0 of none.
#[must_use]
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Kullback-Leibler divergence in nats of a yes/no law with chance `p` from one with chance `q`.
#[must_use]
pub fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

/// A yes/no question that is asked of candidate and baseline side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SideBySide {
    /// The baseline's chance to be in the category, from 0 to 1, both ends excluded.
    pub base_rate: f64,
    /// The odds ratio that is true.
    pub odds_ratio: f64,
    /// The odds ratio ρ that is tolerated.
    pub tolerance: f64,
    /// The candidate's share of the requests, from 0 to 1, both ends excluded.
    pub share: f64,
}

impl SideBySide {
    /// Candidate requests that a test needs which knows the true odds ratio, looks all the time and
    /// does not trust the past: `ln(1/α)` over the information of one candidate request.
    ///
    /// The information is the divergence of what is true from the nearest pair of rates whose odds
    /// ratio is ρ, and this nearest pair has as many events in all. Where events are rare that is
    /// the divergence of `f·OR/(f·OR + 1 − f)` from `f·ρ/(f·ρ + 1 − f)` for each event, at the
    /// share `f`. Infinite where the odds ratio is tolerated.
    #[must_use]
    pub fn candidate_requests(&self, alpha: f64) -> f64 {
        let candidate = at_odds(self.base_rate, self.odds_ratio);
        if self.odds_ratio <= self.tolerance {
            return f64::INFINITY;
        }
        let (share, rest) = (self.share, 1.0 - self.share);
        let events = share * candidate + rest * self.base_rate;
        // The baseline's rate of the nearest pair, by bisection: more of it is more events.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if share * at_odds(middle, self.tolerance) + rest * middle < events {
                low = middle;
            } else {
                high = middle;
            }
        }
        let nearest = 0.5 * (low + high);
        let information = share * divergence(candidate, at_odds(nearest, self.tolerance))
            + rest * divergence(self.base_rate, nearest);
        (1.0 / alpha).ln() * share / information
    }
}

/// Candidate requests that a test needs which knows the baseline's rate: `ln(1/α)` over the
/// divergence of the candidate's rate from the tolerated one.
#[must_use]
pub fn known_rate_limit(base_rate: f64, odds_ratio: f64, tolerance: f64, alpha: f64) -> f64 {
    if odds_ratio <= tolerance {
        return f64::INFINITY;
    }
    let candidate = at_odds(base_rate, odds_ratio);
    (1.0 / alpha).ln() / divergence(candidate, at_odds(base_rate, tolerance))
}

/// The chance that a standard normal number is above `z`.
#[must_use]
pub fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / core::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binomial_bound_is_that_of_a_known_table() {
        // Binomial(1, 1/2) needs 1; Binomial(300, 0.01) is near Poisson(3), 99.9% point 10.
        assert_eq!(binomial_bound(1, 0.5), 1);
        assert_eq!(binomial_bound(300, 0.01), 10);
        assert_eq!(binomial_bound(100, 0.0), 0);
        // (1 - rate)^trials is 0 in floating point here.
        assert!((500_000..503_000).contains(&binomial_bound(1_000_000, 0.5)));
    }

    #[test]
    fn where_events_are_rare_the_limit_is_that_of_one_event() {
        for (share, odds_ratio) in [(0.05, 3.0), (0.5, 5.0), (0.9, 10.0)] {
            let base_rate = 1e-6;
            let limit = SideBySide {
                base_rate,
                odds_ratio,
                tolerance: 1.5,
                share,
            };
            let part = |ratio: f64| share * ratio / (share * ratio + 1.0 - share);
            let events = 100.0_f64.ln() / divergence(part(odds_ratio), part(1.5));
            let per_request = base_rate * (odds_ratio + (1.0 - share) / share);
            let expected = events / per_request;
            let found = limit.candidate_requests(0.01);
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
        }
    }

    #[test]
    fn the_limits_are_those_of_the_design() {
        let limit = SideBySide {
            base_rate: 0.01,
            odds_ratio: 5.0,
            tolerance: 1.5,
            share: 0.5,
        };
        assert!((550.0..680.0).contains(&limit.candidate_requests(0.01)));
        assert!((185.0..205.0).contains(&known_rate_limit(0.01, 5.0, 1.5, 0.01)));
        assert!((12.0..15.0).contains(&known_rate_limit(0.01, 25.0, 1.5, 0.01)));
    }
}
