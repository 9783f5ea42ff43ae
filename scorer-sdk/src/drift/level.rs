//! Drift of a level: one number a tick, such as the log of the median latency.
//!
//! A level is expected at its decayed mean plus what [`Season`] adds. The residual is correlated
//! from tick to tick, so the part that the last tick predicts (`φ` times its residual) is also
//! subtracted, which leaves the innovation. No law is assumed for it: its rank among the past
//! innovations gives `p`, and the bets `κ·p^(κ−1)` have mean at most 1 while innovations are
//! exchangeable. One direction bets on high ranks, one on low ones, one on both. Ties count
//! against the bets, so that a constant series shows no drift.
//!
//! While a drift lasts the mean stays what it was. The drift is over when the last ticks are nearer
//! to the past than to the drift, or when it has lasted so long that it is the new past. Then
//! nothing is judged for a while, so that what comes and goes is reported once.

use super::alarm::{Alarm, Observation, Standing, TICKS_NEEDED};
use super::detector::{Leader, finite};
use super::report::{Direction, Drift, Settings};
use super::season::{KEPT_WITH_NEW_FACTORS, Scale, Season};
use crate::sketch::{Counts, DecayedCounts};
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// The calibrators: a small `κ` bets on a few extreme ranks, a large one on a slight shift.
/// Two are enough: with five a shift of one deviation takes as long, and one of four a tick less.
const KAPPAS: [f64; 2] = [0.05, 0.5];
/// Bets: every calibrator in every direction.
const BETS: usize = 3 * KAPPAS.len();
/// Residuals are clipped at this many mean absolute residuals before the mean learns from them.
const CLIP: f64 = 4.0;
/// The weight of one tick in the mean of the last ones.
const RECENT: f64 = 1.0 / 16.0;
/// The largest correlation from tick to tick that is subtracted.
const LARGEST_CORRELATION: f64 = 0.98;

/// Watches one level.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelDrift {
    ticks: f64,
    mean: f64,
    /// Decayed mean absolute residual.
    spread: f64,
    last_residual: f64,
    /// Decayed sums of `r·r_last` and `r_last²`.
    products: f64,
    squares: f64,
    innovations: DecayedCounts,
    kept: f64,
    /// Mean of the last ticks of a drift.
    recent: f64,
    season: Season,
    alarm: Alarm<BETS>,
}

impl Default for LevelDrift {
    fn default() -> Self {
        Self {
            ticks: 0.0,
            mean: 0.0,
            spread: 0.0,
            last_residual: 0.0,
            products: 0.0,
            squares: 0.0,
            innovations: DecayedCounts::default(),
            kept: 0.0,
            recent: 0.0,
            season: Season::new(Scale::Difference),
            alarm: Alarm::default(),
        }
    }
}

impl LevelDrift {
    /// Judges and then learns one tick's level, at `now` since the epoch. A level that is not a
    /// finite number counts as none.
    pub fn update(&mut self, now: Duration, level: f64, settings: &Settings) -> Option<&Drift> {
        if !level.is_finite() {
            return self.drift();
        }
        let now_s = now.as_secs_f64();
        let level_of_day = level - self.season.effect(now_s);
        if self.ticks == 0.0 {
            self.mean = level_of_day;
        }
        let residual = level_of_day - self.mean;
        let correlation = self.correlation();
        let innovation = residual - correlation * self.last_residual;
        if !self.alarm.rests() && self.has_past() {
            let tolerance = settings.tolerance.max(0.0) * (1.0 - correlation);
            let observed = Observation {
                now_s,
                log_factors: self.log_factors(innovation, tolerance),
                value: level_of_day,
                weight: 1.0,
            };
            self.judge(now, &observed, settings);
        }
        if self.drift().is_none() {
            self.learn(level_of_day, settings);
        } else {
            self.last_residual = self.clip(level_of_day - self.mean);
        }
        self.keep_innovation(innovation, settings);
        if self.season.learn(now_s, level, 1.0) {
            self.ticks = self
                .ticks
                .min(TICKS_NEEDED + KEPT_WITH_NEW_FACTORS * self.ticks);
        }
        self.drift()
    }

    /// The drift that lasts, if one does.
    #[must_use]
    pub fn drift(&self) -> Option<&Drift> {
        self.alarm.drift()
    }

    /// Whether it has enough of a past to be compared with.
    #[must_use]
    pub fn has_past(&self) -> bool {
        self.kept >= TICKS_NEEDED
    }

    /// Evidence for a drift, in nats; [`Settings::threshold`] is enough.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.alarm.log_evidence()
    }

    /// The level that the past leads to expect at `now`.
    #[must_use]
    pub fn expected(&self, now: Duration) -> f64 {
        self.mean + self.season.effect(now.as_secs_f64())
    }

    fn correlation(&self) -> f64 {
        if self.squares > 0.0 && self.ticks >= TICKS_NEEDED {
            (self.products / self.squares).clamp(0.0, LARGEST_CORRELATION)
        } else {
            0.0
        }
    }

    /// The log e-values of all bets. An innovation within the tolerance counts as one of its past.
    fn log_factors(&self, innovation: f64, tolerance: f64) -> [f64; BETS] {
        let (lower, upper) = (code(innovation - tolerance), code(innovation + tolerance));
        let (mut above, mut below) = (1.0, 1.0);
        for (past, count) in self.innovations.iter() {
            if past >= lower {
                above += f64::from(count);
            }
            if past <= upper {
                below += f64::from(count);
            }
        }
        let p_above = (above / (self.kept + 1.0)).min(1.0);
        let p_below = (below / (self.kept + 1.0)).min(1.0);
        let ranks = [p_above, p_below, (2.0 * p_above.min(p_below)).min(1.0)];
        let mut factors = [0.0; BETS];
        let bets = ranks
            .iter()
            .flat_map(|p| KAPPAS.map(|kappa| kappa.ln() + (kappa - 1.0) * p.ln()));
        for (factor, bet) in factors.iter_mut().zip(bets) {
            *factor = bet;
        }
        factors
    }

    /// Begins, continues or ends a drift.
    fn judge(&mut self, now: Duration, observed: &Observation<BETS>, settings: &Settings) {
        match self.alarm.judge(observed, settings) {
            Standing::Quiet => {}
            Standing::Begins(leader) => {
                self.recent = leader.observed;
                let direction = self.direction(&leader);
                self.alarm.report(now, &leader, direction, self.mean);
            }
            Standing::Lasts {
                is_usual, is_weak, ..
            } => {
                self.recent += RECENT * (observed.value - self.recent);
                let returned = self.drift().is_some_and(|drift| {
                    drift.direction != Direction::Unsteady
                        && (self.recent - self.mean).abs()
                            < 0.5 * (drift.observed - self.mean).abs()
                });
                if returned || is_weak {
                    self.alarm.end(settings);
                } else if is_usual {
                    self.mean = self.recent;
                    self.alarm.end(settings);
                }
            }
        }
    }

    /// The direction of the leading bet. A level that lies on one side of its past is not called
    /// unsteady.
    fn direction(&self, leader: &Leader) -> Direction {
        let shift = leader.observed - self.mean;
        match Direction::of_bet(leader.bet, KAPPAS.len()) {
            Direction::Unsteady if shift > self.spread => Direction::Up,
            Direction::Unsteady if -shift > self.spread => Direction::Down,
            direction => direction,
        }
    }

    /// Learns a tick that is not part of a drift. Outliers change little.
    fn learn(&mut self, level_of_day: f64, settings: &Settings) {
        self.ticks = (self.ticks + 1.0).min(settings.memory.max(2.0));
        let residual = self.clip(level_of_day - self.mean);
        self.mean += residual / self.ticks;
        self.spread += (residual.abs() - self.spread) / self.ticks;
        let keep = settings.keep();
        self.products = keep * self.products + residual * self.last_residual;
        self.squares = keep * self.squares + self.last_residual * self.last_residual;
        self.last_residual = residual;
    }

    fn keep_innovation(&mut self, innovation: f64, settings: &Settings) {
        if self.ticks > TICKS_NEEDED {
            self.innovations.add(code(innovation), 1.0);
            self.kept += 1.0;
            if self.kept > settings.memory {
                self.forget_half();
            }
        }
    }

    fn clip(&self, residual: f64) -> f64 {
        if self.ticks > TICKS_NEEDED {
            residual.clamp(-CLIP * self.spread, CLIP * self.spread)
        } else {
            residual
        }
    }

    fn forget_half(&mut self) {
        self.innovations.decay_and_add(0.5, &Counts::default());
        self.kept = self.innovations.total();
    }

    /// Appends the state.
    pub fn encode(&self, writer: &mut Writer) {
        for value in self.numbers() {
            writer.f64(value);
        }
        self.innovations.encode(writer);
        self.season.encode(writer);
        self.alarm.encode(writer);
    }

    /// Reads what [`LevelDrift::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut numbers = [0.0; 7];
        for value in &mut numbers {
            *value = finite(reader)?;
        }
        let [
            ticks,
            mean,
            spread,
            last_residual,
            products,
            squares,
            recent,
        ] = numbers;
        let innovations = DecayedCounts::decode(reader)?;
        Ok(Self {
            ticks,
            mean,
            spread: spread.abs(),
            last_residual,
            products,
            squares,
            kept: innovations.total(),
            innovations,
            recent,
            season: Season::decode(Scale::Difference, reader)?,
            alarm: Alarm::decode(reader)?,
        })
    }

    fn numbers(&self) -> [f64; 7] {
        [
            self.ticks,
            self.mean,
            self.spread,
            self.last_residual,
            self.products,
            self.squares,
            self.recent,
        ]
    }
}

/// The bucket of an innovation, in the order of the innovations: 16 to a power of two and sign,
/// from 2^-40 to 2^40, so that a bucket is at most 6.25 % wide.
fn code(innovation: f64) -> u16 {
    const MIDDLE: u16 = 1 << 15;
    /// The bits of 2^-40, without the 48 that are below a bucket.
    const SMALLEST: u64 = (1023 - 40) << 4;
    const LARGEST: u64 = 80 << 4;
    let bucket = (innovation.abs().to_bits() >> 48).saturating_sub(SMALLEST);
    let bucket = bucket.min(LARGEST) as u16;
    if innovation < 0.0 {
        MIDDLE - bucket
    } else {
        MIDDLE + bucket
    }
}
