//! How long a request takes and how it ends: one draw per request, from a seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use super::calls::calls;
use super::regression::Regressions;
use super::{Call, Regression, Route};

/// Standard deviation of the logarithm of a latency.
const LATENCY_SIGMA: f64 = 0.5;
/// Share of requests that fail in a healthy version.
const BASE_ERROR_RATE: f64 = 0.003;
/// Share of requests for something that is not there, on routes where that can be.
const BASE_NOT_FOUND_RATE: f64 = 0.01;
/// [`Regression::Errors`]: share of requests that fail on the routes concerned.
const REGRESSION_ERROR_RATE: f64 = 0.08;
/// [`Regression::Latency`]: factor on the routes concerned.
const REGRESSION_LATENCY_FACTOR: f64 = 3.0;
/// [`Regression::Hang`]: share of requests that hang.
const REGRESSION_HANG_RATE: f64 = 0.10;
/// [`Regression::Hang`]: longer than any client or proxy here waits.
const HANG: Duration = Duration::from_secs(35);
/// No drawn latency is longer, whatever the factors.
const MAX_LATENCY_MS: f64 = 10_000.0;

/// What can be changed while the shop runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) regressions: Regressions,
    /// Calls to make instead of those that follow from the regressions.
    pub(super) calls: Option<&'static [Call]>,
    /// Factor on every latency.
    pub(super) slowdown: f64,
    /// Refuse everything, as a guard would.
    pub(super) refusing: bool,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Good,
    NotFound,
    Error,
    Refused,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) ending: Ending,
    pub(super) regressions: Regressions,
    /// What an instance with dependencies calls for the request.
    pub(super) calls: &'static [Call],
}

#[derive(Debug)]
pub(super) struct Behaviour {
    inner: Mutex<(Settings, SmallRng)>,
}

impl Behaviour {
    pub(super) fn new(seed: u64) -> Self {
        let settings = Settings {
            regressions: Regressions::default(),
            calls: None,
            slowdown: 1.0,
            refusing: false,
        };
        Self {
            inner: Mutex::new((settings, SmallRng::seed_from_u64(seed))),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    pub(super) fn plan(&self, route: Route) -> Plan {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (settings, rng) = &mut *inner;
        draw(*settings, route, rng)
    }
}

fn draw(settings: Settings, route: Route, rng: &mut SmallRng) -> Plan {
    // The same number of draws on every path keeps two seeds comparable over regressions.
    let normal: f64 = rng.sample(StandardNormal);
    let (error, not_found, hang): (f64, f64, f64) = rng.random();
    let regressions = settings.regressions;
    if settings.refusing {
        return Plan {
            delay: Duration::ZERO,
            ending: Ending::Refused,
            regressions,
            calls: &[],
        };
    }
    if route == Route::Health {
        return Plan {
            delay: Duration::ZERO,
            ending: Ending::Good,
            regressions,
            calls: &[],
        };
    }

    let mut factor = settings.slowdown;
    if regressions.has(Regression::Latency) && matches!(route, Route::Product | Route::Cart) {
        factor *= REGRESSION_LATENCY_FACTOR;
    }
    let latency = route.median_latency_ms() * (LATENCY_SIGMA * normal).exp() * factor;
    let mut delay = Duration::from_secs_f64(latency.clamp(0.0, MAX_LATENCY_MS) / 1e3);
    if regressions.has(Regression::Hang) && route == Route::Product && hang < REGRESSION_HANG_RATE {
        delay = HANG;
    }

    let erring =
        regressions.has(Regression::Errors) && matches!(route, Route::Checkout | Route::Cart);
    let error_rate = if erring {
        REGRESSION_ERROR_RATE
    } else {
        BASE_ERROR_RATE
    };
    let ending = if error < error_rate {
        Ending::Error
    } else if route.may_miss() && not_found < BASE_NOT_FOUND_RATE {
        Ending::NotFound
    } else {
        Ending::Good
    };
    Plan {
        delay,
        ending,
        regressions,
        calls: settings.calls.unwrap_or(calls(regressions)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 20_000;

    fn plans(regression: Regression, route: Route) -> Vec<Plan> {
        let behaviour = Behaviour::new(11);
        behaviour.change(|settings| settings.regressions = Regressions::of(&[regression]));
        (0..DRAWS).map(|_| behaviour.plan(route)).collect()
    }

    fn share(plans: &[Plan], is: impl Fn(&Plan) -> bool) -> f64 {
        plans.iter().filter(|plan| is(plan)).count() as f64 / plans.len() as f64
    }

    fn median_ms(plans: &[Plan]) -> f64 {
        let mut delays: Vec<_> = plans.iter().map(|plan| plan.delay).collect();
        delays.sort();
        delays[delays.len() / 2].as_secs_f64() * 1e3
    }

    #[test]
    fn healthy_rates_and_medians_are_as_documented() {
        let plans = plans(Regression::None, Route::Product);
        let errors = share(&plans, |plan| plan.ending == Ending::Error);
        let missing = share(&plans, |plan| plan.ending == Ending::NotFound);
        assert!((0.002..0.004).contains(&errors), "{errors}");
        assert!((0.008..0.012).contains(&missing), "{missing}");
        assert!(
            (3.8..4.2).contains(&median_ms(&plans)),
            "{}",
            median_ms(&plans)
        );
    }

    #[test]
    fn regressions_change_their_own_routes_only() {
        let errors = |route| {
            share(&plans(Regression::Errors, route), |plan| {
                plan.ending == Ending::Error
            })
        };
        assert!((0.07..0.09).contains(&errors(Route::Checkout)));
        assert!((0.07..0.09).contains(&errors(Route::Cart)));
        assert!(errors(Route::Product) < 0.005);

        let median = |route| median_ms(&plans(Regression::Latency, route));
        assert!((8.5..9.5).contains(&median(Route::Cart)));
        assert!((4.5..5.5).contains(&median(Route::Products)));

        let hanging = |route| share(&plans(Regression::Hang, route), |plan| plan.delay == HANG);
        assert!((0.09..0.11).contains(&hanging(Route::Product)));
        assert!(hanging(Route::Products) == 0.0);
    }

    #[test]
    fn a_version_can_have_several_faults_at_once() {
        let faults = Regressions::of(&[Regression::Errors, Regression::Size]);
        let behaviour = Behaviour::new(11);
        behaviour.change(|settings| settings.regressions = faults);
        let plans: Vec<Plan> = (0..DRAWS)
            .map(|_| behaviour.plan(Route::Checkout))
            .collect();
        let errors = share(&plans, |plan| plan.ending == Ending::Error);
        assert!((0.07..0.09).contains(&errors), "{errors}");
        let has = |fault| plans.iter().all(|plan| plan.regressions.has(fault));
        assert!(has(Regression::Size) && !has(Regression::Headers));
    }

    #[test]
    fn one_seed_gives_one_history() {
        let first = plans(Regression::None, Route::Cart);
        let again = plans(Regression::None, Route::Cart);
        assert!(
            first
                .iter()
                .zip(&again)
                .all(|(a, b)| a.delay == b.delay && a.ending == b.ending)
        );
    }
}
