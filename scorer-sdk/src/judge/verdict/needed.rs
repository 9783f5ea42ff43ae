//! Requests that a regression would still need to be found.

use serde::Serialize;

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
