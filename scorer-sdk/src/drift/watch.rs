//! The series of one destination: what comes, and what each version does with it.
//!
//! Ticks are gathered into windows, and each window gives every series a rate:
//!
//! | measure | of | rate |
//! | --- | --- | --- |
//! | `traffic` | both versions | requests, out of a number that is never reached: Poisson's limit |
//! | `mix` | both versions | requests to one route out of all; a series for each of the first eight routes, one for the rest |
//! | `errors` | each version | failures out of all exchanges |
//! | `latency` | each version | exchanges that took a tenth longer than the mean of their route's past, out of all |
//!
//! The first two are usage and the last two behaviour: a change of the mix alone does not move
//! latency, because each exchange is held against its own route.

use super::cause::{Cause, Known};
use super::detector::finite;
use super::rate::RateDrift;
use super::report::{Drift, Settings};
use super::split::{RouteTokens, Split, TokenCounts, split};
use crate::codec::{CodecError, Reader, Writer};
use crate::route::RouteKey;
use core::time::Duration;

/// Routes that are told apart; the others count for traffic and errors.
const MAX_ROUTES: usize = 64;
/// Routes whose part of the traffic has a series; the others share one.
const MIX_ROUTES: usize = 8;
/// Series of a destination: they share the run length.
const SERIES: f64 = 1.0 + MIX_ROUTES as f64 + 1.0 + 4.0;
/// Out of how many the requests of a window are counted: far more than there are.
const TRAFFIC_OUT_OF: f64 = 1e9;
/// Exchanges of a route's past from which its mean is one to be held against.
const TIMED_NEEDED: f64 = 20.0;
/// What of the last windows is kept at each, for what is said of a drift.
const RECENT: f64 = 0.875;
/// Longer than this many times the route's past mean counts for latency.
const LONGER: f64 = 1.1;
/// And this is slow, in what is said of a drift.
const SLOW: f64 = 2.0;

/// A number of a version, or of what both were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How many requests come.
    Traffic,
    /// Which routes they are for.
    Mix,
    /// How many of them fail.
    Errors,
    /// How long they take.
    Latency,
}

impl Measure {
    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Mix => "mix",
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }

    /// How a series of it is held against its past: a quarter more or less traffic is tolerated,
    /// and an odds ratio of 1.5 of everything else.
    fn settings(self) -> Settings {
        let plain = Settings::default();
        Settings {
            average_run_length: SERIES * plain.average_run_length,
            tolerance: match self {
                Self::Traffic => 0.22,
                Self::Mix | Self::Errors | Self::Latency => 0.4,
            },
            ..plain
        }
    }
}

/// Whose series it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The stable version's.
    Baseline,
    /// The new version's.
    Candidate,
    /// Of what both are asked.
    Both,
}

impl Whose {
    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
            Self::Both => "both",
        }
    }
}

/// Where one series stands; of those of the mix, the one with most evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What is measured.
    pub measure: Measure,
    /// Of whom.
    pub whose: Whose,
    /// The route of a mix, as it is written for people; empty for the routes that share a series,
    /// and for every other measure.
    pub route: String,
    /// For latency, how many times as long as the baseline used to answers take of late.
    pub times: f64,
    /// Log evidence for a drift in nats; [`Series::threshold`] at least while one lasts.
    pub evidence: f64,
    /// What is enough, in nats.
    pub threshold: f64,
    /// The drift that lasts, if one does.
    pub drift: Option<Drift>,
}

impl Series {
    /// What this drift is, for people, as in "answers take 1.5 times as long"; empty without one.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(drift) = &self.drift else {
            return String::new();
        };
        let (now, past) = (100.0 * drift.observed, 100.0 * drift.expected);
        match (self.measure, self.route.as_str()) {
            (Measure::Traffic, _) => format!(
                "{:.2} times as many requests",
                drift.observed / drift.expected.max(f64::MIN_POSITIVE)
            ),
            (Measure::Mix, "") => "another mix of requests".to_owned(),
            (Measure::Mix, route) => {
                format!("{now:.1}% of the requests for {route} instead of {past:.1}%")
            }
            (Measure::Errors, _) => format!("{now:.2}% fail instead of {past:.2}%"),
            (Measure::Latency, _) => format!("answers take {:.2} times as long", self.times),
        }
    }
}

/// What is known of a destination's drift.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weather {
    /// What it is that changed.
    pub cause: Cause,
    /// A sentence for people; empty while nothing drifts and nothing fires.
    pub sentence: String,
    /// The series that have a past.
    pub series: Vec<Series>,
}

/// Sums over exchanges of one route. Decayed in the past, whole numbers in a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    /// Requests to both versions.
    requests: f64,
    /// Exchanges of the baseline, and those of them that failed or were slow.
    exchanges: f64,
    failures: f64,
    slow: f64,
    /// Exchanges of the baseline whose time is known, and the sum of the logs of their times.
    timed: f64,
    log_time: f64,
}

impl Sums {
    fn fields(&mut self) -> [&mut f64; 6] {
        [
            &mut self.requests,
            &mut self.exchanges,
            &mut self.failures,
            &mut self.slow,
            &mut self.timed,
            &mut self.log_time,
        ]
    }

    fn decay_and_add(&mut self, keep: f64, mut window: Self) {
        for (sum, value) in self.fields().into_iter().zip(window.fields()) {
            *sum = *sum * keep + *value;
        }
    }

    /// Mean of the logs of the times; `None` while too little is known.
    fn usual_log_time(&self) -> Option<f64> {
        (self.timed >= TIMED_NEEDED).then(|| self.log_time / self.timed)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct RouteSums {
    key: RouteKey,
    past: Sums,
    recent: Sums,
    window: Sums,
}

/// One version's part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Window {
    exchanges: u64,
    failures: u64,
    /// Those whose time can be held against the route's past, and those of them that took longer.
    timed: u64,
    longer: u64,
    /// Sum of the logs of how many times as long as usual they took.
    log_times: f64,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct ArmSeries {
    errors: RateDrift,
    latency: RateDrift,
    window: Window,
    /// Decayed number of timed exchanges, and sum of their `log_times`.
    recent: [f64; 2],
}

/// What one version did on one route in a tick.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tick<'a> {
    /// Exchanges of which the outcome is known.
    pub exchanges: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Times in microseconds, each with its number of exchanges.
    pub times: &'a [(u64, u32)],
}

/// Watches one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    window_since_ms: u64,
    requests: u64,
    traffic: RateDrift,
    /// The first routes', each its own, and behind them one for the others.
    mix: Vec<RateDrift>,
    /// Of baseline and candidate.
    arms: [Box<ArmSeries>; 2],
    routes: Vec<RouteSums>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            window_since_ms: 0,
            requests: 0,
            traffic: RateDrift::default(),
            mix: vec![RateDrift::default(); MIX_ROUTES + 1],
            arms: Default::default(),
            routes: Vec::new(),
        }
    }
}

impl Watch {
    /// Takes what baseline (0), candidate (1) or another version (none) did on a route in this
    /// tick. Another version's requests are part of the usage.
    pub fn add(&mut self, key: &RouteKey, arm: Option<usize>, tick: &Tick<'_>) {
        self.requests = self.requests.saturating_add(tick.exchanges);
        let place = self.place(key);
        if let Some(route) = place.and_then(|place| self.routes.get_mut(place)) {
            route.window.requests += tick.exchanges as f64;
        }
        let Some((arm, series)) = arm.and_then(|arm| Some((arm, self.arms.get_mut(arm)?))) else {
            return;
        };
        series.window.exchanges += tick.exchanges;
        series.window.failures += tick.failures.min(tick.exchanges);
        let Some(route) = place.and_then(|place| self.routes.get_mut(place)) else {
            return;
        };
        let of_baseline = arm == 0;
        if of_baseline {
            route.window.exchanges += tick.exchanges as f64;
            route.window.failures += tick.failures.min(tick.exchanges) as f64;
        }
        let usual = route.past.usual_log_time();
        for (time, count) in tick.times {
            let log_time = ((*time).max(1) as f64).ln();
            let number = f64::from(*count);
            if let Some(usual) = usual {
                let log_times = log_time - usual;
                series.window.timed += u64::from(*count);
                series.window.log_times += number * log_times;
                if log_times > LONGER.ln() {
                    series.window.longer += u64::from(*count);
                }
                if of_baseline && log_times > SLOW.ln() {
                    route.window.slow += number;
                }
            }
            if of_baseline {
                route.window.timed += number;
                route.window.log_time += number * log_time;
            }
        }
    }

    fn place(&mut self, key: &RouteKey) -> Option<usize> {
        if let Some(place) = self.routes.iter().position(|route| route.key == *key) {
            return Some(place);
        }
        if self.routes.len() >= MAX_ROUTES {
            // One that was hardly ever asked for makes room, unless it has a series of its own.
            let (least, requests) = self
                .routes
                .iter()
                .map(|route| route.past.requests + route.window.requests)
                .enumerate()
                .skip(MIX_ROUTES)
                .min_by(|one, other| one.1.total_cmp(&other.1))?;
            if requests >= 1.0 {
                return None;
            }
            self.routes.swap_remove(least);
        }
        self.routes.push(RouteSums {
            key: key.clone(),
            past: Sums::default(),
            recent: Sums::default(),
            window: Sums::default(),
        });
        Some(self.routes.len() - 1)
    }

    /// Ends the tick, which took about `tick`: closes the window when `length` has passed since it
    /// was opened, or will have before half of another tick.
    pub fn tick(&mut self, now_ms: u64, length: Duration, tick: Duration) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let (length_ms, tick_ms) = (ms(length), ms(tick));
        let passed = now_ms.saturating_sub(self.window_since_ms);
        if passed.saturating_add(tick_ms / 2) < length_ms && now_ms >= self.window_since_ms {
            return;
        }
        // The first window, one across a pause, or one across a clock that was set back, is no
        // window.
        let is_whole = now_ms >= self.window_since_ms && passed < length_ms.saturating_mul(3);
        self.window_since_ms = now_ms;
        let requests = core::mem::take(&mut self.requests);
        if is_whole {
            let lengths = passed as f64 / length_ms as f64;
            self.judge(Duration::from_millis(now_ms), requests, lengths);
        }
        for arm in &mut self.arms {
            arm.window = Window::default();
        }
        for route in &mut self.routes {
            route.window = Sums::default();
        }
    }

    /// Judges the window, which was so many times as long as a window is.
    fn judge(&mut self, now: Duration, requests: u64, lengths: f64) {
        self.traffic.update(
            now,
            requests,
            (TRAFFIC_OUT_OF * lengths) as u64,
            &Measure::Traffic.settings(),
        );
        let mut others = requests;
        for (place, series) in self.mix.iter_mut().enumerate() {
            let own = self.routes.get(place).filter(|_| place < MIX_ROUTES);
            let count = match own {
                Some(route) => route.window.requests as u64,
                None if place == MIX_ROUTES => others,
                None => continue,
            };
            others = others.saturating_sub(count);
            series.update(now, count, requests, &Measure::Mix.settings());
        }
        for arm in &mut self.arms {
            let window = arm.window;
            arm.errors.update(
                now,
                window.failures,
                window.exchanges,
                &Measure::Errors.settings(),
            );
            arm.latency.update(
                now,
                window.longer,
                window.timed,
                &Measure::Latency.settings(),
            );
            for (sum, value) in arm
                .recent
                .iter_mut()
                .zip([window.timed as f64, window.log_times])
            {
                *sum = *sum * RECENT + value;
            }
        }
        // What drifts is not yet the past.
        let learns = !self.is_drifting();
        let keep = 1.0 - 1.0 / Settings::default().memory;
        for route in &mut self.routes {
            route.recent.decay_and_add(RECENT, route.window);
            if learns {
                route.past.decay_and_add(keep, route.window);
            }
        }
    }

    fn is_drifting(&self) -> bool {
        let of_arms = self.arms.iter().flat_map(|arm| [&arm.errors, &arm.latency]);
        core::iter::once(&self.traffic)
            .chain(&self.mix)
            .chain(of_arms)
            .any(|series| series.has_past() && series.drift().is_some())
    }

    /// Every series that has a past.
    fn series(&self) -> Vec<Series> {
        let mut found = Vec::new();
        let mut add = |measure: Measure, whose, series: &RateDrift, route: String, times| {
            if !series.has_past() {
                return;
            }
            let threshold = measure.settings().threshold();
            let drift = series.drift().copied();
            let least = if drift.is_some() { threshold } else { 0.0 };
            found.push(Series {
                measure,
                whose,
                route,
                times,
                evidence: series.log_evidence().max(least),
                threshold,
                drift,
            });
        };
        add(
            Measure::Traffic,
            Whose::Both,
            &self.traffic,
            String::new(),
            1.0,
        );
        let loudest = self
            .mix
            .iter()
            .enumerate()
            .max_by(|(_, one), (_, other)| loudness(one).total_cmp(&loudness(other)));
        if let Some((place, series)) = loudest {
            let route = self.routes.get(place).filter(|_| place < MIX_ROUTES);
            let label = route.map(|route| route.key.label()).unwrap_or_default();
            add(Measure::Mix, Whose::Both, series, label, 1.0);
        }
        for (arm, whose) in self.arms.iter().zip([Whose::Baseline, Whose::Candidate]) {
            let [timed, log_times] = arm.recent;
            let times = (log_times / timed.max(1.0)).exp();
            add(Measure::Errors, whose, &arm.errors, String::new(), 1.0);
            add(Measure::Latency, whose, &arm.latency, String::new(), times);
        }
        found
    }

    /// What drifts, and what that means together with the comparison, which `fires` or not, if there
    /// is a candidate to compare.
    #[must_use]
    pub fn weather(&self, fires: bool, has_candidate: bool) -> Weather {
        let series = self.series();
        let drifts = |whose: Whose| {
            series
                .iter()
                .any(|series| series.whose == whose && series.drift.is_some())
        };
        let usage = drifts(Whose::Both);
        let behaviour = drifts(Whose::Baseline);
        let candidate_has_past = series.iter().any(|series| series.whose == Whose::Candidate);
        let baseline = usage || behaviour;
        let candidate = usage
            || drifts(Whose::Candidate)
            // One that is too new to have left anything cannot be the one that stayed.
            || (fires && baseline && !candidate_has_past);
        let cause = Cause::of(baseline, candidate, fires);
        let mostly = match (usage, behaviour) {
            (true, false) => Some("usage"),
            (false, true) => Some("behaviour"),
            // Both move: whichever explains more.
            _ => None,
        };
        let mut sentence = String::new();
        if cause != Cause::Nothing {
            let split = self.split();
            let mostly = mostly.or(split.mostly());
            // What changed of the usage is said by its series.
            let terms = match mostly {
                Some("usage") => &[],
                _ => split.terms.as_slice(),
            };
            let known = Known {
                baseline_past: series.iter().any(|series| series.whose == Whose::Baseline),
                candidate: has_candidate,
                candidate_past: candidate_has_past,
            };
            sentence = cause.explain(known, mostly, terms);
            let drifting: Vec<String> = series
                .iter()
                .filter(|series| series.drift.is_some())
                .map(|series| format!("{}: {}", series.whose.name(), series.sentence()))
                .collect();
            if !drifting.is_empty() {
                sentence.push_str(&format!(" ({})", drifting.join(", ")));
            }
        }
        Weather {
            cause,
            sentence,
            series,
        }
    }

    /// The last windows against the past, by route and by what became of the requests.
    fn split(&self) -> Split {
        let labels: Vec<String> = self.routes.iter().map(|route| route.key.label()).collect();
        let tokens: Vec<[TokenCounts<'_>; 3]> = self
            .routes
            .iter()
            .map(|route| {
                let (now, past) = (&route.recent, &route.past);
                let usual = |sums: &Sums| (sums.exchanges - sums.failures - sums.slow).max(0.0);
                [
                    TokenCounts {
                        token: "failures",
                        now: now.failures,
                        past: past.failures,
                    },
                    TokenCounts {
                        token: "answers that take twice as long",
                        now: now.slow,
                        past: past.slow,
                    },
                    TokenCounts {
                        token: super::cause::USUAL,
                        now: usual(now),
                        past: usual(past),
                    },
                ]
            })
            .collect();
        let routes: Vec<RouteTokens<'_>> = labels
            .iter()
            .zip(&tokens)
            .map(|(route, tokens)| RouteTokens { route, tokens })
            .collect();
        split(&routes)
    }

    /// Another candidate has come: it has no past.
    pub fn restart(&mut self) {
        let [_, candidate] = &mut self.arms;
        **candidate = ArmSeries::default();
    }

    /// The candidate has become the baseline.
    pub fn promote(&mut self) {
        self.arms.reverse();
        self.restart();
    }

    /// Appends the state.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u64(self.window_since_ms);
        writer.u64(self.requests);
        self.traffic.encode(writer);
        self.mix.iter().for_each(|series| series.encode(writer));
        for arm in &self.arms {
            arm.errors.encode(writer);
            arm.latency.encode(writer);
            writer.u64(arm.window.exchanges);
            writer.u64(arm.window.failures);
            writer.u64(arm.window.timed);
            writer.u64(arm.window.longer);
            writer.f64(arm.window.log_times);
            arm.recent.iter().for_each(|value| writer.f64(*value));
        }
        writer.length(self.routes.len());
        for route in &self.routes {
            route.key.encode(writer);
            for mut sums in [route.past, route.recent, route.window] {
                sums.fields()
                    .into_iter()
                    .for_each(|value| writer.f64(*value));
            }
        }
    }

    /// Reads what [`Watch::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut watch = Self {
            window_since_ms: reader.u64()?,
            requests: reader.u64()?,
            traffic: RateDrift::decode(reader)?,
            ..Self::default()
        };
        for series in &mut watch.mix {
            *series = RateDrift::decode(reader)?;
        }
        for arm in &mut watch.arms {
            **arm = ArmSeries {
                errors: RateDrift::decode(reader)?,
                latency: RateDrift::decode(reader)?,
                window: Window {
                    exchanges: reader.u64()?,
                    failures: reader.u64()?,
                    timed: reader.u64()?,
                    longer: reader.u64()?,
                    log_times: finite(reader)?,
                },
                recent: [finite(reader)?, finite(reader)?],
            };
        }
        for _ in 0..reader.length(MAX_ROUTES)? {
            let key = RouteKey::decode(reader)?;
            let mut sums = [Sums::default(); 3];
            for value in sums.iter_mut().flat_map(Sums::fields) {
                *value = finite(reader)?;
            }
            let [past, recent, window] = sums;
            watch.routes.push(RouteSums {
                key,
                past,
                recent,
                window,
            });
        }
        Ok(watch)
    }
}

/// A series that drifts is louder than any that does not.
fn loudness(series: &RateDrift) -> f64 {
    if series.drift().is_some() {
        f64::MAX
    } else {
        series.log_evidence()
    }
}
