//! What does not count because single hosts or sessions have too much of it.

use serde::Serialize;

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
