//! The series of one destination: its requests, and how each version answers them.
//!
//! Ticks are gathered into windows, and each window gives every series a rate:
//!
//! | measure | of | rate |
//! | --- | --- | --- |
//! | `traffic` | both versions | requests, out of a number far above them, so that they follow Poisson's law |
//! | `mix` | both versions | requests to one route out of all; a series for each of the first eight routes, one for the rest |
//! | `errors` | each version | failures out of all exchanges |
//! | `latency` | each version | exchanges that took a tenth longer than the mean of their route's past, out of all |
//!
//! The first two are usage and the last two behaviour: a change of the mix alone does not move
//! latency, because each exchange is held against its own route.

use super::arm::{ArmSeries, Window};
use super::measure::Measure;
use super::rate::RateDrift;
use super::routes::{MIX_ROUTES, Routes};
use super::seasons::Seasons;
use crate::route::RouteKey;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// The total of the traffic's rate in one window: far above any number of requests.
const TRAFFIC_OUT_OF: f64 = 1e9;
/// Exchanges that take longer than this many times the route's past mean count for latency.
const LONGER: f64 = 1.1;
/// Exchanges that take longer than this many times the mean are called slow in explanations.
const SLOW: f64 = 2.0;

/// What one version did on one route in a tick.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tick<'a> {
    /// Exchanges with a known outcome.
    pub exchanges: u64,
    /// How many exchanges these stand for, where only a part of all was looked at; never taken for
    /// fewer than there are.
    pub stands_for: u64,
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
    /// How many requests these stand for.
    stands_for: u64,
    pub(super) traffic: RateDrift,
    /// One for each of the first routes, and then one for all others.
    pub(super) mix: Vec<RateDrift>,
    /// Of baseline and candidate.
    pub(super) arms: [Box<ArmSeries>; 2],
    pub(super) routes: Routes,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            window_since_ms: 0,
            requests: 0,
            stands_for: 0,
            traffic: RateDrift::default(),
            mix: vec![RateDrift::default(); MIX_ROUTES + 1],
            arms: Default::default(),
            routes: Routes::default(),
        }
    }
}

impl Watch {
    /// Takes what baseline (0), candidate (1) or another version (none) did on a route in this
    /// tick. Another version's requests are part of the usage.
    pub fn add(&mut self, key: &RouteKey, arm: Option<usize>, tick: &Tick<'_>) {
        self.requests = self.requests.saturating_add(tick.exchanges);
        self.stands_for = self
            .stands_for
            .saturating_add(tick.stands_for.max(tick.exchanges));
        let mut route = self.routes.find(key);
        if let Some(route) = &mut route {
            route.window.requests += tick.exchanges as f64;
        }
        let Some((arm, series)) = arm.and_then(|arm| Some((arm, self.arms.get_mut(arm)?))) else {
            return;
        };
        series.window.exchanges += tick.exchanges;
        series.window.failures += tick.failures.min(tick.exchanges);
        let Some(route) = route else {
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

    /// Ends the tick, which took about `tick`: closes the window when `length` has passed since it
    /// was opened, or will have before half of another tick.
    pub fn tick(&mut self, now_ms: u64, length: Duration, tick: Duration) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let (length_ms, tick_ms) = (ms(length), ms(tick));
        let passed = now_ms.saturating_sub(self.window_since_ms);
        if passed.saturating_add(tick_ms / 2) < length_ms && now_ms >= self.window_since_ms {
            return;
        }
        // The first window is not judged, nor one across a pause or a clock that was set back.
        let is_whole = now_ms >= self.window_since_ms && passed < length_ms.saturating_mul(3);
        self.window_since_ms = now_ms;
        let requests = core::mem::take(&mut self.requests);
        let stands_for = core::mem::take(&mut self.stands_for);
        if is_whole {
            let lengths = passed as f64 / length_ms as f64;
            let now = Duration::from_millis(now_ms);
            self.judge(now, (requests, stands_for), lengths);
        }
        for arm in &mut self.arms {
            arm.window = Window::default();
        }
        self.routes.begin_window();
    }

    /// Judges the window, in which so many requests were looked at and stand for so many. It took
    /// `lengths` times the usual length.
    fn judge(&mut self, now: Duration, (requests, stands_for): (u64, u64), lengths: f64) {
        // A part of the requests is as random as it is small: it is held against a part of the time.
        let part = if stands_for > requests {
            requests as f64 / stands_for as f64
        } else {
            1.0
        };
        self.traffic.update(
            now,
            requests,
            (TRAFFIC_OUT_OF * lengths * part) as u64,
            &Measure::Traffic.settings(),
        );
        let mut others = requests;
        for (index, series) in self.mix.iter_mut().enumerate() {
            let count = match self.routes.of_mix(index) {
                Some(route) => route.window.requests as u64,
                None if index == MIX_ROUTES => others,
                None => continue,
            };
            others = others.saturating_sub(count);
            series.update(now, count, requests, &Measure::Mix.settings());
        }
        for arm in &mut self.arms {
            arm.judge(now);
        }
        // What drifts is not yet the past.
        self.routes.learn(!self.is_drifting());
    }

    fn is_drifting(&self) -> bool {
        let of_arms = self.arms.iter().flat_map(|arm| [&arm.errors, &arm.latency]);
        core::iter::once(&self.traffic)
            .chain(&self.mix)
            .chain(of_arms)
            .any(|series| series.has_past() && series.drift().is_some())
    }

    /// Another candidate has come, which has no past.
    pub fn restart(&mut self) {
        let [_, candidate] = &mut self.arms;
        **candidate = ArmSeries::default();
    }

    /// The candidate has become the baseline.
    pub fn promote(&mut self) {
        self.arms.reverse();
        self.restart();
    }

    /// What is known of hours and weekdays; none where nothing is.
    #[must_use]
    pub fn seasons(&self) -> Option<Seasons> {
        let [baseline, _] = &self.arms;
        let series: Vec<_> = [&self.traffic, &baseline.errors, &baseline.latency]
            .into_iter()
            .chain(&self.mix)
            .map(|series| series.season().of_whole_days())
            .collect();
        series.iter().any(Option::is_some).then(|| Seasons {
            routes: self.routes.of_all_mix().cloned().collect(),
            series,
        })
    }

    /// A watch that knows hours and weekdays, and nothing else yet.
    #[must_use]
    pub fn with_seasons(seasons: &Seasons) -> Self {
        let mut watch = Self::default();
        for key in &seasons.routes {
            watch.routes.find(key);
        }
        let mut series = seasons.series.iter().map(Option::as_ref);
        let mut next = || RateDrift::with_season(series.next().flatten());
        watch.traffic = next();
        let [baseline, _] = &mut watch.arms;
        baseline.errors = next();
        baseline.latency = next();
        watch.mix.iter_mut().for_each(|series| *series = next());
        watch
    }

    /// Appends the state.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u64(self.window_since_ms);
        writer.u64(self.requests);
        writer.u64(self.stands_for);
        self.traffic.encode(writer);
        self.mix.iter().for_each(|series| series.encode(writer));
        self.arms.iter().for_each(|arm| arm.encode(writer));
        self.routes.encode(writer);
    }

    /// Reads what [`Watch::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut watch = Self {
            window_since_ms: reader.u64()?,
            requests: reader.u64()?,
            stands_for: reader.u64()?,
            traffic: RateDrift::decode(reader)?,
            ..Self::default()
        };
        for series in &mut watch.mix {
            *series = RateDrift::decode(reader)?;
        }
        for arm in &mut watch.arms {
            **arm = ArmSeries::decode(reader)?;
        }
        watch.routes = Routes::decode(reader)?;
        Ok(watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_that_of_all_requests_whatever_part_is_looked_at() {
        let mut watch = Watch::default();
        let minute = Duration::from_secs(60);
        let mut windows = 0;
        let mut drifts = |count: u64, exchanges: u64, stands_for: u64| {
            for _ in 0..count {
                windows += 1;
                let tick = Tick {
                    exchanges,
                    stands_for,
                    ..Tick::default()
                };
                watch.add(&RouteKey::all("shop"), Some(0), &tick);
                watch.tick(1_700_000_000_000 + 60_000 * windows, minute, minute);
            }
            watch.traffic.drift().is_some()
        };
        assert!(!drifts(200, 42_000, 0));
        assert!(!drifts(30, 6_000, 42_000));
        assert!(drifts(30, 6_000, 120_000));
    }
}
