//! The windowed Gaussian, one of NAB's own detectors, to check the scoring with.
//!
//! A row scores `1 − Q(z)`, where `z` is its distance in standard deviations from the mean of the
//! window, and `Q` the tail of the normal law. The window is filled with 6,400 rows and then slides
//! by 100 at a time.

use std::collections::VecDeque;

const WINDOW: usize = 6_400;
const STEP: usize = 100;
/// What stands for a standard deviation of 0.
const SMALLEST_DEVIATION: f64 = 1e-6;

/// The score of each row, from the rows before it.
#[must_use]
pub fn scores(values: &[f64]) -> Vec<f64> {
    let mut window: VecDeque<f64> = VecDeque::with_capacity(WINDOW);
    let mut waiting = Vec::with_capacity(STEP);
    let (mut mean, mut squares, mut deviation) = (0.0, 0.0, 1.0);
    let mut scores = Vec::with_capacity(values.len());
    for value in values {
        scores.push(if window.is_empty() {
            0.0
        } else {
            let distance = (value - mean).abs() / deviation;
            rounded(1.0 - 0.5 * libm::erfc(distance / std::f64::consts::SQRT_2))
        });
        if window.len() < WINDOW {
            window.push_back(*value);
            let count = window.len() as f64;
            let before = value - mean;
            mean += before / count;
            squares += before * (value - mean);
        } else {
            waiting.push(*value);
            if waiting.len() < STEP {
                continue;
            }
            window.drain(..STEP);
            window.extend(waiting.drain(..));
            mean = window.iter().sum::<f64>() / WINDOW as f64;
            squares = window.iter().map(|value| (value - mean).powi(2)).sum();
        }
        deviation = (squares / window.len() as f64).sqrt();
        if deviation == 0.0 {
            deviation = SMALLEST_DEVIATION;
        }
    }
    scores
}

/// NAB's published scores were found on files that keep twelve digits.
fn rounded(score: f64) -> f64 {
    (score * 1e12).round() / 1e12
}
