//! A route and a category in which the candidate is worse.

use crate::count::examples::Example;
use crate::evidence::Interval;
use crate::judge::timing::time_of_day;
use crate::judge::verdict::label::label;
use crate::judge::verdict::{Now, Rate, Shift};
use crate::route::RouteKey;
use core::fmt;
use serde::Serialize;

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
    pub(super) fn odds(&self) -> String {
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
