//! How long a request takes and how it ends: one draw per request, from a seed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use super::calls::calls;
use super::cold_start::ColdStart;
use super::fault::Active;
use super::regression::Regressions;
use super::{Call, Encoding, Regression, Route};

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
/// Share of the streams that end with news, and between which times.
const NEWS: f64 = 0.6;
const NEWS_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// All others end when the shop closes them, as applications and proxies do with old streams.
const CLOSED_AFTER: (Duration, Duration) = (Duration::from_secs(65), Duration::from_secs(80));
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
    /// A further factor, while the instance is not warm.
    pub(super) cold_start: Option<ColdStart>,
    /// Answers in place of the instance's own.
    pub(super) fault: Option<Active>,
    /// Refuse everything, as a guard would.
    pub(super) refusing: bool,
    /// How answers are compressed.
    pub(super) encoding: Encoding,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Good,
    NotFound,
    Error,
    Refused,
    /// An error answer with this status.
    Status(StatusCode),
}

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Time to the answer, or to the first byte of a stream.
    pub(super) delay: Duration,
    /// From then to the end of a stream; 0 for other answers.
    pub(super) lasts: Duration,
    pub(super) ending: Ending,
    pub(super) regressions: Regressions,
    /// What an instance with dependencies calls for the request.
    pub(super) calls: &'static [Call],
    /// How the answer is compressed.
    pub(super) encoding: Encoding,
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
            cold_start: None,
            fault: None,
            refusing: false,
            encoding: Encoding::Plain,
        };
        Self {
            inner: Mutex::new((settings, SmallRng::seed_from_u64(seed))),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    /// What happens to a request that comes at `now`.
    pub(super) fn plan(&self, route: Route, now: Instant) -> Plan {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (settings, rng) = &mut *inner;
        draw(*settings, route, rng, now)
    }
}

fn draw(settings: Settings, route: Route, rng: &mut SmallRng, now: Instant) -> Plan {
    // The same number of draws on every path keeps two seeds comparable over regressions.
    let normal: f64 = rng.sample(StandardNormal);
    let (error, not_found, hang): (f64, f64, f64) = rng.random();
    let regressions = settings.regressions;
    if settings.refusing {
        return Plan {
            delay: Duration::ZERO,
            lasts: Duration::ZERO,
            ending: Ending::Refused,
            regressions,
            calls: &[],
            encoding: settings.encoding,
        };
    }
    if route == Route::Health {
        return Plan {
            delay: Duration::ZERO,
            lasts: Duration::ZERO,
            ending: Ending::Good,
            regressions,
            calls: &[],
            encoding: settings.encoding,
        };
    }

    let cold_start = settings.cold_start.map_or(1.0, |cold| cold.factor(now));
    let mut factor = settings.slowdown * cold_start;
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
    let fault = settings.fault.and_then(|fault| fault.answer(now, error));
    let ending = if let Some(status) = fault {
        Ending::Status(status)
    } else if error < error_rate {
        Ending::Error
    } else if route.may_miss() && not_found < BASE_NOT_FOUND_RATE {
        Ending::NotFound
    } else {
        Ending::Good
    };
    // The hanging requests are those of another route.
    let lasts = if route == Route::Events {
        stream_length(hang)
    } else {
        Duration::ZERO
    };
    Plan {
        delay,
        lasts,
        ending,
        regressions,
        calls: settings.calls.unwrap_or(calls(regressions)),
        encoding: settings.encoding,
    }
}

/// How long a stream with this draw from 0 to 1 lasts.
fn stream_length(chance: f64) -> Duration {
    let ((from, to), within) = if chance < NEWS {
        (NEWS_AFTER, chance / NEWS)
    } else {
        (CLOSED_AFTER, (chance - NEWS) / (1.0 - NEWS))
    };
    from + (to - from).mul_f64(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 20_000;

    fn plans(regression: Regression, route: Route) -> Vec<Plan> {
        let behaviour = Behaviour::new(11);
        behaviour.change(|settings| settings.regressions = Regressions::of(&[regression]));
        let now = Instant::now();
        (0..DRAWS).map(|_| behaviour.plan(route, now)).collect()
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
            .map(|_| behaviour.plan(Route::Checkout, Instant::now()))
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

    #[test]
    fn an_instance_that_starts_cold_comes_down_to_its_own_speed() {
        let start = Instant::now();
        let behaviour = Behaviour::new(11);
        behaviour.change(|settings| {
            settings.slowdown = 2.0;
            settings.cold_start = Some(ColdStart::new(3.0, Duration::from_secs(10), start));
        });
        let median_after = |seconds| {
            let now = start + Duration::from_secs(seconds);
            let plans: Vec<Plan> = (0..DRAWS)
                .map(|_| behaviour.plan(Route::Product, now))
                .collect();
            median_ms(&plans)
        };
        let (cold, warm) = (median_after(0), median_after(120));
        assert!((23.0..25.0).contains(&cold), "{cold}");
        assert!((7.6..8.4).contains(&warm), "{warm}");
    }

    #[test]
    fn a_stream_ends_with_news_or_when_the_shop_closes_it() {
        let plans = plans(Regression::None, Route::Events);
        let within = |(from, to): (Duration, Duration)| {
            share(&plans, |plan| (from..=to).contains(&plan.lasts))
        };
        let news = within(NEWS_AFTER);
        assert!((0.58..0.62).contains(&news), "{news}");
        assert!((news + within(CLOSED_AFTER) - 1.0).abs() < 1e-9);
        assert!(median_ms(&plans) < 5.0);
    }
}
