//! The rank-sum test (Mann-Whitney, Wilcoxon) of two samples, in its normal approximation with
//! ties and continuity correction, and its location shift with a confidence interval.
//!
//! The interval is R's `wilcox.test(conf.int = TRUE, exact = FALSE)`, which Kayenta follows
//! (`MannWhitney.scala`): the shift `d` at which the statistic of `experiment − d` against
//! `control` reaches a quantile of the normal law. The statistic is a falling step function of
//! `d`, so a bisection finds where it crosses.

/// Roots are found to this width, as R and Kayenta do.
const TOLERANCE: f64 = 1e-4;

/// How far `experiment` lies above `control`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Lower end of the two-sided interval.
    pub lower: f64,
    /// The Hodges-Lehmann estimate.
    pub estimate: f64,
    /// Upper end of the two-sided interval.
    pub upper: f64,
}

/// The statistic of `experiment − shift` against `control` in standard deviations, positive where
/// the experiment's values are larger; `None` where all values are tied or a sample is empty.
#[must_use]
pub fn statistic(experiment: &[f64], control: &[f64], shift: f64) -> Option<f64> {
    let (n, m) = (experiment.len() as f64, control.len() as f64);
    let mut all: Vec<(f64, bool)> = experiment
        .iter()
        .map(|value| (value - shift, true))
        .chain(control.iter().map(|value| (*value, false)))
        .collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut rank_sum = 0.0;
    let mut ties = 0.0;
    let mut before = 0.0;
    for tied in all.chunk_by(|one, other| one.0 == other.0) {
        let count = tied.len() as f64;
        let mean_rank = before + (count + 1.0) / 2.0;
        let ours = tied.iter().filter(|(_, ours)| *ours).count() as f64;
        rank_sum += ours * mean_rank;
        ties += count * (count * count - 1.0);
        before += count;
    }
    let centred = rank_sum - n * (n + 1.0) / 2.0 - n * m / 2.0;
    let spread = (n * m / 12.0 * ((n + m + 1.0) - ties / ((n + m) * (n + m - 1.0)))).sqrt();
    let correction = match centred {
        centred if centred > 0.0 => 0.5,
        centred if centred < 0.0 => -0.5,
        _ => 0.0,
    };
    (spread > 0.0).then(|| (centred - correction) / spread)
}

/// The shift with its interval, `z` being the normal quantile of the interval's ends; `None` where
/// all values are tied or a sample is empty.
#[must_use]
pub fn shift(experiment: &[f64], control: &[f64], z: f64) -> Option<Shift> {
    let (low, high) = range(experiment, control)?;
    Some(Shift {
        lower: crossing(experiment, control, low, high, z)?,
        estimate: crossing(experiment, control, low, high, 0.0)?,
        upper: crossing(experiment, control, low, high, -z)?,
    })
}

/// The smallest and the largest difference of an experiment's and a control's value.
fn range(experiment: &[f64], control: &[f64]) -> Option<(f64, f64)> {
    let least = |values: &[f64]| values.iter().copied().min_by(f64::total_cmp);
    let most = |values: &[f64]| values.iter().copied().max_by(f64::total_cmp);
    Some((
        least(experiment)? - most(control)?,
        most(experiment)? - least(control)?,
    ))
}

/// Where the statistic falls through `level`.
fn crossing(
    experiment: &[f64],
    control: &[f64],
    mut low: f64,
    mut high: f64,
    level: f64,
) -> Option<f64> {
    if statistic(experiment, control, low)? <= level {
        return Some(low);
    }
    if statistic(experiment, control, high)? >= level {
        return Some(high);
    }
    while high - low > TOLERANCE {
        let middle = low + (high - low) / 2.0;
        // So wide apart that nothing lies between them.
        if middle <= low || middle >= high {
            break;
        }
        if statistic(experiment, control, middle)? > level {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low + (high - low) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// z of a two-sided 98% interval.
    const Z98: f64 = 2.326_347_874_040_841;

    #[test]
    fn the_interval_is_the_one_that_kayenta_reports() {
        // spinnaker#6278 prints 6.8e-5, 98.9999 and 99.0 for these samples.
        let experiment = [
            100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0, 1.0,
        ];
        let found = shift(&experiment, &[1.0; 10], Z98).unwrap();
        assert!(found.lower.abs() < 2.0 * TOLERANCE, "{found:?}");
        assert!((found.estimate - 99.0).abs() < 2.0 * TOLERANCE, "{found:?}");
        assert!((found.upper - 99.0).abs() < 2.0 * TOLERANCE, "{found:?}");
    }

    #[test]
    fn the_statistic_is_the_textbooks() {
        // n = m = 5, no overlap: W = 25, mean 12.5, variance 25·11/12, correction 0.5.
        let found = statistic(&[6.0, 7.0, 8.0, 9.0, 10.0], &[1.0, 2.0, 3.0, 4.0, 5.0], 0.0);
        let expected = 12.0 / (25.0_f64 * 11.0 / 12.0).sqrt();
        assert!((found.unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn shifting_the_experiment_shifts_estimate_and_interval() {
        let control = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let moved = |by: f64| -> Vec<f64> { control.iter().map(|value| value + by).collect() };
        let near = shift(&moved(0.5), &control, Z98).unwrap();
        let far = shift(&moved(10.5), &control, Z98).unwrap();
        for (near, far) in [
            (near.lower, far.lower),
            (near.estimate, far.estimate),
            (near.upper, far.upper),
        ] {
            assert!((far - near - 10.0).abs() < 3.0 * TOLERANCE, "{near} {far}");
        }
    }

    #[test]
    fn tied_and_empty_samples_have_no_statistic() {
        assert_eq!(statistic(&[1.0, 1.0], &[1.0], 0.0), None);
        assert_eq!(shift(&[], &[1.0], Z98), None);
    }
}
