//! How much units of the same version differ, beyond what chance explains (4.9 of the design).
//!
//! The log odds of a category on unit `u` are shifted by `δ_u` with mean 0 and variance τ². τ² is
//! estimated from the baseline's units by the moment estimator of DerSimonian and Laird ("Meta-analysis
//! in clinical trials", 1986) and shrunk to a prior, which decides where there are few units.

use super::moments::Moments;
use super::table::{Answers, Table};

/// Degrees of freedom that the prior is worth.
const PRIOR_FREEDOM: f64 = 4.0;
/// Degrees of freedom that the law of a deviation has at least.
const LEAST_FREEDOM: f64 = 8.0;
/// Standard deviation between hosts that the prior assumes, in log odds (table in 4.9 of the design).
pub(super) const HOSTS: f64 = 0.2;
/// The same for sessions: users differ more than pods that run the same image.
pub(super) const SESSIONS: f64 = 0.5;
/// A unit counts as a degree of freedom as far as it could tell a deviation of this size from
/// chance.
const TOLD_APART: f64 = 0.5;

/// What is assumed of hosts, and of sessions, before a difference is told: a wrong one costs a look, and
/// a slowdown by a tenth is to be told.
pub(super) const HOSTS_TOLD: f64 = 0.05;
pub(super) const SESSIONS_TOLD: f64 = 0.2;

/// What the baseline's units say of one question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variance {
    /// Estimated variance between units, in squared log odds.
    pub(super) variance: f64,
    /// Degrees of freedom behind it.
    pub(super) freedom: f64,
}

/// The spread of a question over the units of a table; unit 0 stands for what is not known. `prior` is
/// the deviation, in log odds, that is assumed before units were seen.
pub(super) fn spread(units: &Table, question: usize, prior: f64) -> Variance {
    let mut moments = Moments::default();
    for unit in units.iter().filter(|unit| unit.id != 0) {
        if let Some((deviation, precision)) = unit.answers.get(question).and_then(deviation) {
            moments.add(deviation, precision, TOLD_APART);
        }
    }
    let (observed, freedom) = (moments.variance(), moments.freedom());
    Variance {
        variance: (PRIOR_FREEDOM * prior.powi(2) + freedom * observed) / (PRIOR_FREEDOM + freedom),
        freedom: PRIOR_FREEDOM + freedom,
    }
}

/// How much more the log odds of a rare category move than those of a common one, when what is asked
/// moves by the same part of its spread: `φ(z)/(p·(1−p))`, in multiples of that at the median, within
/// 5% from .001 to .999. One in the category was `odds` times as likely to be judged as another.
pub(super) fn of_rare(units: &Table, question: usize, odds: f64) -> f64 {
    let (expected, total) = units
        .iter()
        .filter_map(|unit| unit.answers.get(question))
        .fold((0.5, 1.0), |(expected, total), answers| {
            (expected + answers.expected, total + answers.total)
        });
    let rate = if odds > 1.0 {
        expected / (expected + (total - expected).max(0.0) * odds)
    } else {
        expected / total
    };
    1.0 + 0.16 * (0.5 / rate.min(1.0 - rate).max(1e-4)).ln()
}

/// How far a unit's log odds are from what is expected, with the inverse of the variance that chance
/// gives it.
fn deviation(answers: &Answers) -> Option<(f64, f64)> {
    let Answers {
        inside,
        expected,
        total,
    } = *answers;
    if total < 1.0 {
        return None;
    }
    // Half an exchange on each side keeps the logs finite.
    let odds = |part: f64| (part + 0.5) / ((total - part).max(0.0) + 0.5);
    let variance = 1.0 / (inside + 0.5) + 1.0 / ((total - inside).max(0.0) + 0.5);
    // Where less than one was expected and none came, nothing was seen.
    let by_chance = 1.0 / (expected + 0.5) + 1.0 / ((total - expected).max(0.0) + 0.5);
    Some((
        (odds(inside) / odds(expected)).ln(),
        1.0 / variance.max(by_chance),
    ))
}

/// How many standard deviations between units a difference has to exceed: the .995 quantile of
/// Student's t. Where hardly anything was seen the prior stands for itself, and the law has no heavier
/// tail than that of [`LEAST_FREEDOM`].
pub(super) fn deviations(freedom: f64) -> f64 {
    t_quantile(freedom.max(LEAST_FREEDOM))
}

/// The .995 quantile of Student's t, by the expansion of Cornish and Fisher (Abramowitz and Stegun
/// 26.7.5); within 2% from 4 degrees of freedom on.
fn t_quantile(freedom: f64) -> f64 {
    const Z: f64 = 2.575_829;
    let z = [1, 3, 5, 7].map(|power| Z.powi(power));
    let [z1, z3, z5, z7] = z;
    z1 + (z3 + z1) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z1) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z1) / (384.0 * freedom.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(units: &[(u32, u32)]) -> Table {
        let mut table = Table::default();
        for (id, (inside, total)) in (1..).zip(units) {
            for number in 0..*total {
                table.see(id, 64, 0);
                let unit = table.get_mut(id).unwrap();
                unit.answer(0, number < *inside, 0.1);
            }
        }
        table
    }

    #[test]
    fn the_quantile_of_t_is_that_of_the_tables() {
        for (freedom, known) in [(4.0, 4.604), (7.0, 3.499), (13.0, 3.012), (60.0, 2.660)] {
            let found = t_quantile(freedom);
            assert!((found / known - 1.0).abs() < 0.02, "{freedom}: {found}");
        }
    }

    #[test]
    fn alike_units_have_less_spread_than_the_prior_and_unlike_ones_more() {
        let alike = spread(&table(&[(100, 1_000); 10]), 0, HOSTS);
        let unlike = spread(
            &table(&[(50, 1_000), (100, 1_000), (200, 1_000), (400, 1_000)]),
            0,
            HOSTS,
        );
        assert!(alike.variance < 0.5 * HOSTS.powi(2), "{alike:?}");
        assert!(unlike.variance > 0.3, "{unlike:?}");
        assert_eq!(
            spread(&table(&[(100, 1_000)]), 0, HOSTS).freedom,
            PRIOR_FREEDOM
        );
    }
}
