//! References: what stable does, frozen into a file that `serin snapshot` makes and a guard
//! compares with.

use crate::limits::MAX_ROUTES;
use crate::route::key::MAX_PART_BYTES;
use crate::signal::Signal;
use crate::sketch::counts::MAX_CODES;
use crate::sketch::names::MAX_NAME_BYTES;
use crate::sketch::{DecayedCounts, NameTable};
use core::fmt;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The only version of the format so far.
pub const FORMAT: u32 = 1;

/// What one version of one destination does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Version of this format: [`FORMAT`].
    pub serin_snapshot: u32,
    /// The destination.
    pub destination: String,
    /// The version.
    pub version: String,
    /// Exchanges it was made from.
    pub exchanges: u64,
    /// Its routes.
    pub routes: Vec<ReferenceRoute>,
}

/// One route of a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceRoute {
    /// Request method.
    pub method: String,
    /// Path template.
    pub path: String,
    /// Exchanges on this route.
    pub exchanges: u64,
    /// Per signal, its tokens with their counts.
    pub signals: BTreeMap<String, Vec<(TokenValue, u64)>>,
}

/// A token in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum TokenValue {
    /// A status or the code of a log bucket.
    Number(u16),
    /// A name.
    Name(String),
}

/// By hand: serde's untagged enums keep a copy of any value, and know no place in the text.
struct TokenForms;

impl Visitor<'_> for TokenForms {
    type Value = TokenValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number up to 65535, or a name")
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<TokenValue, E> {
        u16::try_from(code)
            .map(TokenValue::Number)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(code), &self))
    }

    fn visit_str<E>(self, name: &str) -> Result<TokenValue, E> {
        Ok(TokenValue::Name(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for TokenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokenForms)
    }
}

impl Reference {
    /// Checks version and bounds.
    ///
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), String> {
        if self.serin_snapshot != FORMAT {
            return Err(format!(
                "format {} is not known; this version reads {FORMAT}",
                self.serin_snapshot
            ));
        }
        if self.routes.len() > MAX_ROUTES {
            return Err(format!(
                "{} routes are above the limit of {MAX_ROUTES}",
                self.routes.len()
            ));
        }
        for route in &self.routes {
            if route.path.len() > MAX_PART_BYTES || route.method.len() > MAX_PART_BYTES {
                return Err(format!("a route is longer than {MAX_PART_BYTES} bytes"));
            }
            for tokens in route.signals.values() {
                let long = tokens.iter().any(|(token, _)| {
                    matches!(token, TokenValue::Name(name) if name.len() > MAX_NAME_BYTES)
                });
                if tokens.len() > MAX_CODES || long {
                    return Err(format!("too many or too long tokens on {}", route.path));
                }
            }
        }
        Ok(())
    }

    /// The route with this method and path template; route names and destinations differ between
    /// the proxy that recorded and the guard, and do not count.
    #[must_use]
    pub fn route(&self, method: &str, path: &str) -> Option<&ReferenceRoute> {
        self.routes
            .iter()
            .find(|route| route.method == method && route.path == path)
    }
}

impl ReferenceRoute {
    /// The tokens of `signal` as a past; names get their codes in `names`.
    #[must_use]
    pub fn past(&self, signal: &dyn Signal, names: &mut NameTable) -> DecayedCounts {
        let mut past = DecayedCounts::default();
        for (token, count) in self.signals.get(signal.name()).into_iter().flatten() {
            let code = match token {
                TokenValue::Number(code) => *code,
                TokenValue::Name(name) => names.code(name),
            };
            past.add(code, *count as f32);
        }
        past
    }
}
