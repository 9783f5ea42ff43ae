//! Cold starts: from when on the latency of a young host says something about its version.
//!
//! A new process is slow until its caches and its compiler have warmed up, and that belongs to its
//! age and not to its version. So the latency of a version's young hosts is fitted by
//! `A + B·exp(−age/T)` over a grid of time constants `T`, in logs and relative to the baseline's warm
//! hosts at the same time. A host is warm as soon as no plausible fit expects its latency to fall by
//! more than a third of what is left above the baseline's: what stays is the version's own.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Time constants in seconds.
const CONSTANTS: [f64; 6] = [10.0, 20.0, 40.0, 80.0, 160.0, 320.0];
/// Exchanges of young hosts that are needed before anything is said.
const LEAST: f64 = 40.0;
/// Standard deviation of the fall that is assumed before anything is known, in natural logs.
const PRIOR_FALL: f64 = 1.5;
/// A time constant is plausible whose log likelihood is this close to the best one's.
const PLAUSIBLE: f64 = 3.0;
/// Standard errors that are added to what is left of the fall.
const ERRORS: f64 = 2.5;
/// Latency this close to the baseline's, in natural logs, has nothing left to lose.
const AT_HOME: f64 = 0.1;
/// The part of the latency above the baseline's that may still fall.
const PART_LEFT: f64 = 1.0 / 3.0;
/// What an error calls the sums.
const SUM: &str = "sum of a warm-up";

/// Sums of a least-squares fit for one time constant, over `e = exp(−age/T)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    e: f64,
    ee: f64,
    ey: f64,
}

/// The latency of a version's young hosts by their age.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct WarmUp {
    count: f64,
    y: f64,
    yy: f64,
    sums: [Sums; CONSTANTS.len()],
}

/// A fit for one time constant.
#[derive(Debug, Clone, Copy)]
struct Fit {
    constant: f64,
    /// `A` and `B`.
    level: f64,
    fall: f64,
    /// Standard error of `B`, and of the fitted level, in units of the residuals' deviation.
    error: f64,
    /// Sum of squared residuals.
    residue: f64,
}

impl WarmUp {
    /// Takes one exchange of a host of this age in seconds: the natural log of its duration, less that
    /// of the baseline's at the same time.
    pub(super) fn add(&mut self, age: f64, y: f64) {
        self.count += 1.0;
        self.y += y;
        self.yy += y * y;
        for (sums, constant) in self.sums.iter_mut().zip(CONSTANTS) {
            let e = (-age / constant).exp();
            sums.e += e;
            sums.ee += e * e;
            sums.ey += e * y;
        }
    }

    fn fits(&self) -> impl Iterator<Item = Fit> + '_ {
        let count = self.count;
        let mean = self.y / count;
        let total = (self.yy - self.y * mean).max(0.0);
        // The prior needs a scale; the spread around the mean is at least that around a fit.
        let variance = (total / count).max(1e-6);
        self.sums
            .iter()
            .zip(CONSTANTS)
            .map(move |(sums, constant)| {
                let see =
                    (sums.ee - sums.e * sums.e / count).max(0.0) + variance / PRIOR_FALL.powi(2);
                let sey = sums.ey - sums.e * mean;
                // Warming up never makes a host slower.
                let fall = (sey / see).max(0.0);
                Fit {
                    constant,
                    fall,
                    level: mean - fall * sums.e / count,
                    error: see.recip().sqrt(),
                    residue: total - 2.0 * fall * sey + fall * fall * see,
                }
            })
    }

    /// Whether a host of this age in seconds is warm.
    pub(super) fn is_warm(&self, age: f64) -> bool {
        if self.count < LEAST {
            return false;
        }
        let least = self
            .fits()
            .map(|fit| fit.residue)
            .fold(f64::INFINITY, f64::min);
        let variance = (least / (self.count - 2.0)).max(1e-6);
        let deviation = variance.sqrt();
        self.fits()
            .filter(|fit| fit.residue - least <= 2.0 * PLAUSIBLE * variance)
            .all(|fit| {
                let left = (-age / fit.constant).exp();
                let above = fit.level + fit.fall * left;
                let error = ERRORS * deviation;
                let is_at_home = above + error / self.count.sqrt() <= AT_HOME;
                let may_fall = (fit.fall + error * fit.error) * left;
                is_at_home || may_fall <= PART_LEFT * above
            })
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        for value in [self.count, self.y, self.yy] {
            writer.f64(value);
        }
        for sums in &self.sums {
            for value in [sums.e, sums.ee, sums.ey] {
                writer.f64(value);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut read = || reader.finite(SUM);
        let mut warm_up = Self {
            count: read()?,
            y: read()?,
            yy: read()?,
            ..Self::default()
        };
        for sums in &mut warm_up.sums {
            *sums = Sums {
                e: read()?,
                ee: read()?,
                ey: read()?,
            };
        }
        Ok(warm_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The age at which a host is warm whose latency is `level(age)` times the baseline's, at six
    /// requests a second; none within a quarter of an hour.
    fn warm_at(level: impl Fn(f64) -> f64, seed: u64) -> Option<u32> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut warm_up = WarmUp::default();
        (1..900).find(|age| {
            for request in 0..6 {
                let age = f64::from(*age) + f64::from(request) / 6.0;
                // Twelve uniform numbers make a normal one.
                let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                warm_up.add(age, level(age).ln() + 0.5 * normal);
            }
            warm_up.is_warm(f64::from(*age))
        })
    }

    /// The ages of 21 hosts at which they are warm, in rising order.
    fn ages(level: impl Fn(f64) -> f64 + Copy) -> Vec<u32> {
        let mut ages: Vec<u32> = (0..21)
            .map(|seed| warm_at(level, seed).unwrap_or(900))
            .collect();
        ages.sort_unstable();
        ages
    }

    fn cold(constant: f64, age: f64) -> f64 {
        1.0 + 2.0 * (-age / constant).exp()
    }

    #[test]
    fn a_cold_host_is_warm_once_its_latency_has_fallen() {
        let quick = ages(|age| cold(60.0, age));
        // What is left of the excess is a third of itself at the most: 20% of the latency.
        assert!(
            quick.iter().all(|age| cold(60.0, f64::from(*age)) < 1.2),
            "{quick:?}"
        );
        let slow = ages(|age| cold(300.0, age));
        assert!(
            slow.iter().all(|age| cold(300.0, f64::from(*age)) < 1.2),
            "{slow:?}"
        );
    }

    #[test]
    fn a_host_that_is_as_fast_as_the_others_is_warm_soon() {
        let alike = ages(|_| 1.0);
        assert!(alike[10] < 30, "{alike:?}");
    }

    #[test]
    fn a_host_that_stays_slow_is_warm_once_that_is_certain() {
        let slow = ages(|_| 2.0);
        assert!(slow[10] < 180, "{slow:?}");
        // Cold at first, and twice as slow when warm: 180 s are three time constants.
        let both = ages(|age| 2.0 * cold(60.0, age));
        assert!(both[10] < 230, "{both:?}");
    }
}
