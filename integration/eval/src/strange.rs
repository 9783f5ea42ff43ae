//! Surprise beside the truth: learn on a half of what is normal, set the threshold on a quarter,
//! count on the last quarter and on what is known to be strange.
//!
//! The threshold comes from normal exchanges alone: the smallest surprise that at most `α·(n+1) − 1`
//! of the `n` held out reach, so that a normal one is above it with a chance of at most `α`
//! (conformal prediction).

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use scorer_sdk::surprise::{Model, Score, Settings, Value};
use std::collections::BTreeMap;

/// How many epochs the learning half is split into.
const EPOCHS: usize = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of the first split; each further split takes the next one.
    pub seed: u64,
    /// How many splits.
    pub splits: u64,
    /// Share of what is normal that may count as strange.
    pub false_positives: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            splits: 5,
            false_positives: 0.005,
        }
    }
}

/// An exchange as the model sees it.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The route.
    pub route: u64,
    /// The values.
    pub values: Vec<Value>,
}

/// How often strange exchanges of one kind were caught, and what gave them away.
#[derive(Debug, Clone, Default)]
pub struct Caught {
    /// Caught.
    pub caught: usize,
    /// All.
    pub all: usize,
    /// How often a feature was the largest term of one that was caught.
    pub features: BTreeMap<u64, usize>,
}

/// What came out of one split.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// Bits above which an exchange counts as strange.
    pub threshold: f64,
    /// Normal exchanges above it, of those that neither taught nor set the threshold.
    pub false_positives: usize,
    /// How many normal exchanges that is out of.
    pub normal: usize,
    /// By kind.
    pub kinds: BTreeMap<String, Caught>,
}

impl Split {
    /// Share of normal exchanges above the threshold.
    #[must_use]
    pub fn false_positive_rate(&self) -> f64 {
        ratio(self.false_positives, self.normal)
    }

    /// Share of strange exchanges above the threshold, of all kinds or of one.
    #[must_use]
    pub fn recall(&self, kind: Option<&str>) -> f64 {
        let kinds = self
            .kinds
            .iter()
            .filter(|(name, _)| kind.is_none_or(|kind| kind == *name));
        let (caught, all) = kinds.fold((0, 0), |sum, (_, kind)| {
            (sum.0 + kind.caught, sum.1 + kind.all)
        });
        ratio(caught, all)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Mean, least and most.
#[must_use]
pub fn mean_and_range(values: &[f64]) -> (f64, f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (mean, least, most)
}

/// Runs one split. `sample` turns the exchange of a number into values; it is asked for the learning
/// half first and for strange ones last. `strange` are numbers with their kinds. Every exchange is
/// taken to come from a client of its own.
pub fn split(
    normal: usize,
    strange: &[(usize, &str)],
    seed: u64,
    false_positives: f64,
    settings: Settings,
    mut sample: impl FnMut(usize, bool) -> Sample,
) -> Split {
    let mut order: Vec<usize> = (0..normal).collect();
    order.shuffle(&mut SmallRng::seed_from_u64(seed));
    let (taught, rest) = order.split_at(normal / 2);
    let (held_out, tested) = rest.split_at(rest.len() / 2);
    let mut model = Model::new(settings);
    for epoch in taught.chunks(taught.len().div_ceil(EPOCHS).max(1)) {
        for number in epoch {
            let sample = sample(*number, false);
            let client = (*number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            model.observe(sample.route, &sample.values, client);
        }
        model.end_epoch();
    }
    let mut score = |number, strange| -> Score {
        let sample = sample(number, strange);
        model.score(sample.route, &sample.values)
    };
    let threshold = threshold(
        held_out.iter().map(|number| score(*number, false).bits),
        false_positives,
    );
    let wrong = tested
        .iter()
        .filter(|number| score(**number, false).bits > threshold)
        .count();
    let mut kinds: BTreeMap<String, Caught> = BTreeMap::new();
    for (number, kind) in strange {
        let score = score(*number, true);
        let caught = kinds.entry((*kind).to_owned()).or_default();
        caught.all += 1;
        if score.bits > threshold {
            caught.caught += 1;
            if let Some(term) = score.terms.first() {
                *caught.features.entry(term.feature).or_default() += 1;
            }
        }
    }
    Split {
        threshold,
        false_positives: wrong,
        normal: tested.len(),
        kinds,
    }
}

/// What a normal exchange exceeds with a chance of at most `rate`, from held-out ones.
fn threshold(held_out: impl Iterator<Item = f64>, rate: f64) -> f64 {
    let mut bits: Vec<f64> = held_out.collect();
    bits.sort_by(|a, b| b.total_cmp(a));
    // A new one above the value at index k has at most k of the n as high: (k + 1)/(n + 1).
    let index = (rate * (bits.len() + 1) as f64).floor() as usize;
    match index.checked_sub(1) {
        Some(index) => bits.get(index).copied().unwrap_or(f64::INFINITY),
        None => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_exceeded_as_rarely_as_asked() {
        let held_out = || (0..999).map(f64::from);
        // 4 of 999 above it, so that a new one above it is among the first 5 of 1,000.
        assert_eq!(threshold(held_out(), 0.005), 994.0);
        assert_eq!(threshold((0..100).map(f64::from), 0.005), f64::INFINITY);
    }
}
