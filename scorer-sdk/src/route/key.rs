//! The key of a route: what is compared with what.

use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use core::hash::BuildHasher;

/// Longest part of a key in bytes.
pub const MAX_PART_BYTES: usize = 512;
/// Path and method of the exchanges that found no room in a full table.
pub const OTHER: &str = "{other}";
/// A segment that stands for any name.
const ANY: &str = "{x}";

/// Destination, route name, method and path template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteKey {
    /// The service that was called.
    pub destination: String,
    /// Name of the proxy's route, empty where there is none.
    pub route_name: String,
    /// Request method.
    pub method: String,
    /// Path template, such as `/api/items/{int}`.
    pub path: String,
}

impl RouteKey {
    /// The key of what has no key of its own.
    #[must_use]
    pub fn other(destination: &str) -> Self {
        Self {
            destination: destination.to_owned(),
            route_name: String::new(),
            method: "*".to_owned(),
            path: OTHER.to_owned(),
        }
    }

    /// The key that stands for all routes of a destination.
    #[must_use]
    pub fn all(destination: &str) -> Self {
        Self {
            path: "*".to_owned(),
            ..Self::other(destination)
        }
    }

    /// Stands for the key while this process runs; others may have the same number.
    #[must_use]
    pub(crate) fn number(&self) -> u64 {
        foldhash::fast::FixedState::with_seed(0).hash_one(self)
    }

    /// Method and path, with the route name in front where there is one: the metric label `route`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.method == "*" && self.path == "*" {
            return "all routes".to_owned();
        }
        match self.route_name.as_str() {
            "" => format!("{} {}", self.method, self.path),
            name => format!("{name} {} {}", self.method, self.path),
        }
    }

    /// Whether a segment of the path stands for whatever name is there.
    #[must_use]
    pub fn has_any_segment(&self) -> bool {
        self.path.split('/').any(|segment| segment == ANY)
    }

    /// Whether it is the key of another's exchanges once their names count for nothing, as
    /// `/users/{x}/orders` is that of `/users/ann/orders`.
    #[must_use]
    pub fn stands_for(&self, other: &Self) -> bool {
        let mut others = other.path.split('/');
        self != other
            && self.destination == other.destination
            && self.route_name == other.route_name
            && self.method == other.method
            && self.path.split('/').all(|own| {
                others.next().is_some_and(|other| {
                    own == other || (own == ANY && !other.is_empty() && !other.starts_with('{'))
                })
            })
            && others.next().is_none()
    }

    /// Writes the key.
    pub fn encode(&self, writer: &mut Writer) {
        for part in [
            &self.destination,
            &self.route_name,
            &self.method,
            &self.path,
        ] {
            writer.text(part);
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When the bytes are not a key.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut part = || reader.text(MAX_PART_BYTES).map(str::to_owned);
        Ok(Self {
            destination: part()?,
            route_name: part()?,
            method: part()?,
            path: part()?,
        })
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.destination, self.label())
    }
}
