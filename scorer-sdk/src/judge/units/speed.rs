//! How much the baseline's hosts differ in speed.
//!
//! Hosts that run the same image are faster or slower as a whole. Counts beyond a cut tell little of
//! it: beyond the 99th percentile there are hardly any, and none on a fast host. The mean log of the
//! durations tells it with every exchange. What it is worth at a cut follows from the distribution of
//! the baseline's own durations ([`super::super::past::Past::log_odds_of_shift`]).

use super::heterogeneity::deviations;
use super::moments::Moments;
use super::table::Table;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Degrees of freedom that the prior is worth.
const PRIOR_FREEDOM: f64 = 4.0;
/// Standard deviation between hosts that the prior assumes, in natural logs of time: .2 in log odds at
/// the median of durations that spread by .5 (4.9 of the design).
const PRIOR_SPREAD: f64 = 0.06;
/// A host counts as a degree of freedom as far as it could tell a deviation of this size from chance.
const TOLD_APART: f64 = 0.1;

/// Durations of one host beside its version's, in natural logs, decayed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::judge) struct Speed {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Speed {
    pub(super) fn add(&mut self, y: f64) {
        self.count += 1.0;
        self.sum += y;
        self.squares += y * y;
    }

    pub(super) fn decay(&mut self, keep: f64) {
        self.count *= keep;
        self.sum *= keep;
        self.squares *= keep;
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        for value in [self.count, self.sum, self.squares] {
            writer.f64(value);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        const SUM: &str = "sum of a host's durations";
        Ok(Self {
            count: reader.finite(SUM)?.max(0.0),
            sum: reader.finite(SUM)?,
            squares: reader.finite(SUM)?,
        })
    }
}

/// How far one host may be from another by chance, as a one-sided 99.5% bound in natural logs of time:
/// to be multiplied by the root of `1/m_c + 1/m_s`.
pub(super) fn band(hosts: &Table) -> f64 {
    let known = || {
        hosts
            .iter()
            .filter(|unit| unit.id != 0 && unit.speed.count > 2.0)
            .map(|unit| unit.speed)
    };
    // The spread within hosts.
    let (mut inner, mut freedom) = (0.0, 0.0);
    for speed in known() {
        inner += (speed.squares - speed.sum * speed.sum / speed.count).max(0.0);
        freedom += speed.count - 1.0;
    }
    let inner = (inner / f64::max(freedom, 1.0)).max(1e-6);
    let mut moments = Moments::default();
    for speed in known() {
        moments.add(speed.sum / speed.count, speed.count / inner, TOLD_APART);
    }
    let (observed, freedom) = (moments.variance(), moments.freedom());
    let variance =
        (PRIOR_FREEDOM * PRIOR_SPREAD.powi(2) + freedom * observed) / (PRIOR_FREEDOM + freedom);
    deviations(PRIOR_FREEDOM + freedom) * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The band of ten hosts whose durations differ by factors of `spread`, as a deviation in logs.
    fn of(spread: f64) -> f64 {
        let mut random = fastrand::Rng::with_seed(3);
        let mut hosts = Table::default();
        for host in 1..=10 {
            let own = spread * (f64::from(host) - 5.5) / 3.0;
            for _ in 0..500 {
                hosts.see(host, 32, 0);
                let unit = hosts.get_mut(host).unwrap();
                unit.speed.add(own + random.f64() - 0.5);
            }
        }
        band(&hosts)
    }

    #[test]
    fn hosts_that_differ_in_speed_earn_a_band_and_alike_ones_hardly_any() {
        assert!(of(0.0) < 0.13, "{}", of(0.0));
        assert!((0.7..1.3).contains(&of(0.3)), "{}", of(0.3));
        assert!((0.15..0.25).contains(&band(&Table::default())));
    }
}
