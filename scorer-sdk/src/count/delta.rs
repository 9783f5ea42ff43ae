//! Deltas: counts on their way from a worker to whoever merges them.

use crate::count::rows::Rows;
use crate::limits::{MAX_ROUTES, MAX_SIGNALS, MAX_VERSION_BYTES, MAX_VERSIONS};
use crate::route::RouteKey;
use crate::shape::LeftOutCounts;
use crate::shape::presence::Presence;
use crate::sketch::{Counts, NameTable};
use crate::wire::codec::{CodecError, Damage, Reader, Writer};
use serde::Serialize;

/// Most exchanges of one version on one route: more than a worker can serve between two ticks, and
/// so few that no sum over a delta overflows.
pub const MAX_EXCHANGES: u64 = u32::MAX as u64;

/// What did not fit a bounded table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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
    /// Exchanges beyond what is judged in one tick: counted and not judged.
    pub rows: u64,
    /// Exchanges that were only glanced at ([`crate::Sampling`]) and ended well, or failed
    /// and were left out by chance: not counted otherwise.
    pub unlooked: u64,
    /// Exchanges that were only glanced at and failed, looked at when they were over: not counted
    /// otherwise.
    pub cases: u64,
}

impl Overflow {
    /// Names and numbers, for metrics.
    #[must_use]
    pub fn items(&self) -> [(&'static str, u64); 12] {
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
            ("rows", self.rows),
            ("unlooked", self.unlooked),
            ("cases", self.cases),
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
            rows: reader.u64()?,
            unlooked: reader.u64()?,
            cases: reader.u64()?,
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
        self.rows = self.rows.saturating_add(other.rows);
        self.unlooked = self.unlooked.saturating_add(other.unlooked);
        self.cases = self.cases.saturating_add(other.cases);
    }
}

/// Counts of one version on one route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VersionDelta {
    /// Name of the version.
    pub version: String,
    /// Exchanges that were looked at and ended.
    pub exchanges: u64,
    /// How many exchanges these stand for, where a part of all was looked at; [`MAX_EXCHANGES`] at
    /// most.
    pub stands_for: u64,
    /// Those that got a response, and those in flight for long that have one.
    pub answered: u64,
    /// Those that ended without a response, and those in flight for long that have none.
    pub unanswered: u64,
    /// Counts of the tokens, per signal in the plan's order.
    pub counts: Vec<Counts>,
    /// The exchanges that are judged one by one.
    pub rows: Rows,
    /// The paths of the bodies that were looked at.
    pub bodies: Presence,
    /// The bodies that were to be looked at and whose shape is unknown.
    pub bodies_left_out: LeftOutCounts,
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
    #[inline(never)]
    pub fn encode(&self, writer: &mut Writer) {
        writer.parts(&self.routes, RouteDelta::encode);
        self.overflow.encode(writer);
    }

    /// Reads a delta, all of it.
    ///
    /// # Errors
    /// When the bytes are not a delta, or one of its routes cannot be read.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut damage = Damage::default();
        let delta = Self::salvage(reader, &mut damage)?;
        damage.refuse(delta)
    }

    /// Reads a delta without the routes that cannot be read: `damage` counts them.
    ///
    /// # Errors
    /// When the bytes are not a delta.
    #[inline(never)]
    pub fn salvage(reader: &mut Reader<'_>, damage: &mut Damage) -> Result<Self, CodecError> {
        Ok(Self {
            routes: reader.parts(MAX_ROUTES, damage, RouteDelta::decode)?,
            overflow: Overflow::decode(reader)?,
        })
    }
}

impl RouteDelta {
    fn encode(&self, writer: &mut Writer) {
        self.key.encode(writer);
        writer.list(&self.names, NameTable::encode);
        writer.list(&self.versions, VersionDelta::encode);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            key: RouteKey::decode(reader)?,
            names: reader.list(MAX_SIGNALS, NameTable::decode)?,
            versions: reader.list(MAX_VERSIONS, VersionDelta::decode)?,
        })
    }
}

impl VersionDelta {
    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.version);
        for value in [
            self.exchanges,
            self.stands_for,
            self.answered,
            self.unanswered,
        ] {
            writer.u64(value);
        }
        writer.list(&self.counts, Counts::encode);
        self.rows.encode(writer);
        self.bodies.encode(writer);
        self.bodies_left_out.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            version: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            exchanges: exchanges(reader.u64()?)?,
            stands_for: exchanges(reader.u64()?)?,
            answered: exchanges(reader.u64()?)?,
            unanswered: exchanges(reader.u64()?)?,
            counts: reader.list(MAX_SIGNALS, Counts::decode)?,
            rows: Rows::decode(reader)?,
            bodies: Presence::decode(reader)?,
            bodies_left_out: LeftOutCounts::decode(reader)?,
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
