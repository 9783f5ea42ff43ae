//! The factors of the hour and of the weekday, learned as days go by.
//!
//! Of each day every hour's deviation from that day is kept, for the last seven days, and the
//! day's own level for the last 28. An hour's factor is the median over its days, a weekday's the
//! median over its weeks: one bad day changes little, so that days of a drift are learned from as
//! well. Otherwise a first weekend would be a drift and would never become known. Factors that are
//! not larger than their own noise would do harm, so all are shrunk by `1 − noise²/size²` (James
//! and Stein 1961), and they are used only once three days, or two whole weeks, have been seen and
//! they stand out.
//!
//! Hours and days are those of UTC. Where a change of local time moves the load, the factors are
//! an hour off until they have been learned again.

use super::detector::finite;
use super::odds::logit;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Hours of a day.
const HOURS: usize = 24;
/// Days whose hours are remembered.
const DAYS: usize = 7;
/// Days whose level is remembered.
const LEVELS: usize = 28;
/// Days until the factors of the hours are used.
const DAYS_NEEDED: usize = 3;
/// Days until the factors of the weekdays are used.
const LEVELS_NEEDED: usize = 14;
/// Hours that a day must have been seen for to count.
const HOURS_NEEDED: usize = 12;
/// Stands for a missing value.
const NONE: f32 = f32::INFINITY;
/// Seconds of an hour and of a day.
const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 86_400.0;
/// Least ratio of the factors' variance to that of their noise at which they are used. From noise
/// alone, 24 hours of three days reach it once in a thousand.
const SIZE_NEEDED: f64 = 3.0;
/// No log odds of what can be counted are larger.
const LARGEST: f32 = 30.0;
/// Variance of a median, over that of the mean, of normal values.
const MEDIAN_VARIANCE: f64 = 1.57;
/// Share of what a series has learned of its past that it keeps when factors come into use.
pub(super) const KEPT_WITH_NEW_FACTORS: f64 = 0.05;

/// On which scale factors add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A level: plain differences. Give the logarithm where factors multiply, as for latency.
    Difference,
    /// A rate: differences of log odds; the weights are exchanges.
    LogOdds,
}

/// What is known of a series' days and weeks.
#[derive(Debug, Clone, PartialEq)]
pub struct Season {
    scale: Scale,
    /// The day that is being gathered, in days since the epoch; 0 before the first.
    today: u32,
    /// Sum of the values and of the weights of each hour of today.
    cells: [(f64, f64); HOURS],
    /// Per hour its deviations, one a day, indexed by the day modulo 7.
    hours: [[f32; DAYS]; HOURS],
    /// The level of each day, indexed by the day modulo 28.
    levels: [f32; LEVELS],
    hour_factors: [f64; HOURS],
    weekday_factors: [f64; DAYS],
}

impl Season {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            today: 0,
            cells: [(0.0, 0.0); HOURS],
            hours: [[NONE; DAYS]; HOURS],
            levels: [NONE; LEVELS],
            hour_factors: [0.0; HOURS],
            weekday_factors: [0.0; DAYS],
        }
    }

    /// What hour and weekday add at `now_s` seconds since the epoch, on the scale; 0 while too
    /// little is known.
    #[must_use]
    pub fn effect(&self, now_s: f64) -> f64 {
        // Between the middles of two hours the factor goes over from one to the other.
        let hours = (now_s / HOUR_S - 0.5).max(0.0);
        let share = hours.fract();
        let hour = |number: f64| get(&self.hour_factors, remainder(number, HOURS));
        let day = (now_s / DAY_S).max(0.0).floor();
        (1.0 - share) * hour(hours.floor())
            + share * hour(hours.floor() + 1.0)
            + get(&self.weekday_factors, remainder(day, DAYS))
    }

    /// Learns that `value` was seen at `now_s`, with `weight`: a level with weight 1, or for
    /// [`Scale::LogOdds`] the share of `weight` exchanges.
    ///
    /// Tells whether a table of factors has just come into use. What was learned of the series
    /// without them is then of little value.
    pub fn learn(&mut self, now_s: f64, value: f64, weight: f64) -> bool {
        let day = (now_s / DAY_S).max(0.0).floor() as u32;
        let before = self.in_use();
        if day != self.today {
            self.close_day();
            self.today = day;
        }
        if let Some(cell) = self
            .cells
            .get_mut(remainder((now_s / HOUR_S).max(0.0), HOURS))
        {
            cell.0 += value * weight;
            cell.1 += weight;
        }
        self.in_use() != before
    }

    /// What is known of whole days, without the one that is being gathered; none where nothing is.
    #[must_use]
    pub fn of_whole_days(&self) -> Option<Self> {
        let is_known = self.levels.iter().any(|level| level.is_finite());
        is_known.then(|| Self {
            today: 0,
            cells: [(0.0, 0.0); HOURS],
            ..self.clone()
        })
    }

    /// The same with no effect beyond what log odds can be: whoever wrote it may have written anything.
    pub(super) fn bounded(mut self) -> Self {
        let values = self.hours.iter_mut().flatten().chain(&mut self.levels);
        for value in values.filter(|value| value.is_finite()) {
            *value = value.clamp(-LARGEST, LARGEST);
        }
        self.find_factors();
        self
    }

    fn in_use(&self) -> [bool; 2] {
        [&self.hour_factors[..], &self.weekday_factors[..]]
            .map(|factors| factors.iter().any(|factor| *factor != 0.0))
    }

    /// Takes over what was gathered today, and finds the factors anew.
    fn close_day(&mut self) {
        let cells = core::mem::replace(&mut self.cells, [(0.0, 0.0); HOURS]);
        let seen = cells.iter().filter(|cell| cell.1 > 0.0).count();
        if seen < HOURS_NEEDED {
            return;
        }
        let (level, deviations) = match self.scale {
            Scale::Difference => differences(&cells, seen),
            Scale::LogOdds => log_odds(&cells),
        };
        let index = self.today as usize;
        for (days, deviation) in self.hours.iter_mut().zip(deviations) {
            set(days, index % DAYS, deviation);
        }
        set(&mut self.levels, index % LEVELS, level as f32);
        self.find_factors();
    }

    fn find_factors(&mut self) {
        self.hour_factors = factors(&self.hours, DAYS_NEEDED);
        if self.levels.iter().filter(|level| level.is_finite()).count() < LEVELS_NEEDED {
            return;
        }
        // Day numbers modulo 28 and modulo 7 tell the same weekday.
        let mut weekdays = [[NONE; LEVELS / DAYS]; DAYS];
        for (index, level) in self.levels.iter().enumerate() {
            if let Some(weeks) = weekdays.get_mut(index % DAYS) {
                set(weeks, index / DAYS, *level);
            }
        }
        self.weekday_factors = factors(&weekdays, 2);
    }

    /// Appends the state, less than 1.2 KB.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u32(self.today);
        for (sum, weight) in self.cells {
            writer.f64(sum);
            writer.f64(weight);
        }
        for value in self.hours.iter().flatten().chain(&self.levels) {
            writer.f32(*value);
        }
    }

    /// Reads what [`Season::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(scale: Scale, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut season = Self::new(scale);
        season.today = reader.u32()?;
        for cell in &mut season.cells {
            *cell = (finite(reader)?, finite(reader)?);
        }
        for value in season.hours.iter_mut().flatten().chain(&mut season.levels) {
            let read = reader.f32()?;
            *value = if read.is_finite() { read } else { NONE };
        }
        season.find_factors();
        Ok(season)
    }
}

/// The day's level and the hours' deviations from it, as plain differences.
fn differences(cells: &[(f64, f64); HOURS], seen: usize) -> (f64, [f32; HOURS]) {
    let means = cells.map(|(sum, weight)| sum / weight);
    let level = means.iter().filter(|mean| !mean.is_nan()).sum::<f64>() / seen as f64;
    (
        level,
        means.map(|mean| {
            if mean.is_nan() {
                NONE
            } else {
                (mean - level) as f32
            }
        }),
    )
}

/// The same as log odds. Every hour is given one event and its share of exchanges beforehand, so
/// that an hour with hardly any exchanges deviates little.
fn log_odds(cells: &[(f64, f64); HOURS]) -> (f64, [f32; HOURS]) {
    let (sum, weight) = cells
        .iter()
        .fold((0.0, 0.0), |all, cell| (all.0 + cell.0, all.1 + cell.1));
    let rate = (sum + 0.5) / (weight + 1.0);
    let exchanges = 1.0 / rate.min(1.0 - rate);
    let level = logit(rate);
    let deviations = cells.map(|(sum, weight)| {
        if weight > 0.0 {
            let hour = (sum + rate * exchanges) / (weight + exchanges);
            (logit(hour) - level) as f32
        } else {
            NONE
        }
    });
    (level, deviations)
}

/// The median of each row, centred and shrunk; 0 for a row of fewer than `needed` values, and for
/// all where that is more than half of them.
fn factors<const ROWS: usize, const COLUMNS: usize>(
    rows: &[[f32; COLUMNS]; ROWS],
    needed: usize,
) -> [f64; ROWS] {
    let mut medians = [None; ROWS];
    let (mut noise, mut known) = (0.0, 0.0);
    for (row, slot) in rows.iter().zip(&mut medians) {
        let mut values: Vec<f64> = row
            .iter()
            .filter(|value| value.is_finite())
            .map(|value| f64::from(*value))
            .collect();
        if values.len() < needed {
            continue;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        noise += MEDIAN_VARIANCE * squares / (count * (count - 1.0).max(1.0));
        *slot = Some(median(&mut values));
        known += 1.0;
    }
    if known < ROWS as f64 / 2.0 {
        return [0.0; ROWS];
    }
    let values = || medians.iter().flatten();
    let centre = values().sum::<f64>() / known;
    let size: f64 = values().map(|value| (value - centre).powi(2)).sum();
    let keep = if size > SIZE_NEEDED * noise {
        1.0 - noise / size
    } else {
        0.0
    };
    medians.map(|value| value.map_or(0.0, |value| keep * (value - centre)))
}

/// The middle value; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    crate::order::sort_by(values, f64::total_cmp);
    let middle = values.len() / 2;
    let upper = get(values, middle);
    if values.len().is_multiple_of(2) && middle > 0 {
        0.5 * (upper + get(values, middle - 1))
    } else {
        upper
    }
}

fn remainder(number: f64, size: usize) -> usize {
    number as usize % size
}

fn get(values: &[f64], index: usize) -> f64 {
    values.get(index).copied().unwrap_or_default()
}

fn set(values: &mut [f32], index: usize, value: f32) {
    if let Some(old) = values.get_mut(index) {
        *old = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after four weeks of working days at these levels.
    fn working_days(level: impl Fn(u32) -> f64) -> Season {
        let mut season = Season::new(Scale::Difference);
        for day in (0..28).filter(|day| day % 7 < 5) {
            for hour in 0..24 {
                let now_s = f64::from(day) * DAY_S + f64::from(hour) * HOUR_S;
                season.learn(now_s, level(day), 1.0);
            }
        }
        season
    }

    #[test]
    fn days_that_are_never_seen_do_not_make_factors_of_noise() {
        // Far from 0, as levels are.
        let season = working_days(|day| 8.0 + 0.1 * (f64::from(day) * 0.618_034).fract());
        assert_eq!(season.weekday_factors, [0.0; DAYS]);
    }

    #[test]
    fn a_weekday_of_its_own_is_known_though_weekends_are_not() {
        let season = working_days(|day| {
            let own = if day % 7 == 4 { 1.0 } else { 0.0 };
            8.0 + own + 0.1 * (f64::from(day) * 0.618_034).fract()
        });
        let [monday, .., fifth, saturday, sunday] = season.weekday_factors;
        assert!(fifth > 0.6 && monday < -0.1, "{:?}", season.weekday_factors);
        assert_eq!([saturday, sunday], [0.0; 2]);
    }
}
