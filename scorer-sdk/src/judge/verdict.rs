//! Verdicts and what carries them.
//!
//! All of it serialises, for programs: enumerations as their names, routes as their label
//! ([`RouteKey::label`]), evidence in nats. What is unknown is `null`, never absent.

pub use crate::count::examples::Example;
use crate::drift::SharedChange;
use crate::evidence::{Factor, Interval};
use crate::judge::timing::{Timing, time_of_day};
use crate::route::RouteKey;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use serde::{Serialize, Serializer};

/// The verdict on a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Serin has judged too little, or something speaks against the candidate but is not enough for a
    /// verdict: [`Decision::leaning`].
    #[default]
    Learning,
    /// Serin has judged enough, and nothing speaks against the candidate.
    Healthy,
    /// There is half of the evidence that a verdict needs, in logs. Or the candidate is worse than the
    /// baseline's past ([`Decision::against_past`]), or answers nothing ([`Decision::silent`]).
    Suspect,
    /// The candidate is worse than tolerated. For a healthy candidate, the chance of this is at most
    /// `false_alarm`.
    Anomalous,
}

impl Verdict {
    /// All verdicts, the worst last.
    pub const ALL: [Self; 4] = [
        Self::Learning,
        Self::Healthy,
        Self::Suspect,
        Self::Anomalous,
    ];

    /// The name in metrics, headers and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Anomalous => "anomalous",
        }
    }

    /// The number in metrics and bytes: 0 learning to 3 anomalous.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The verdict with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often exchanges of one arm were in a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Rate {
    /// Exchanges in the category.
    pub inside: u64,
    /// All exchanges that the condition applied to. If a worker looked at only part of them and at every
    /// failure ([`crate::Sampling`]), an estimate.
    pub total: u64,
    /// If the total is such an estimate, the exchanges outside the category that it is based on.
    pub estimated_from: Option<u64>,
}

/// Fewest exchanges from which a total is estimated.
const LEAST_FOR_SHARE: u64 = 10;

impl Rate {
    /// So many of all in the category.
    #[must_use]
    pub fn new(inside: u64, total: u64) -> Self {
        Self {
            inside,
            total,
            estimated_from: None,
        }
    }

    /// The share in the category, 0 to 1; `None` if too little is known of the others.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        let is_known = self.total > 0
            && self
                .estimated_from
                .is_none_or(|others| others >= LEAST_FOR_SHARE);
        is_known.then(|| self.inside as f64 / self.total as f64)
    }

    /// Which part of a version's requests it is, for people: "12.5% of v2's requests (25 of 200)".
    #[inline(never)]
    fn of_requests(self, noun: &str) -> String {
        let percent = self.percent();
        match (self.share(), self.estimated_from) {
            (Some(_), None) => format!(
                "{percent:.1}% of {noun} ({} of {})",
                self.inside, self.total
            ),
            (Some(_), Some(_)) => format!("about {percent:.1}% of {noun}"),
            (None, Some(_)) => format!("{} of {noun}", self.inside),
            (None, None) => format!("none of {noun}"),
        }
    }

    /// The percentage alone, or the number where there is none.
    #[inline(never)]
    fn percentage(self) -> String {
        match self.share() {
            Some(share) => format!("{:.1}%", 100.0 * share),
            None => self.inside.to_string(),
        }
    }

    /// Exchanges outside of the category that were looked at.
    fn others(self) -> u64 {
        self.estimated_from
            .unwrap_or(self.total.saturating_sub(self.inside))
    }

    pub(super) fn encode(self, writer: &mut Writer) {
        writer.u64(self.inside);
        writer.u64(self.total);
        writer.option(self.estimated_from.as_ref(), |others, writer| {
            writer.u64(*others);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            inside: reader.u64()?,
            total: reader.u64()?,
            estimated_from: reader.option(Reader::u64)?,
        })
    }

    /// Exchanges in the category per hundred.
    #[must_use]
    pub fn percent(self) -> f64 {
        100.0 * self.inside as f64 / self.total.max(1) as f64
    }
}

impl core::ops::Add for Rate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            inside: self.inside.saturating_add(other.inside),
            total: self.total.saturating_add(other.total),
            estimated_from: match (self.estimated_from, other.estimated_from) {
                (None, None) => None,
                _ => Some(self.others().saturating_add(other.others())),
            },
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.inside, self.total)
    }
}

/// A route and a category in which the candidate is worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The route.
    #[serde(serialize_with = "label")]
    pub route: RouteKey,
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// What the candidate's exchanges in the category do, with names and cuts: "lack the header etag".
    pub phrase: String,
    /// What differs, such as the names of lost headers with how often they were there, over the same
    /// blocks as the rates.
    pub detail: String,
    /// Further parts of the body that are missing or changed, each with its share of the answers.
    pub likewise: String,
    /// Evidence of this pair alone, in nats.
    pub evidence: f64,
    /// The candidate, since the difference began.
    pub candidate: Rate,
    /// The baseline, over the same blocks; for a guard, what the reference says.
    pub baseline: Rate,
    /// Odds ratio that is tolerated now: the configured one, or a larger one if the baseline's hosts or
    /// sessions differ more than that from each other.
    pub tolerance: f64,
    /// Most likely odds ratio.
    pub odds_ratio: Option<f64>,
    /// Confidence interval of the odds ratio, at confidence one minus `false_alarm`.
    #[serde(flatten)]
    pub interval: Interval,
    /// For a category of durations, the shift of its quantile.
    pub shift: Option<Shift>,
    /// How often exchanges meet the category now; `None` if unknown, as for a path of bodies.
    pub now: Option<Now>,
    /// The newest exchanges of the candidate in the category that are known one by one, three at most;
    /// none without `examples` in the config.
    pub examples: Vec<Example>,
}

impl Reason {
    /// One sentence. `candidate` and `baseline` are the names of the versions.
    #[must_use]
    pub fn sentence(&self, candidate: &str, baseline: &str) -> String {
        let mut text = format!(
            "{}: {} {}, against {}",
            self.route,
            self.candidate
                .of_requests(&format!("{candidate}'s requests")),
            self.phrase,
            self.baseline.of_requests(&format!("{baseline}'s")),
        );
        text.push_str(&self.odds());
        if let Some(shift) = &self.shift {
            text.push_str(&format!("; {shift}"));
        }
        if !self.likewise.is_empty() {
            text.push_str(&format!("; likewise {}", self.likewise));
        }
        text
    }

    /// The odds ratio with what is not ruled out, behind a semicolon; empty where nothing is known.
    fn odds(&self) -> String {
        match (self.odds_ratio, self.interval.lower, self.interval.upper) {
            (Some(ratio), Some(lower), Some(upper)) => {
                format!("; odds ratio {ratio:.1} ({lower:.1} to {upper:.1})")
            }
            (_, Some(lower), None) => format!("; odds ratio above {lower:.1}"),
            (Some(ratio), None, Some(upper)) => {
                format!("; odds ratio {ratio:.1} (below {upper:.1})")
            }
            _ => String::new(),
        }
    }

    /// Exchanges to look up, in words; empty where none is known.
    #[must_use]
    pub fn for_example(&self) -> String {
        if self.examples.is_empty() {
            return String::new();
        }
        let told: Vec<String> = self.examples.iter().map(Example::to_string).collect();
        format!("for example {}", told.join(", "))
    }

    /// Whether it is about all routes together.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.route == RouteKey::all(&self.route.destination)
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.id.is_empty() {
            write!(f, "{} ", self.id)?;
        }
        write!(f, "({}, ", time_of_day(self.started_ms))?;
        match self.status {
            Some(status) => write!(f, "{status}, ")?,
            None => f.write_str("no answer, ")?,
        }
        write!(f, "{:.1} ms)", self.duration_us as f64 / 1e3)
    }
}

/// How far a quantile of the candidate's durations is shifted against the baseline's, since the
/// difference began. The interval holds at all looks at confidence one minus the configured false
/// alarm, as far as the shift stands still ([`QuantileShift`](crate::evidence::QuantileShift)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shift {
    /// Which quantile, 0 to 1.
    pub quantile: f64,
    /// The baseline's quantile in milliseconds; over all routes, the mean of theirs.
    pub baseline_ms: f64,
    /// The shift in per cent of the baseline's; above 0 the candidate is slower.
    pub percent: Option<f64>,
    /// Its lower end; `None` if nothing rules out that the candidate is much faster.
    pub percent_lower: Option<f64>,
    /// Its upper end; `None` if nothing rules out that the candidate is much slower.
    pub percent_upper: Option<f64>,
    /// The shift in milliseconds.
    pub ms: Option<f64>,
    /// Its lower end.
    pub ms_lower: Option<f64>,
    /// Its upper end.
    pub ms_upper: Option<f64>,
}

impl Shift {
    /// The shift by a factor of a quantile that is `level_us` microseconds for the baseline.
    #[must_use]
    pub fn new(quantile: f64, factor: &Factor, level_us: f64) -> Self {
        let percent = |factor: Option<f64>| factor.map(|factor| 100.0 * (factor - 1.0));
        let ms = |factor: Option<f64>| factor.map(|factor| (factor - 1.0) * level_us / 1_000.0);
        Self {
            quantile,
            baseline_ms: level_us / 1_000.0,
            percent: percent(factor.estimate),
            percent_lower: percent(factor.lower),
            percent_upper: percent(factor.upper),
            ms: ms(factor.estimate),
            ms_lower: ms(factor.lower),
            ms_upper: ms(factor.upper),
        }
    }

    /// Whether its direction is certain.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.percent_lower.is_some_and(|lower| lower > 0.0)
            || self.percent_upper.is_some_and(|upper| upper < 0.0)
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quantile == 0.5 {
            f.write_str("median ")?;
        } else {
            // Written as 99.9, not as 99.90000000000001.
            write!(f, "p{} ", (self.quantile * 100_000.0).round() / 1_000.0)?;
        }
        let percent = [self.percent, self.percent_lower, self.percent_upper];
        if percent.iter().all(Option::is_none) {
            return f.write_str("shift not known yet");
        }
        let ms = [self.ms, self.ms_lower, self.ms_upper];
        write!(f, "{}, {}", signed(percent, "%"), signed(ms, " ms"))
    }
}

/// A value with its interval, all with their signs; an open end is left out.
fn signed([value, lower, upper]: [Option<f64>; 3], unit: &str) -> String {
    let text = |value: f64| {
        if value.abs() < 9.95 {
            format!("{value:+.1}{unit}")
        } else {
            format!("{value:+.0}{unit}")
        }
    };
    let interval = match (lower, upper) {
        (Some(lower), Some(upper)) => format!("{} to {}", text(lower), text(upper)),
        (Some(lower), None) => format!("at least {}", text(lower)),
        (None, Some(upper)) => format!("at most {}", text(upper)),
        (None, None) => "uncertain".to_owned(),
    };
    match value {
        Some(value) => format!("{} ({interval})", text(value)),
        None => interval,
    }
}

/// The token of a signal whose share of the exchanges differs most, since the difference began.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShareChange {
    /// The token, for people: a status, a set of header names, a range of sizes or times.
    pub token: String,
    /// The candidate's share less the baseline's, from -1 to 1.
    pub change: f64,
    /// The lower end of the confidence interval, which holds at all looks and over all tokens, at
    /// confidence one minus `false_alarm`.
    pub change_lower: f64,
    /// The upper end.
    pub change_upper: f64,
}

impl fmt::Display for ShareChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = [self.change, self.change_lower, self.change_upper];
        let points = points.map(|share| Some(100.0 * share));
        write!(f, "{}: {} points", self.token, signed(points, ""))
    }
}

/// A route and a signal on which the versions behave differently, for better or worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The route.
    #[serde(serialize_with = "label")]
    pub route: RouteKey,
    /// Name of the signal.
    pub signal: &'static str,
    /// Evidence of this pair alone, in nats.
    pub evidence: f64,
    /// Total variation distance between the two versions' tokens, 0 to 1.
    pub distance: f64,
    /// For durations, how far the median is shifted.
    pub shift: Option<Shift>,
    /// The token whose share differs most; `None` if no single one differs by enough to matter.
    pub share: Option<ShareChange>,
    /// Further words on what differs, such as the names of new paths.
    pub detail: String,
}

impl Difference {
    /// By how much, in words: the shift of the median, else the token that changed most.
    #[must_use]
    pub fn size(&self) -> String {
        match (&self.shift, &self.share) {
            (Some(shift), _) if shift.is_certain() => shift.to_string(),
            (_, Some(share)) => share.to_string(),
            _ => format!("{:.0}% of the answers", 100.0 * self.distance),
        }
    }

    /// Whether it is about all routes together.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.route == RouteKey::all(&self.route.destination)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.route, self.signal, self.size())?;
        if !self.detail.is_empty() {
            write!(f, " [{}]", self.detail)?;
        }
        Ok(())
    }
}

/// A category in which two halves of the baseline differ, although they run the same version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlaceboFinding {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Evidence that the halves differ, in nats.
    pub evidence: f64,
    /// The worse half, since the difference began.
    pub first: Rate,
    /// The better half.
    pub second: Rate,
    /// Most likely odds ratio between them.
    pub odds_ratio: Option<f64>,
    /// Confidence interval of the odds ratio.
    #[serde(flatten)]
    pub interval: Interval,
    /// Whether the halves are sessions; hosts otherwise.
    pub by_session: bool,
}

impl PlaceboFinding {
    /// One sentence. `baseline` is the name of the version.
    #[must_use]
    pub fn sentence(&self, baseline: &str) -> String {
        let one_half = if self.by_session {
            "of one half of its sessions"
        } else {
            "to one half of its hosts"
        };
        format!(
            "{baseline} differs from itself: {} {}, against {}",
            self.first.of_requests(&format!("the requests {one_half}")),
            self.meaning,
            self.second.of_requests("those of the other half"),
        )
    }
}

/// A category in which a version that has taken over the traffic is worse than the past of the one
/// before it, by more than changing conditions explain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PastFinding {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Evidence in nats.
    pub evidence: f64,
    /// The new version's rate since there is evidence.
    pub candidate: Rate,
    /// Share of the exchanges that the past predicts in the category, 0 to 1.
    pub expected: f64,
    /// Odds ratio of what was seen against what was expected.
    pub odds_ratio: f64,
    /// Odds ratio that is tolerated: it includes what changing conditions may explain.
    pub tolerated: f64,
    /// Seconds since there is evidence.
    pub seconds: f64,
}

impl PastFinding {
    /// One sentence. `candidate` and `baseline` are the names of the versions.
    #[must_use]
    pub fn sentence(&self, candidate: &str, baseline: &str) -> String {
        format!(
            "against the past of {baseline}, not side by side: {} {}, where {:.1}% were expected; odds ratio {:.1}; up to {:.1} could be chance or other conditions; a change that affects both versions would look the same",
            self.candidate
                .of_requests(&format!("{candidate}'s requests")),
            self.meaning,
            100.0 * self.expected,
            self.odds_ratio,
            self.tolerated,
        )
    }
}

/// In which way a version is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silent {
    /// It gets requests and answers none.
    Mute,
    /// It gets no requests, while others do.
    Idle,
}

/// A version that is silent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Silence {
    /// The version.
    pub version: String,
    /// In which way.
    pub kind: Silent,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Requests that it did not answer; for one that gets none, those that others got meanwhile.
    pub requests: u64,
    /// Its share of the requests before, 0 to 1.
    pub share: f64,
}

impl Silence {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.kind {
            Silent::Mute => format!(
                "{} has answered none of its last {} requests, for {:.0} s",
                self.version, self.requests, self.seconds
            ),
            Silent::Idle => format!(
                "{} has received no request for {:.0} s, while others received {}; before, it received {:.1}% of them",
                self.version,
                self.seconds,
                self.requests,
                100.0 * self.share
            ),
        }
    }
}

/// How many more candidate requests a regression of some size would need to be found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Needed {
    /// Name of the category.
    pub category: &'static str,
    /// Size of the regression.
    pub odds_ratio: f64,
    /// Candidate requests on average, at the current share and rates.
    pub requests: u64,
}

/// A category in which single hosts or sessions of the candidate have so many exchanges that most of
/// them do not count: one unit cannot carry a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Recent exchanges that do not count because their host has too many.
    pub by_host: u64,
    /// The same because their session has too many.
    pub by_session: u64,
}

impl LeftOut {
    /// One sentence. `candidate` is the name of the version.
    #[must_use]
    pub fn sentence(&self, candidate: &str) -> String {
        let (count, unit) = if self.by_session >= self.by_host {
            (self.by_session, "sessions")
        } else {
            (self.by_host, "hosts")
        };
        format!(
            "{count} of {candidate}'s requests {} but do not count: they come from single {unit}, and other \
             {unit} do not show it",
            self.meaning
        )
    }
}

/// The facts at the moment of an anomalous verdict. Later counts do not change them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The most likely start of the difference, in milliseconds since the epoch
    /// ([`Starts`](crate::evidence::Starts) has the formula and the measured error). A difference found
    /// within seconds is accurate to a few seconds; one that takes minutes, to a quarter of that time.
    pub onset_ms: u64,
    /// Evidence over all routes and categories, in nats.
    pub evidence: f64,
    /// The route on which it was strongest.
    #[serde(serialize_with = "label")]
    pub route: RouteKey,
    /// Name of the category in which it was strongest.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// The candidate's rate in that category, from when it was plainly worse up to the verdict.
    pub candidate: Rate,
    /// The baseline's rate over the same blocks; if only the past speaks, the predicted rate.
    pub baseline: Rate,
    /// Whether only the past speaks, because the candidate had the traffic to itself.
    pub against_past: bool,
}

/// How often exchanges met a category over about the last half minute, whatever the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Now {
    /// The candidate's share, 0 to 1.
    pub candidate: f64,
    /// The baseline's share, 0 to 1.
    pub baseline: f64,
}

/// The verdict of all proxies together on a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetWord {
    /// Their evidence is enough: it is anomalous.
    Condemn,
    /// Their evidence is less than half of what would be enough.
    Clear,
}

/// The decision about one destination.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Decision {
    /// The destination.
    pub destination: String,
    /// The stable version; empty while none was seen.
    pub baseline: String,
    /// The new version; empty while there is none.
    pub candidate: String,
    /// The verdict on the candidate.
    pub verdict: Verdict,
    /// Evidence over all routes and categories, in nats.
    pub evidence: f64,
    /// Evidence that a verdict needs, in nats.
    pub threshold: f64,
    /// Evidence that the versions differ at all, in nats.
    pub change_evidence: f64,
    /// Exchanges of the baseline since the candidate came.
    pub baseline_exchanges: u64,
    /// Exchanges of the candidate, judged or not.
    pub candidate_exchanges: u64,
    /// Exchanges of the candidate that were judged.
    pub judged_exchanges: u64,
    /// Candidate exchanges at the moment of the anomalous verdict.
    pub exchanges_at_verdict: u64,
    /// Milliseconds since the epoch of the candidate's first exchange.
    pub started_ms: u64,
    /// Milliseconds since the epoch of the anomalous verdict; 0 when there is none.
    pub verdict_ms: u64,
    /// The facts at that moment; `None` without such a verdict.
    pub found: Option<Found>,
    /// Share of the requests that `steer` sends to the baseline: 0 without a verdict.
    pub steer_share: f64,
    /// The reasons for the verdict, the strongest first.
    pub reasons: Vec<Reason>,
    /// While the verdict is `learning`: a reason that by itself has a quarter of the evidence that a
    /// verdict needs, before Serin averages over all pairs. It keeps a candidate from being `healthy`.
    pub leaning: Option<Reason>,
    /// Where the versions behave differently.
    pub differences: Vec<Difference>,
    /// For a guard: the routes and categories that may be refused.
    #[serde(serialize_with = "labels")]
    pub condemned: Vec<(RouteKey, &'static str)>,
    /// Versions that were found anomalous and may still have traffic.
    pub condemned_versions: Vec<String>,
    /// Whether the verdict comes from all proxies together, not from this proxy's evidence.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub by_fleet: bool,
    /// Whether most of the baseline's recent exchanges failed; Serin then steers nothing to it.
    pub baseline_failing: bool,
    /// Where the baseline's own hosts or sessions differ from each other.
    pub placebo: Vec<PlaceboFinding>,
    /// Whether the evidence would be enough without the placebo.
    pub held_by_placebo: bool,
    /// Where the two versions get different requests, so that the comparison is unfair. The signals are
    /// those of requests, or `routes` for the mix of routes.
    pub balance: Vec<Difference>,
    /// Whether the candidate's latency is not judged yet: it is younger than `warm_up.min`, or most of
    /// its exchanges come from hosts that are still warming up.
    pub warming_up: bool,
    /// Hosts of baseline and candidate that take traffic; 0 where hosts are not known.
    pub hosts: [u64; 2],
    /// Exchanges that do not count, because single hosts or sessions have too many of them.
    pub left_out: Option<LeftOut>,
    /// Candidate requests that Serin still needs to find a regression of each size.
    pub needed: Vec<Needed>,
    /// If the candidate has taken over the traffic: where it is worse than the baseline's past, the
    /// strongest first.
    pub against_past: Vec<PastFinding>,
    /// Versions that answer no request, or get none while others do.
    pub silent: Vec<Silence>,
    /// Both versions against their own past, and whether what changed is usage, something shared,
    /// or the version.
    pub shared_change: SharedChange,
}

impl Decision {
    /// The reason for the verdict in one sentence, followed by what limits the comparison.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = match self.against_past.first() {
            Some(finding) if self.reasons.is_empty() => {
                finding.sentence(&self.candidate, &self.baseline)
            }
            Some(finding) => format!(
                "{}; {}",
                self.reason_sentence(),
                finding.sentence(&self.candidate, &self.baseline)
            ),
            None => self.reason_sentence(),
        };
        if self.by_fleet {
            text.insert_str(
                0,
                "by the evidence of all proxies together; this proxy alone says: ",
            );
        }
        for silence in &self.silent {
            text.push_str(&format!("; {}", silence.sentence()));
        }
        if self.held_by_placebo && self.placebo.is_empty() {
            text.push_str(&format!(
                "; held back, because the hosts or sessions of {} seem to differ as much from each other",
                self.baseline
            ));
        }
        if let Some(finding) = self.placebo.first() {
            text.push_str("; ");
            if self.held_by_placebo {
                text.push_str("held back, because ");
            }
            text.push_str(&finding.sentence(&self.baseline));
        }
        if let Some(left_out) = &self.left_out {
            text.push_str("; ");
            text.push_str(&left_out.sentence(&self.candidate));
        }
        let [baseline_hosts, candidate_hosts] = self.hosts;
        if baseline_hosts > 1 && candidate_hosts == 1 && self.verdict >= Verdict::Suspect {
            text.push_str(&format!(
                "; {} runs on one host, and a bad host looks like a bad version",
                self.candidate
            ));
        }
        if let Some(unlike) = self.balance.first() {
            text.push_str(&format!(
                "; the versions get different requests ({} on {}), so requests are not assigned at random",
                unlike.signal, unlike.route
            ));
        }
        text
    }

    fn reason_sentence(&self) -> String {
        match (self.verdict, self.reasons.first()) {
            (_, _) if self.candidate.is_empty() => {
                format!("{}: only one version has had traffic", self.destination)
            }
            (Verdict::Learning, _) if self.baseline_exchanges == 0 => format!(
                "nothing to compare {} with: no exchange of {} since it appeared",
                self.candidate,
                match self.baseline.as_str() {
                    "" => "a baseline",
                    name => name,
                }
            ),
            (Verdict::Learning, _) => {
                let why = match &self.leaning {
                    Some(reason) => format!(
                        "not healthy, but too little evidence for a verdict: {}",
                        reason.sentence(&self.candidate, &self.baseline)
                    ),
                    None if self.warming_up => "its latency is not judged yet".to_owned(),
                    None => "too few for a verdict".to_owned(),
                };
                let mut text = format!(
                    "{} candidate exchanges compared so far: {why}",
                    self.judged_exchanges
                );
                let needed: Vec<String> = self
                    .needed
                    .iter()
                    .map(|needed| format!("{} for {} times", needed.requests, needed.odds_ratio))
                    .collect();
                if !needed.is_empty() {
                    text.push_str(&format!(
                        "; requests still needed to find failures at so many times the odds: {}",
                        needed.join(", ")
                    ));
                }
                text
            }
            (Verdict::Healthy, _) | (_, None) => format!(
                "nothing speaks against {}: {} of its exchanges were compared with {}'s",
                self.candidate, self.judged_exchanges, self.baseline
            ),
            (_, Some(reason)) => {
                let mut text = reason.sentence(&self.candidate, &self.baseline);
                let mut told = 1;
                let pooled = |other: &&Reason| {
                    other.is_pooled() && other.category == reason.category && !reason.is_pooled()
                };
                if let Some(pooled) = self.reasons.iter().find(pooled) {
                    told += 1;
                    text.push_str(&format!(
                        "; all routes together: {} against {}{}",
                        pooled.candidate.percentage(),
                        pooled.baseline.percentage(),
                        pooled.odds().replacen(';', ",", 1)
                    ));
                }
                let more = self.reasons.len().saturating_sub(told);
                if more > 0 {
                    text.push_str(&format!("; and {more} more"));
                }
                text
            }
        }
    }

    /// Since when the candidate is worse, how soon that was found and how certain it is; none without
    /// a verdict.
    #[must_use]
    pub fn timing(&self) -> Option<Timing> {
        let found = self.found.as_ref()?;
        Some(Timing {
            onset_ms: found.onset_ms,
            verdict_ms: self.verdict_ms,
            evidence: (!found.against_past).then_some(found.evidence),
        })
    }

    /// Whether the versions behave differently, for better or worse.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.differences.is_empty()
    }
}

fn label<S: Serializer>(route: &RouteKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&route.label())
}

fn labels<S: Serializer>(
    condemned: &[(RouteKey, &'static str)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        condemned
            .iter()
            .map(|(route, category)| (route.label(), category)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Cause;
    use crate::evidence::Interval;
    use serde_json::{json, to_value};

    #[test]
    fn names_are_the_same_in_json_and_in_metrics() {
        for verdict in Verdict::ALL {
            assert_eq!(to_value(verdict).unwrap(), verdict.name());
        }
        for cause in Cause::ALL {
            assert_eq!(to_value(cause).unwrap(), cause.name());
        }
    }

    #[test]
    fn a_reason_serialises_flat_and_says_what_is_unknown() {
        let reason = Reason {
            tolerance: 1.5,
            route: RouteKey::all("shop"),
            category: "error",
            meaning: "fail",
            phrase: "fail (503)".to_owned(),
            detail: String::new(),
            likewise: String::new(),
            evidence: 4.5,
            candidate: Rate::new(1, 2),
            baseline: Rate::default(),
            odds_ratio: None,
            interval: Interval {
                lower: Some(1.5),
                upper: None,
            },
            shift: None,
            now: None,
            examples: Vec::new(),
        };
        let expected = json!({
            "route": "all routes",
            "category": "error",
            "meaning": "fail",
            "phrase": "fail (503)",
            "detail": "",
            "likewise": "",
            "evidence": 4.5,
            "candidate": {"inside": 1, "total": 2, "estimated_from": null},
            "baseline": {"inside": 0, "total": 0, "estimated_from": null},
            "tolerance": 1.5,
            "odds_ratio": null,
            "odds_ratio_lower": 1.5,
            "odds_ratio_upper": null,
            "shift": null,
            "now": null,
            "examples": [],
        });
        assert_eq!(to_value(&reason).unwrap(), expected);
    }

    #[test]
    fn a_verdict_has_its_times_and_its_evidence_where_versions_were_compared() {
        let mut decision = Decision {
            verdict_ms: 1_700_000_027_400,
            ..Decision::default()
        };
        assert_eq!(decision.timing(), None);
        let rate = Rate::new(1, 2);
        let found = Found {
            onset_ms: 1_700_000_000_400,
            evidence: 5.5,
            route: RouteKey::all("shop"),
            category: "error",
            meaning: "fail",
            candidate: rate,
            baseline: rate,
            against_past: false,
        };
        decision.found = Some(found.clone());
        let timing = decision.timing().unwrap();
        assert_eq!((timing.seconds(), timing.evidence), (27.0, Some(5.5)));
        decision.found = Some(Found {
            against_past: true,
            ..found
        });
        assert_eq!(decision.timing().unwrap().evidence, None);
    }

    #[test]
    fn a_guards_decision_names_the_routes_that_may_be_refused() {
        let decision = Decision {
            condemned: vec![(RouteKey::other("shop"), "error")],
            ..Decision::default()
        };
        let value = to_value(&decision).unwrap();
        assert_eq!(value["condemned"], json!([["* {other}", "error"]]));
        assert_eq!(value["verdict"], "learning");
        assert_eq!(value["shared_change"]["cause"], "nothing");
    }
}
