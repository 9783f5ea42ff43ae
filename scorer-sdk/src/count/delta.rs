//! Deltas: counts on their way from a worker to whoever merges them.

use crate::count::halves::MAX_HOSTS;
use crate::count::tally::MAX_VERSIONS;
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::shape::presence::Presence;
use crate::sketch::{Counts, NameTable};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most routes in a delta; the config's limit is below it.
pub const MAX_ROUTES: usize = 2_000;
/// Most signals, built-in and the user's own.
pub const MAX_SIGNALS: usize = 32;
/// Most exchanges of one version on one route: more than a worker can serve between two ticks, and
/// so few that no sum over a delta overflows.
pub const MAX_EXCHANGES: u64 = u32::MAX as u64;
/// Longest name of a version in bytes.
pub const MAX_VERSION_BYTES: usize = 128;

/// What did not fit a bounded table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Exchanges of destinations beyond the table: not counted otherwise.
    pub destinations: u64,
    /// Exchanges of routes beyond the table: counted in the destination's `{other}` route.
    pub routes: u64,
    /// Exchanges of versions beyond the table: not counted otherwise.
    pub versions: u64,
    /// Values beyond a table of names: counted as `other`.
    pub names: u64,
    /// Paths beyond the tree of templates: counted in the path `{other}`.
    pub paths: u64,
    /// Requests that no version answered.
    pub unattributed: u64,
    /// Exchanges in flight beyond the table: not watched for hanging.
    pub in_flight: u64,
    /// Calls of sessions beyond the table: their next call is not looked at.
    pub sessions: u64,
    /// Requests whose calls could not be followed: their slot was taken.
    pub fan_outs: u64,
}

impl Overflow {
    /// Names and numbers, for metrics.
    #[must_use]
    pub fn items(&self) -> [(&'static str, u64); 9] {
        [
            ("destinations", self.destinations),
            ("routes", self.routes),
            ("versions", self.versions),
            ("names", self.names),
            ("paths", self.paths),
            ("unattributed", self.unattributed),
            ("in_flight", self.in_flight),
            ("sessions", self.sessions),
            ("fan_outs", self.fan_outs),
        ]
    }

    /// Writes the numbers.
    pub fn encode(&self, writer: &mut Writer) {
        for (_, value) in self.items() {
            writer.u64(value);
        }
    }

    /// Reads the numbers.
    ///
    /// # Errors
    /// When the bytes end too early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            destinations: reader.u64()?,
            routes: reader.u64()?,
            versions: reader.u64()?,
            names: reader.u64()?,
            paths: reader.u64()?,
            unattributed: reader.u64()?,
            in_flight: reader.u64()?,
            sessions: reader.u64()?,
            fan_outs: reader.u64()?,
        })
    }

    /// Adds another's numbers; a sum too large for 64 bits stays at the largest.
    pub fn add(&mut self, other: &Self) {
        self.destinations = self.destinations.saturating_add(other.destinations);
        self.routes = self.routes.saturating_add(other.routes);
        self.versions = self.versions.saturating_add(other.versions);
        self.names = self.names.saturating_add(other.names);
        self.paths = self.paths.saturating_add(other.paths);
        self.unattributed = self.unattributed.saturating_add(other.unattributed);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.fan_outs = self.fan_outs.saturating_add(other.fan_outs);
    }
}

/// Counts of one version on one route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VersionDelta {
    /// Name of the version.
    pub version: String,
    /// Exchanges that ended.
    pub exchanges: u64,
    /// Counts of the tokens, per signal in the plan's order.
    pub counts: Vec<Counts>,
    /// Those of the two halves in which the version is split, in the same order; empty where it is
    /// not split. An exchange whose half is not known is in none.
    pub halves: [Vec<Counts>; 2],
    /// The paths of the bodies that were looked at.
    pub bodies: Presence,
}

/// A host that has no half yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewHost {
    /// The destination.
    pub destination: String,
    /// The version that runs there.
    pub version: String,
    /// The host, as [`crate::count::halves::identity`] writes it.
    pub host: u64,
}

/// Counts of one route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteDelta {
    /// The route.
    pub key: RouteKey,
    /// The names behind the codes, per signal in the plan's order.
    pub names: Vec<NameTable>,
    /// The versions that answered.
    pub versions: Vec<VersionDelta>,
}

/// Counts of one worker between two ticks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Routes with traffic.
    pub routes: Vec<RouteDelta>,
    /// Hosts of split versions that have no half yet.
    pub new_hosts: Vec<NewHost>,
    /// What did not fit.
    pub overflow: Overflow,
}

impl Delta {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.overflow == Overflow::default()
    }

    /// Exchanges that ended, over all routes and versions.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.routes
            .iter()
            .flat_map(|route| &route.versions)
            .map(|version| version.exchanges)
            .fold(0, u64::saturating_add)
    }

    /// Writes the delta.
    pub fn encode(&self, writer: &mut Writer) {
        writer.length(self.routes.len());
        for route in &self.routes {
            route.key.encode(writer);
            writer.length(route.names.len());
            route.names.iter().for_each(|names| names.encode(writer));
            writer.length(route.versions.len());
            for version in &route.versions {
                writer.text(&version.version);
                writer.u64(version.exchanges);
                writer.length(version.counts.len());
                version
                    .counts
                    .iter()
                    .for_each(|counts| counts.encode(writer));
                for half in &version.halves {
                    writer.length(half.len());
                    half.iter().for_each(|counts| counts.encode(writer));
                }
                version.bodies.encode(writer);
            }
        }
        writer.length(self.new_hosts.len());
        for new in &self.new_hosts {
            writer.text(&new.destination);
            writer.text(&new.version);
            writer.u64(new.host);
        }
        self.overflow.encode(writer);
    }

    /// Reads a delta.
    ///
    /// # Errors
    /// When the bytes are not a delta.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut routes = Vec::new();
        for _ in 0..reader.length(MAX_ROUTES)? {
            let mut route = RouteDelta {
                key: RouteKey::decode(reader)?,
                ..RouteDelta::default()
            };
            for _ in 0..reader.length(MAX_SIGNALS)? {
                route.names.push(NameTable::decode(reader)?);
            }
            for _ in 0..reader.length(MAX_VERSIONS)? {
                let mut version = VersionDelta {
                    version: reader.text(MAX_VERSION_BYTES)?.to_owned(),
                    exchanges: exchanges(reader.u64()?)?,
                    ..VersionDelta::default()
                };
                for _ in 0..reader.length(MAX_SIGNALS)? {
                    version.counts.push(Counts::decode(reader)?);
                }
                for half in &mut version.halves {
                    for _ in 0..reader.length(MAX_SIGNALS)? {
                        half.push(Counts::decode(reader)?);
                    }
                }
                version.bodies = Presence::decode(reader)?;
                route.versions.push(version);
            }
            routes.push(route);
        }
        let mut new_hosts = Vec::new();
        for _ in 0..reader.length(MAX_HOSTS)? {
            new_hosts.push(NewHost {
                destination: reader.text(MAX_PART_BYTES)?.to_owned(),
                version: reader.text(MAX_VERSION_BYTES)?.to_owned(),
                host: reader.u64()?,
            });
        }
        let overflow = Overflow::decode(reader)?;
        Ok(Self {
            routes,
            new_hosts,
            overflow,
        })
    }
}

fn exchanges(value: u64) -> Result<u64, CodecError> {
    if value > MAX_EXCHANGES {
        return Err(CodecError::Unknown {
            what: "number of exchanges",
            value,
        });
    }
    Ok(value)
}
