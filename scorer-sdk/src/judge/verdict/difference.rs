//! Where the versions behave differently, for better or worse.

use crate::judge::verdict::Shift;
use crate::judge::verdict::label::label;
use crate::judge::verdict::shift::signed;
use crate::route::RouteKey;
use core::fmt;
use serde::Serialize;

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
