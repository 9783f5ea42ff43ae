//! Expected differences: what the owner declared about this release.

use super::check::{MAX_LIST, unknown};
use super::error::ConfigError;
use super::raw::Config;
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::signal::{Question, Signal};

/// A difference that was declared and does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// The route's label, an asterisk at the end standing for any rest; every route when `None`.
    pub route: Option<String>,
    /// The index of the signal.
    pub signal: usize,
    /// The one category that is declared; all of the signal's when `None`.
    pub category: Option<&'static str>,
}

impl Expected {
    pub(super) fn covers_category(&self, route: &RouteKey, signal: usize, category: &str) -> bool {
        self.covers_signal(route, signal)
            && self.category.is_none_or(|declared| declared == category)
    }

    pub(super) fn covers_signal(&self, route: &RouteKey, signal: usize) -> bool {
        self.signal == signal
            && self.route.as_deref().is_none_or(|pattern| {
                let label = route.label();
                match pattern.strip_suffix('*') {
                    Some(start) => label.starts_with(start),
                    None => label == pattern,
                }
            })
    }
}

/// The declared differences.
pub(super) fn expected(
    raw: &Config,
    signals: &[Box<dyn Signal>],
    questions: &[(usize, Question)],
) -> Result<Vec<Expected>, ConfigError> {
    if raw.expected.len() > MAX_LIST {
        return Err(ConfigError::new(
            "expected",
            format!("more than {MAX_LIST} entries"),
            "leave out `route`, or end it with an asterisk",
        ));
    }
    let names = |names: Vec<&str>| names.join(", ");
    raw.expected
        .iter()
        .enumerate()
        .map(|(index, declared)| {
            let at = |field: &str| format!("expected[{index}].{field}");
            if let Some(route) = &declared.route
                && (route.is_empty() || route.len() > 2 * MAX_PART_BYTES)
            {
                return Err(ConfigError::new(
                    &at("route"),
                    "is no route",
                    "write it as reasons and metrics do, such as \"GET /api/search\", or leave it out",
                ));
            }
            let (signal, category) = match (&declared.category, &declared.signal) {
                (Some(category), None) => {
                    let found = questions
                        .iter()
                        .find(|(_, question)| question.name == category)
                        .ok_or_else(|| {
                            let known = questions.iter().map(|known| known.1.name).collect();
                            unknown(&at("category"), category, &names(known))
                        })?;
                    (found.0, Some(found.1.name))
                }
                (None, Some(signal)) => {
                    let found = signals
                        .iter()
                        .position(|known| known.name() == signal)
                        .ok_or_else(|| {
                            let known = signals.iter().map(|known| known.name()).collect();
                            unknown(&at("signal"), signal, &names(known))
                        })?;
                    (found, None)
                }
                _ => {
                    return Err(ConfigError::new(
                        &format!("expected[{index}]"),
                        "needs either `category` or `signal`",
                        "write {\"route\": \"GET /api/search\", \"category\": \"size\"}",
                    ));
                }
            };
            Ok(Expected {
                route: declared.route.clone(),
                signal,
                category,
            })
        })
        .collect()
}
