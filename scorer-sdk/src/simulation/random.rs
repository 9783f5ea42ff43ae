//! Draws that more than one file needs.

use core::f64::consts::TAU;
use fastrand::Rng;

/// Above this mean a Poisson draw is a rounded normal one.
const LARGE_MEAN: f64 = 60.0;

/// Two independent standard normal numbers (Box and Muller 1958).
pub(super) fn normals(random: &mut Rng) -> (f64, f64) {
    let radius = (-2.0 * random.f64().max(1e-300).ln()).sqrt();
    let (sine, cosine) = (TAU * random.f64()).sin_cos();
    (radius * cosine, radius * sine)
}

/// A Poisson number: by products of uniform ones (Knuth), by the normal law where it is large.
pub(super) fn poisson(random: &mut Rng, mean: f64) -> u64 {
    if mean > LARGE_MEAN {
        let (normal, _) = normals(random);
        return (mean + mean.sqrt() * normal + 0.5).max(0.0) as u64;
    }
    let least = (-mean.max(0.0)).exp();
    let (mut product, mut count) = (random.f64(), 0);
    while product > least {
        product *= random.f64();
        count += 1;
    }
    count
}

/// A chance whose odds are `factor` times those of `chance`.
pub(super) fn at_odds(chance: f64, factor: f64) -> f64 {
    if chance >= 1.0 {
        return 1.0;
    }
    let odds = factor * chance / (1.0 - chance);
    odds / (1.0 + odds)
}

/// An exponential number.
pub(super) fn exponential(random: &mut Rng, mean: f64) -> f64 {
    -mean * random.f64().max(1e-300).ln()
}

/// A number of Pareto's law with the least value 1, by inversion.
pub(super) fn pareto(random: &mut Rng, tail: f64) -> f64 {
    random.f64().max(1e-12).powf(-1.0 / tail)
}
