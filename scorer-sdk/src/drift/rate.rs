//! Drift of a rate: exchanges in a category, out of all of a tick.
//!
//! The odds of the past, with what [`Season`] adds, are `o`, taken at their 99 % bound (Wilson
//! 1927): the upper one where a rise is looked for, the lower one for a fall. The null hypothesis
//! is that the odds are within a tolerance `ρ` of `o`, and each alternative `g` bets the
//! binomial likelihood ratio of `g·ρ·o` against `ρ·o`; likelihood ratios are monotone, so the
//! boundary is the worst case.
//!
//! Exchanges of one tick are not independent. The dispersion `φ`, at least 1, is how much more the
//! counts of the past scatter than binomial ones, and the log likelihood ratio is divided by it
//! (quasi-likelihood). One tick adds at most [`BLOCK_GAIN_LIMIT`], for bursts that are new.

use super::alarm::{Alarm, Observation, Standing, TICKS_NEEDED};
use super::detector::finite;
use super::odds::at_odds;
use super::report::{Direction, Drift, Settings};
use super::season::{KEPT_WITH_NEW_FACTORS, Scale, Season};
use crate::evidence::BLOCK_GAIN_LIMIT;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// The alternatives, as odds ratios beyond the tolerance.
const ALTERNATIVES: [f64; 6] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0];
/// Bets: every alternative in both directions.
const BETS: usize = 2 * ALTERNATIVES.len();
/// Exchanges of the past that a rate needs as well.
const EXCHANGES_NEEDED: f64 = 500.0;
/// The normal quantile of the 99 % bounds.
const QUANTILE: f64 = 2.326;
/// Ticks from which the rate is known well enough to say how much counts scatter around it.
const TICKS_FOR_SCATTER: f64 = 8.0;
/// Standard deviations at which a tick's counts are clipped when the dispersion learns from them.
const LARGEST_DEVIATION: f64 = 3.0;

/// Watches one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct RateDrift {
    ticks: f64,
    /// Decayed sums of the past, with the season taken out of the count.
    events: f64,
    exchanges: f64,
    /// Decayed sums of squared deviations, and of what a binomial law leads to expect of them.
    deviations: f64,
    variances: f64,
    /// Ticks for which nothing has been learned, because it may be a drift.
    waiting: f64,
    season: Season,
    alarm: Alarm<BETS>,
}

impl Default for RateDrift {
    // A large constant: kept once in the wasm module, not wherever one is made.
    #[inline(never)]
    fn default() -> Self {
        Self {
            ticks: 0.0,
            events: 0.0,
            exchanges: 0.0,
            deviations: 0.0,
            variances: 0.0,
            waiting: 0.0,
            season: Season::new(Scale::LogOdds),
            alarm: Alarm::default(),
        }
    }
}

impl RateDrift {
    /// Judges and then learns one tick: `count` of `total` exchanges were in the category. A tick
    /// without exchanges is left out; a count above the total counts as the total.
    #[inline(never)]
    pub fn update(
        &mut self,
        now: Duration,
        count: u64,
        total: u64,
        settings: &Settings,
    ) -> Option<&Drift> {
        if total == 0 {
            return self.drift();
        }
        let (count, total) = (float(count.min(total)), float(total));
        let now_s = now.as_secs_f64();
        let effect = self.season.effect(now_s);
        let may_judge = !self.alarm.rests();
        if may_judge && self.has_past() {
            let tolerance = settings.tolerance.max(0.0);
            let observed = Observation {
                now_s,
                log_factors: self.log_factors(count, total, effect, tolerance),
                value: at_odds(count / total, -effect),
                weight: total,
            };
            self.judge(now, &observed, settings);
        } else if may_judge && self.drift().is_some() {
            // Factors have come into use, and too little is left of the past to judge by it:
            // nothing would ever end the drift.
            self.alarm.end(settings);
        }
        // What drifts, or may be about to, is not yet the past. But it must not wait for ever.
        let may_drift = self.log_evidence() >= 0.5 * settings.threshold();
        self.waiting = if may_drift { self.waiting + 1.0 } else { 0.0 };
        if self.drift().is_none() && self.waiting > f64::from(settings.adopt_after) {
            self.alarm.forget();
            self.waiting = 0.0;
        }
        if self.drift().is_none() && self.waiting == 0.0 {
            self.learn(count, total, effect, settings.keep());
        }
        if self.season.learn(now_s, count / total, total) {
            self.events *= KEPT_WITH_NEW_FACTORS;
            self.exchanges *= KEPT_WITH_NEW_FACTORS;
        }
        self.drift()
    }

    /// The factors of hour and weekday.
    pub(super) fn season(&self) -> &Season {
        &self.season
    }

    /// A series that knows its factors, and nothing else yet.
    pub(super) fn with_season(season: Option<&Season>) -> Self {
        let mut series = Self::default();
        if let Some(season) = season {
            series.season = season.clone();
        }
        series
    }

    /// The drift that lasts, if one does.
    #[must_use]
    pub fn drift(&self) -> Option<&Drift> {
        self.alarm.drift()
    }

    /// Whether it has enough of a past to be compared with.
    #[must_use]
    pub fn has_past(&self) -> bool {
        self.ticks >= TICKS_NEEDED && self.exchanges >= EXCHANGES_NEEDED
    }

    /// Evidence for a drift, in nats; [`Settings::threshold`] is enough.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.alarm.log_evidence()
    }

    /// The rate that the past leads to expect at `now`, 0 to 1.
    #[must_use]
    pub fn expected(&self, now: Duration) -> f64 {
        at_odds(self.rate(), self.season.effect(now.as_secs_f64()))
    }

    /// How much more the counts scatter than binomial ones; at least 1.
    #[must_use]
    pub fn dispersion(&self) -> f64 {
        if self.variances > 0.0 {
            (self.deviations / self.variances).max(1.0)
        } else {
            1.0
        }
    }

    /// The rate of the past, with the season taken out.
    fn rate(&self) -> f64 {
        (self.events + 0.5) / (self.exchanges + 1.0)
    }

    /// The log e-values of all bets.
    fn log_factors(&self, count: f64, total: f64, effect: f64, tolerance: f64) -> [f64; BETS] {
        let dispersion = self.dispersion();
        let (lower, upper) = wilson(self.rate(), self.exchanges / dispersion);
        let sides = [(upper, 1.0), (lower, -1.0)];
        let mut factors = [0.0; BETS];
        let bets = sides.iter().flat_map(|(past, sign)| {
            let null = at_odds(*past, effect + sign * tolerance);
            ALTERNATIVES.map(|ratio| {
                let other = at_odds(null, sign * ratio.ln());
                let log_ratio = count * (other / null).ln()
                    + (total - count) * ((1.0 - other) / (1.0 - null)).ln();
                (log_ratio / dispersion).min(BLOCK_GAIN_LIMIT)
            })
        });
        for (factor, bet) in factors.iter_mut().zip(bets) {
            *factor = bet;
        }
        factors
    }

    /// Begins, continues or ends a drift.
    fn judge(&mut self, now: Duration, observed: &Observation<BETS>, settings: &Settings) {
        let expected = self.rate();
        match self.alarm.judge(observed, settings) {
            Standing::Quiet => {}
            Standing::Begins(leader) => {
                let direction = Direction::of_bet(leader.bet, ALTERNATIVES.len());
                self.alarm.report(now, &leader, direction, expected);
            }
            Standing::Lasts {
                leader,
                is_usual,
                is_weak,
            } => {
                if let Some(drift) = self.alarm.drift_mut() {
                    drift.observed = leader.observed;
                }
                if is_usual {
                    self.events = self.exchanges * leader.observed;
                }
                if is_usual || is_weak {
                    self.alarm.end(settings);
                }
            }
        }
    }

    fn learn(&mut self, count: f64, total: f64, effect: f64, keep: f64) {
        let rate = at_odds(self.rate(), effect);
        if self.ticks >= TICKS_FOR_SCATTER {
            let variance = total * rate * (1.0 - rate);
            // A single tick far out may be a change that begins; it must not hide itself. Nor may
            // rare bursts be left out of a long past: one tick moves the dispersion by an eighth.
            let usual = LARGEST_DEVIATION.powi(2) * self.dispersion() * variance;
            let most = usual.max(self.variances / 8.0);
            let deviation = (count - total * rate).powi(2).min(most);
            self.deviations = keep * self.deviations + deviation;
            self.variances = keep * self.variances + variance;
        }
        self.ticks += 1.0;
        // What would have been counted without the season.
        let factor = self.rate() / rate;
        self.events = keep * self.events + (count * factor).min(total);
        self.exchanges = keep * self.exchanges + total;
    }

    /// Appends the state.
    #[inline(never)]
    pub fn encode(&self, writer: &mut Writer) {
        for value in [
            self.ticks,
            self.events,
            self.exchanges,
            self.deviations,
            self.variances,
            self.waiting,
        ] {
            writer.f64(value);
        }
        self.season.encode(writer);
        self.alarm.encode(writer);
    }

    /// Reads what [`RateDrift::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    #[inline(never)]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut numbers = [0.0; 6];
        for value in &mut numbers {
            *value = finite(reader)?.max(0.0);
        }
        let [ticks, events, exchanges, deviations, variances, waiting] = numbers;
        Ok(Self {
            ticks,
            events: events.min(exchanges),
            exchanges,
            deviations,
            variances,
            waiting,
            season: Season::decode(Scale::LogOdds, reader)?,
            alarm: Alarm::decode(reader)?,
        })
    }
}

/// The 99 % bounds of a rate that was found in `exchanges` exchanges.
fn wilson(rate: f64, exchanges: f64) -> (f64, f64) {
    let exchanges = exchanges.max(1.0);
    let square = QUANTILE * QUANTILE / exchanges;
    let middle = rate + 0.5 * square;
    let reach = (square * (rate * (1.0 - rate) + 0.25 * square)).sqrt();
    (
        ((middle - reach) / (1.0 + square)).max(0.0),
        ((middle + reach) / (1.0 + square)).min(1.0),
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_ends_though_the_factors_of_the_day_leave_hardly_any_past() {
        let settings = Settings {
            average_run_length: 1_000.0,
            ..Settings::default()
        };
        // An exchange a minute. In the mornings a tenth fails and later half. On the third evening
        // all do, so that a drift lasts when the factors of the day come into use.
        let midnight = 1_700_006_400;
        let outage = 3 * 1_440 - 120..3 * 1_440;
        let mut detector = RateDrift::default();
        let minute = |detector: &mut RateDrift, number: u64| {
            let rate = if number % 1_440 < 720 { 0.1 } else { 0.5 };
            let failed = outage.contains(&number) || (number as f64 * 0.618_034).fract() < rate;
            let now = Duration::from_secs(midnight + 60 * number);
            detector.update(now, u64::from(failed), 1, &settings);
        };
        let days = |from: u64, to: u64| from * 1_440..to * 1_440;
        for number in days(0, 3) {
            minute(&mut detector, number);
        }
        assert!(detector.drift().is_some());
        minute(&mut detector, 3 * 1_440);
        assert!(!detector.has_past(), "the factors came into use");
        let mut quiet = 0;
        for number in days(3, 6).skip(1) {
            minute(&mut detector, number);
            quiet += u64::from(detector.drift().is_none());
        }
        assert!(detector.has_past() && quiet > 1_440, "{quiet}");
    }
}
