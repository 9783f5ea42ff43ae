//! One category of a version that is alone, against the past of the version that was there before.
//!
//! Nothing is compared side by side here, so whatever changed for both versions is charged to the
//! new one. How much that can be is learned from the old version itself. Each of its windows has
//! an expected count `E` of `N` exchanges, from the rates and cuts that its past gave before the
//! window, and an observed count `O`. With half an exchange added on each side,
//!
//! `δ = logit(O/N) − logit(E/N)` has the variance `v + τ²`,
//!
//! where `v` is chance (binomial, and the doubt about the past's rate) and `τ` is *weather*: how
//! much the rate wanders from window to window. `τ²` is estimated by moments, each window weighted
//! by `u²`, `u = τ₀²/(τ₀² + v)` (DerSimonian and Laird 1986), and shrunk to the prior `τ₀` with
//! `ν₀` degrees of freedom. The null hypothesis for the new version is that its odds are within
//!
//! `ρ·exp(√((t·τ)² + (z·s)²))`
//!
//! of the past's: `ρ` is what the owner tolerates, `t` the .995 quantile of Student's law, `s` the
//! standard deviation of the past's log odds and `z` the normal .995 quantile. A mixture of
//! likelihood ratios bets against it.
//!
//! Weather lasts, so windows are not independent. Two things limit what follows from that:
//!
//! - One window adds or takes at most `ln(½·p^(−½))`, where `p = (1 + beyond)/(1 + windows)` is the rank of
//!   such a window among those of the past (the calibrator `½·p^(−½)`: Vovk and Wang 2021). A past
//!   of ten minutes in windows of 10 s lets one window add 1.4 nats, one of six hours 3.1.
//! - The excess has to last longer than the longest spell of the past.
//!
//! This is an alarm and not a test with a promise: no past tells of weather that has never been.
//! `scorer-sdk/src/simulation/study/switch.rs` measures how often it is wrong.

use super::detector::finite;
use super::odds::{at_odds, logit};
use crate::evidence::log_add_exp;
use crate::wire::codec::{CodecError, Reader, Writer};

/// The alternatives, as odds ratios beyond the tolerance.
const ALTERNATIVES: [f64; 5] = [1.5, 2.5, 5.0, 15.0, 50.0];
/// The prior for weather: its standard deviation in log odds, and its weight in degrees of freedom.
const PRIOR_WEATHER: f64 = 0.3;
const PRIOR_FREEDOM: f64 = 4.0;
/// Windows over which weather is remembered: six hours of 10 s.
const MEMORY: f64 = 2_160.0;
/// Windows of the past without which nothing is judged.
const WINDOWS_NEEDED: f64 = 6.0;
/// The normal .995 quantile.
const QUANTILE: f64 = 2.576;
/// Least and most nats that one window may add.
const LEAST_GAIN: f64 = 0.5;
const MOST_GAIN: f64 = 3.0;
/// Evidence of one bet stays within these, in nats, so that what begins late and what ends is
/// noticed in bounded time.
const FLOOR: f64 = -3.0;
const CEILING: f64 = 12.0;
/// What is kept from window to window of the running deviations, a quick and a slow one, by which
/// a level that still falls is known.
const KEEP_RECENT: f64 = 0.7;
const KEEP_SLOW: f64 = 0.9;
/// Weight of the slow one without which it is not known whether a level falls: six windows.
const WEIGHT_TO_SETTLE: f64 = 4.6;
/// Standard deviations of one window that the quick one is below the slow one while a level falls.
const BELOW_SLOW: f64 = 0.5;
/// What a window adds while the level falls, as a part of the most that it may add.
const WHILE_FALLING: f64 = -0.5;

/// What a window showed of one category, and what the past led to expect.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Seen {
    /// Exchanges that the question was put to.
    pub total: f64,
    /// Those in the category.
    pub inside: f64,
    /// Those that were expected in it: `Σ n·p` over routes.
    pub expected: f64,
    /// `Σ n·p·(1 − p)`.
    pub variance: f64,
    /// Standard deviation of `expected`, as the rates of the past are not known exactly:
    /// `Σ n·√(p·(1 − p)/(exchanges of the past))`. The sum takes the errors of all routes and ticks
    /// for the same one, so it is at least as large as it should be.
    pub doubt: f64,
}

impl Seen {
    /// Adds what `total` exchanges of a route showed, where the past had `past[0]` of `past[1]`
    /// exchanges in the category.
    pub fn add(&mut self, inside: f64, total: f64, past: [f64; 2]) {
        let [past_inside, past_total] = past;
        let rate = (past_inside + 0.5) / (past_total + 1.0);
        let variance = rate * (1.0 - rate);
        self.total += total;
        self.inside += inside.min(total);
        self.expected += total * rate;
        self.variance += total * variance;
        self.doubt += total * (variance / (past_total + 1.0)).sqrt();
    }

    fn add_seen(&mut self, other: &Self) {
        self.total += other.total;
        self.inside += other.inside;
        self.expected += other.expected;
        self.variance += other.variance;
        self.doubt += other.doubt;
    }

    /// Share of the exchanges in the category.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.inside / self.total.max(1.0)
    }

    /// Share that was expected.
    #[must_use]
    pub fn expected_rate(&self) -> f64 {
        self.expected / self.total.max(1.0)
    }

    /// Variance of the past's log odds.
    fn doubt_of_odds(&self) -> f64 {
        (self.doubt / self.variance.max(f64::MIN_POSITIVE)).powi(2)
    }

    /// Log odds above the expected ones, and the variance that chance gives them.
    fn deviation(&self) -> (f64, f64) {
        let others = (self.total - self.inside).max(0.0);
        let expected_others = (self.total - self.expected).max(0.0);
        let observed = ((self.inside + 0.5) / (others + 0.5)).ln();
        let expected = ((self.expected + 0.5) / (expected_others + 0.5)).ln();
        let chance = 1.0 / (self.expected + 0.5) + 1.0 / (expected_others + 0.5);
        (observed - expected, chance + self.doubt_of_odds())
    }

    /// Variance of the observed log odds by chance.
    fn sampling(&self) -> f64 {
        1.0 / (self.inside + 0.5) + 1.0 / ((self.total - self.inside).max(0.0) + 0.5)
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        for value in [
            self.total,
            self.inside,
            self.expected,
            self.variance,
            self.doubt,
        ] {
            writer.f64(value);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            total: finite(reader)?,
            inside: finite(reader)?,
            expected: finite(reader)?,
            variance: finite(reader)?,
            doubt: finite(reader)?,
        })
    }
}

/// One category: the weather of the old version, and the evidence against the new one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AgainstPast {
    /// Decayed windows of the past, and those that were beyond the tolerance of their time.
    windows: f64,
    beyond: f64,
    /// Decayed `Σu²` and `Σu²(δ² − v)`.
    weights: f64,
    squares: f64,
    /// Windows of the spell beyond the tolerance that lasts, and of the longest one, which fades.
    spell: f64,
    longest: f64,
    /// Log evidence of each bet since the new version is alone.
    bets: [f64; ALTERNATIVES.len()],
    /// Windows with evidence, and what they showed.
    since: f64,
    seen: Seen,
    /// The tolerated odds ratio of the last window.
    tolerated: f64,
    /// Running means of the new version's deviations, a quick and a slow one.
    recent: Running,
    slow: Running,
}

/// A decayed mean and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Running {
    mean: f64,
    weight: f64,
}

impl Running {
    fn add(&mut self, value: f64, keep: f64) {
        let weight = keep * self.weight;
        self.mean = (weight * self.mean + value) / (weight + 1.0);
        self.weight = weight + 1.0;
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            mean: finite(reader)?,
            weight: finite(reader)?.max(0.0),
        })
    }
}

impl AgainstPast {
    /// Learns the weather from a window of the old version.
    pub fn learn(&mut self, seen: &Seen, tolerance: f64) {
        if seen.total < 1.0 {
            return;
        }
        let (deviation, chance) = seen.deviation();
        let keep = 1.0 - 1.0 / MEMORY;
        let is_beyond = self.windows >= 1.0 && deviation > self.log_tolerance(seen, tolerance);
        let prior = PRIOR_WEATHER.powi(2);
        let weight = (prior / (prior + chance)).powi(2);
        self.weights = keep * self.weights + weight;
        self.squares = keep * self.squares + weight * (deviation.powi(2) - chance);
        self.windows = keep * self.windows + 1.0;
        self.beyond = keep * self.beyond + f64::from(u8::from(is_beyond));
        self.spell = if is_beyond { self.spell + 1.0 } else { 0.0 };
        self.longest = (keep * self.longest).max(self.spell);
    }

    /// Judges a window of the new version, which has the traffic to itself. `settles` says that
    /// the category is high while a version starts: while it still falls, a window is no evidence.
    pub fn judge(&mut self, seen: &Seen, tolerance: f64, settles: bool) {
        if seen.total < 1.0 || !self.has_past() {
            return;
        }
        let log_tolerance = self.log_tolerance(seen, tolerance);
        self.tolerated = log_tolerance.exp();
        let (deviation, _) = seen.deviation();
        let mut most = self.most_gain();
        let least = -most;
        if settles {
            let sampling = seen.sampling().sqrt();
            let drops = deviation < self.recent.mean - sampling;
            self.recent.add(deviation, KEEP_RECENT);
            self.slow.add(deviation, KEEP_SLOW);
            let falls = self.recent.mean < self.slow.mean - BELOW_SLOW * sampling;
            if self.slow.weight < WEIGHT_TO_SETTLE {
                most = 0.0;
            } else if drops || falls {
                most *= WHILE_FALLING;
            }
        }
        let null = at_odds(seen.expected_rate(), log_tolerance);
        for (bet, ratio) in self.bets.iter_mut().zip(ALTERNATIVES) {
            let other = at_odds(null, ratio.ln());
            let gain = seen.inside * (other / null).ln()
                + (seen.total - seen.inside) * ((1.0 - other) / (1.0 - null)).ln();
            *bet = (*bet + gain.clamp(least, most)).clamp(FLOOR, CEILING);
        }
        if self.log_evidence() > 0.0 {
            self.since += 1.0;
            self.seen.add_seen(seen);
        } else {
            self.since = 0.0;
            self.seen = Seen::default();
        }
    }

    /// Forgets the new version; the weather stays, as it is not a version's.
    pub fn restart(&mut self) {
        self.bets = [0.0; ALTERNATIVES.len()];
        self.since = 0.0;
        self.seen = Seen::default();
        self.recent = Running::default();
        self.slow = Running::default();
    }

    /// Whether the weather was watched for long enough.
    #[must_use]
    pub fn has_past(&self) -> bool {
        self.windows >= WINDOWS_NEEDED
    }

    /// Evidence in nats that the new version is beyond the tolerance, for longer than any spell of
    /// the past was; 0 at most for a shorter one.
    #[must_use]
    pub fn log_evidence_that_lasts(&self) -> f64 {
        if self.since > self.longest {
            self.log_evidence()
        } else {
            self.log_evidence().min(0.0)
        }
    }

    fn log_evidence(&self) -> f64 {
        let sum = self
            .bets
            .iter()
            .fold(f64::NEG_INFINITY, |sum, bet| log_add_exp(sum, *bet));
        sum - (ALTERNATIVES.len() as f64).ln()
    }

    /// What the new version showed since there is evidence against it.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Windows since there is evidence.
    #[must_use]
    pub fn windows_since(&self) -> f64 {
        self.since
    }

    /// The odds ratio against the past up to which the last window was tolerated.
    #[must_use]
    pub fn tolerated(&self) -> f64 {
        self.tolerated
    }

    /// Standard deviation of the weather in log odds.
    #[must_use]
    pub fn weather(&self) -> f64 {
        let estimate = if self.weights > 0.0 {
            (self.squares / self.weights).max(0.0)
        } else {
            0.0
        };
        let prior = PRIOR_WEATHER.powi(2);
        ((PRIOR_FREEDOM * prior + self.weights * estimate) / (PRIOR_FREEDOM + self.weights)).sqrt()
    }

    /// The log odds ratio that is tolerated in a window.
    fn log_tolerance(&self, seen: &Seen, tolerance: f64) -> f64 {
        let weather = student(PRIOR_FREEDOM + self.weights) * self.weather();
        let doubt = QUANTILE.powi(2) * seen.doubt_of_odds();
        tolerance.max(1.0).ln() + (weather.powi(2) + doubt).sqrt()
    }

    /// The most nats that one window may add.
    fn most_gain(&self) -> f64 {
        let rank = (1.0 + self.beyond) / (1.0 + self.windows);
        (-0.5 * rank.ln() - core::f64::consts::LN_2).clamp(LEAST_GAIN, MOST_GAIN)
    }

    /// Appends the state.
    pub fn encode(&self, writer: &mut Writer) {
        for value in [
            self.windows,
            self.beyond,
            self.weights,
            self.squares,
            self.spell,
            self.longest,
            self.since,
            self.tolerated,
            self.recent.mean,
            self.recent.weight,
            self.slow.mean,
            self.slow.weight,
        ]
        .iter()
        .chain(&self.bets)
        {
            writer.f64(*value);
        }
        self.seen.encode(writer);
    }

    /// Reads what [`AgainstPast::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut read = Self {
            windows: finite(reader)?.max(0.0),
            beyond: finite(reader)?.max(0.0),
            weights: finite(reader)?.max(0.0),
            squares: finite(reader)?,
            spell: finite(reader)?,
            longest: finite(reader)?,
            since: finite(reader)?,
            tolerated: finite(reader)?,
            recent: Running::decode(reader)?,
            slow: Running::decode(reader)?,
            ..Self::default()
        };
        for bet in &mut read.bets {
            *bet = finite(reader)?.clamp(FLOOR, CEILING);
        }
        read.seen = Seen::decode(reader)?;
        Ok(read)
    }
}

/// The odds ratio between two rates.
#[must_use]
pub fn odds_ratio(rate: f64, other: f64) -> f64 {
    (logit(rate) - logit(other)).exp()
}

/// The .995 quantile of Student's law, by its expansion around the normal one (Abramowitz and
/// Stegun 26.7.5): within 2% from four degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let z = QUANTILE;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
    ];
    let mut power = 1.0;
    terms.iter().fold(z, |sum, term| {
        power /= freedom.max(PRIOR_FREEDOM);
        sum + term * power
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of `total` exchanges where the past had 1% of 50,000.
    fn window(inside: f64, total: f64) -> Seen {
        let mut seen = Seen::default();
        seen.add(inside, total, [500.0, 50_000.0]);
        seen
    }

    fn calm(windows: u32) -> AgainstPast {
        let mut series = AgainstPast::default();
        for number in 0..windows {
            series.learn(&window(5.0 + f64::from(number % 3), 600.0), 1.5);
        }
        series
    }

    #[test]
    fn students_quantile_is_that_of_the_tables() {
        for (freedom, quantile) in [(4.0, 4.604), (10.0, 3.169), (60.0, 2.660)] {
            let found = student(freedom);
            assert!((found / quantile - 1.0).abs() < 0.02, "{freedom}: {found}");
        }
    }

    #[test]
    fn what_a_calm_past_showed_is_no_evidence_and_failures_are() {
        let mut series = calm(60);
        for _ in 0..60 {
            series.judge(&window(7.0, 600.0), 1.5, false);
        }
        assert!(series.log_evidence_that_lasts() < 0.0);
        series.restart();
        for _ in 0..8 {
            series.judge(&window(60.0, 600.0), 1.5, false);
        }
        assert!(series.log_evidence_that_lasts() > 5.0);
        assert!((series.seen().rate() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_past_that_swings_earns_a_wider_tolerance() {
        let mut series = AgainstPast::default();
        for number in 0..120 {
            let failures = if number % 2 == 0 { 2.0 } else { 24.0 };
            series.learn(&window(failures, 600.0), 1.5);
        }
        assert!(series.weather() > 2.0 * calm(120).weather());
        for _ in 0..30 {
            series.judge(&window(24.0, 600.0), 1.5, false);
        }
        assert!(series.log_evidence_that_lasts() < 0.0);
    }

    #[test]
    fn what_lasts_no_longer_than_an_outage_of_the_past_is_no_alarm() {
        let mut series = calm(60);
        for _ in 0..6 {
            series.learn(&window(300.0, 600.0), 1.5);
        }
        for _ in 0..120 {
            series.learn(&window(6.0, 600.0), 1.5);
        }
        for number in 1..=5 {
            series.judge(&window(300.0, 600.0), 1.5, false);
            assert!(series.log_evidence_that_lasts() <= 0.0, "{number}");
        }
    }

    #[test]
    fn a_level_that_still_falls_is_not_judged() {
        let past = [25_000.0, 50_000.0];
        let slow = |share: f64| {
            let mut seen = Seen::default();
            seen.add(600.0 * share, 600.0, past);
            seen
        };
        let mut series = AgainstPast::default();
        for _ in 0..60 {
            series.learn(&slow(0.5), 2.0);
        }
        let mut steady = series;
        for number in 0..16 {
            let share = 0.5 + 0.45 * 0.8_f64.powi(number);
            series.judge(&slow(share), 2.0, true);
            steady.judge(&slow(0.95), 2.0, true);
        }
        assert!(series.log_evidence_that_lasts() < 2.0);
        assert!(steady.log_evidence_that_lasts() > 5.0);
    }

    #[test]
    fn its_state_is_read_as_it_was_written() {
        let mut series = calm(20);
        series.judge(&window(60.0, 600.0), 1.5, false);
        let mut writer = Writer::new();
        series.encode(&mut writer);
        let bytes = writer.into_bytes();
        let read = AgainstPast::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(read, series);
    }
}
