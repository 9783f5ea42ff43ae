//! What was known at the moment of a verdict, and what is so now.

use crate::judge::verdict::Rate;
use crate::judge::verdict::label::label;
use crate::route::RouteKey;
use serde::Serialize;

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
