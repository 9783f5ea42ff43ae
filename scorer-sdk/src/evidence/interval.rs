//! How much worse: a confidence sequence for the odds ratio.
//!
//! The log-likelihood `L` is kept on a grid of odds ratios. For the true `θ` the mean over the
//! grid of `exp(L(g) − L(θ))` is an e-process, so the set of all `θ` with
//! `L(θ) ≥ ln mean_g exp L(g) − ln(1/α)` holds the truth at all times with probability at least
//! `1 − α`, as far as the truth stands still.

use super::combine::log_add_exp;
use crate::wire::codec::{CodecError, Reader, Writer};
use serde::Serialize;

/// Points of the grid.
const POINTS: usize = 25;
/// The grid point that is the odds ratio 1.
const UNITY: f64 = 9.0;
/// The smallest odds ratio of the grid is one over this; the largest comes to 290.
const LOWEST_RECIPROCAL: f64 = 30.0;

/// What blocks add to the log-likelihood at each point of the grid, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likelihoods([f64; POINTS]);

impl Default for Likelihoods {
    fn default() -> Self {
        Self([0.0; POINTS])
    }
}

impl Likelihoods {
    /// Those of one block; `log_probability` is as [`HarmTest::update`](super::HarmTest::update)
    /// takes it.
    #[must_use]
    #[inline(never)]
    pub fn of(log_probability: &dyn Fn(f64) -> f64) -> Self {
        let mut likelihoods = Self::default();
        for (index, point) in indices().zip(&mut likelihoods.0) {
            *point = log_probability(odds_ratio(index));
        }
        likelihoods
    }

    /// Adds another block's: given their margins, blocks are independent.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }
}

/// A confidence interval for the odds ratio.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end; none where the interval goes below the grid.
    #[serde(rename = "odds_ratio_lower")]
    pub lower: Option<f64>,
    /// The upper end; none where the interval goes above the grid.
    #[serde(rename = "odds_ratio_upper")]
    pub upper: Option<f64>,
}

/// The log-likelihood of the odds ratio over all blocks, on a log-spaced grid from 1/30 to 290.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OddsRatioInterval {
    log_likelihoods: [f64; POINTS],
}

impl Default for OddsRatioInterval {
    fn default() -> Self {
        Self {
            log_likelihoods: [0.0; POINTS],
        }
    }
}

impl OddsRatioInterval {
    /// Adds one block's log-likelihood, in nats, as
    /// [`HarmTest::update`](super::HarmTest::update) takes it. There is no cap: an estimate is
    /// wanted, not a stake.
    pub fn update(&mut self, log_probability: impl Fn(f64) -> f64) {
        self.add(&Likelihoods::of(&log_probability));
    }

    /// The same with what is known already; what is not finite is left out.
    pub fn add(&mut self, likelihoods: &Likelihoods) {
        for (total, added) in self.log_likelihoods.iter_mut().zip(likelihoods.0) {
            if added.is_finite() {
                *total += added;
            }
        }
    }

    /// The confidence sequence at the level `1 − alpha`.
    ///
    /// Between two grid points the log-likelihood, which is concave in `ln θ`, lies below the
    /// lines through the neighbouring pairs of points. The ends are taken there, so that the
    /// grid can widen the interval (by up to about a third once thousands of events are in) and
    /// never narrow it.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        let log_sum = self
            .log_likelihoods
            .iter()
            .fold(f64::NEG_INFINITY, |sum, value| log_add_exp(sum, *value));
        let threshold = log_sum - indices().map(|_| 1.0).sum::<f64>().ln() + alpha.min(1.0).ln();
        let rising = self.log_likelihoods.iter().copied();
        let last = indices().last().unwrap_or_default();
        Interval {
            lower: first_above(rising.clone(), threshold).map(odds_ratio),
            upper: first_above(rising.rev(), threshold).map(|index| odds_ratio(last - index)),
        }
    }

    /// The odds ratio of the largest likelihood, in between grid points by a parabola; none before
    /// the data prefer any. At the ends of the grid it is the end.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        let mut best: Option<(f64, f64)> = None;
        for (index, value) in indices().zip(self.log_likelihoods) {
            if best.is_none_or(|(_, largest)| value > largest) {
                best = Some((index, value));
            }
        }
        let (index, largest) = best?;
        if self.log_likelihoods.iter().all(|value| *value == largest) {
            return None;
        }
        let before = self.at(index - 1.0);
        let after = self.at(index + 1.0);
        let shift = match (before, after) {
            (Some(before), Some(after)) => {
                let bend = before - 2.0 * largest + after;
                if bend < 0.0 {
                    (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
                } else {
                    0.0
                }
            }
            _ => 0.0,
        };
        Some(odds_ratio(index + shift))
    }

    fn at(&self, index: f64) -> Option<f64> {
        indices()
            .zip(self.log_likelihoods)
            .find(|(other, _)| *other == index)
            .map(|(_, value)| value)
    }

    /// Forgets all blocks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the state: 201 bytes, or one while no block has said anything about the odds ratio.
    pub fn encode(&self, writer: &mut Writer) {
        let mut values = self.log_likelihoods.iter();
        let is_known = values.any(|value| value.to_bits() != 0);
        writer.option(is_known.then_some(self), |known, writer| {
            for value in &known.log_likelihoods {
                writer.f64(*value);
            }
        });
    }

    /// Reads what [`OddsRatioInterval::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let known = reader.option(|reader| {
            let mut known = Self::default();
            for value in &mut known.log_likelihoods {
                *value = reader.finite("log-likelihood")?;
            }
            Ok(known)
        })?;
        Ok(known.unwrap_or_default())
    }
}

/// The positions of the grid points, in steps from the first.
fn indices() -> impl Iterator<Item = f64> {
    (0..POINTS as u32).map(f64::from)
}

fn odds_ratio(index: f64) -> f64 {
    ((index - UNITY) / UNITY * LOWEST_RECIPROCAL.ln()).exp()
}

/// Where a concave function, given at 0, 1, 2, …, may first reach `threshold`, at the earliest;
/// none where it may have done so before 0.
fn first_above(values: impl Iterator<Item = f64>, threshold: f64) -> Option<f64> {
    let mut values = values.peekable();
    // The two values before the current one, the nearer one last.
    let (mut farther, mut nearer): (Option<f64>, Option<f64>) = (None, None);
    let mut index = 0.0;
    while let Some(value) = values.next() {
        if value >= threshold {
            let nearer = nearer?;
            // From the left: the line through the two points before, which are below.
            let from_left =
                farther.map_or(0.0, |farther| (threshold - nearer) / (nearer - farther));
            // From the right: the line through this point and the next, followed back.
            let from_right = match values.peek() {
                Some(next) if *next > value => 1.0 - (value - threshold) / (next - value),
                _ => 0.0,
            };
            return Some(index - 1.0 + from_left.max(from_right).clamp(0.0, 1.0));
        }
        farther = nearer;
        nearer = Some(value);
        index += 1.0;
    }
    None
}
