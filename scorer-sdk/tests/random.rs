//! Seeded randomness for the evidence tests, and the tests of it.

pub(crate) use scorer_sdk::simulation::law::{at_odds, binomial_bound, median};

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and the same on every machine.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x2545_f491_4f6c_dd1d),
        }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// Successes among `trials`, by the gaps between them.
    pub(crate) fn binomial(&mut self, trials: u64, rate: f64) -> u64 {
        if rate > 0.5 {
            return trials - self.binomial(trials, 1.0 - rate);
        }
        if rate <= 0.0 {
            return 0;
        }
        let log_miss = (1.0 - rate).ln();
        let (mut at, mut hits) = (0.0, 0);
        loop {
            at += (self.unit().ln() / log_miss).floor() + 1.0;
            if at > trials as f64 {
                return hits;
            }
            hits += 1;
        }
    }
}

#[test]
fn binomial_draws_have_the_mean_and_the_variance_of_the_law() {
    let mut random = Random::new(5);
    for (trials, rate) in [(100, 0.01), (100, 0.5), (10, 0.8), (1, 0.3)] {
        let draws: Vec<f64> = (0..20_000)
            .map(|_| random.binomial(trials, rate) as f64)
            .collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        let expected = trials as f64 * rate * (1.0 - rate);
        assert!((mean - trials as f64 * rate).abs() < 5.0 * (expected / 20_000.0).sqrt());
        assert!(
            (variance / expected - 1.0).abs() < 0.08,
            "{variance} for {expected}"
        );
    }
}
