//! The tally: what one worker counts between two ticks.
//!
//! The hot path: one look-up of the route and one count per signal. No evidence is computed here
//! and nothing is shared; at each tick [`Tally::take`] hands over a [`Delta`].

use crate::config::Plan;
use crate::count::attempts::Attempts;
use crate::count::delta::{Delta, MAX_EXCHANGES, Overflow, RouteDelta, VersionDelta};
use crate::count::identity::{identity, short};
use crate::count::interner::Interner;
use crate::count::known_names::KnownNames;
use crate::count::rows::{NO_TOKEN, RowFacts, Rows};
use crate::count::sessions::{Answered, LastCall, OVER_AFTER_TICKS, Sessions};
use crate::exchange::{Ending, Exchange};
use crate::limits::{
    MAX_DESTINATIONS, MAX_ROUTES, MAX_ROWS, MAX_VERSION_BYTES, MAX_VERSIONS, idle_ticks_allowed,
};
use crate::route::key::MAX_PART_BYTES;
use crate::route::{Collapses, PathTree, RouteKey, TemplateId};
use crate::shape::presence::Presence;
use crate::shape::{LeftOutCounts, ShapeFacts};
use crate::signal::{Input, NameHasher, Token, next_call};
use crate::sketch::{Counts, NameTable, buckets, names};
use hashbrown::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub use crate::count::route_index::RouteIndex;

/// Route names of Envoy that are told apart.
const MAX_ROUTE_NAMES: u16 = 256;
/// Methods that are told apart.
const MAX_METHODS: u16 = 16;
/// Most cases among the rows of one tick: failures must leave room for the random part.
const MAX_CASES: usize = MAX_ROWS / 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    destination: u16,
    route_name: u16,
    method: u16,
    template: TemplateId,
}

#[derive(Debug)]
struct RouteTally {
    identity: Option<Identity>,
    key: RouteKey,
    /// What a call to it is called as somebody's next one.
    label: Rc<str>,
    /// Per signal, the names seen, with the hashes that stand for them.
    names: Vec<NameTable>,
    hashes: Vec<Vec<u64>>,
    versions: Vec<VersionTally>,
    idle_ticks: u32,
    /// Exchanges that it had in all ticks.
    exchanges: u64,
    /// Its template has fallen away: what was counted is handed over by the key of the template in
    /// its place, and the slot is free after that.
    is_gone: bool,
    generation: u32,
}

#[derive(Debug)]
struct VersionTally {
    version: Rc<str>,
    exchanges: u64,
    /// How many exchanges these stand for.
    stands_for: u64,
    /// Exchanges with a response and without one; see [`VersionDelta`].
    answered: u64,
    unanswered: u64,
    counts: Vec<Counts>,
    rows: Rows,
    bodies: Presence,
    bodies_left_out: LeftOutCounts,
}

impl VersionTally {
    fn new(version: &str, signals: usize, row_width: usize) -> Self {
        Self {
            version: version.into(),
            exchanges: 0,
            stands_for: 0,
            answered: 0,
            unanswered: 0,
            counts: vec![Counts::default(); signals],
            rows: Rows::new(row_width),
            bodies: Presence::default(),
            bodies_left_out: LeftOutCounts::default(),
        }
    }
}

/// What one worker counts between two ticks.
pub struct Tally {
    plan: Arc<Plan>,
    hasher: NameHasher,
    known_names: KnownNames,
    paths: PathTree,
    destinations: Interner,
    route_names: Interner,
    methods: Interner,
    indices: HashMap<Identity, u32, foldhash::fast::FixedState>,
    routes: Vec<RouteTally>,
    free: Vec<u32>,
    other: HashMap<u16, u32, foldhash::fast::FixedState>,
    overflow: Overflow,
    paths_overflowed: u64,
    /// Collapses of the path tree after which the routes without a template were let go.
    collapses: u64,
    scratch: String,
    /// Per signal, whether its token is in a row.
    is_in_row: Vec<bool>,
    /// Tokens in a row.
    row_width: usize,
    /// Rows since the last tick, over all routes.
    rows: usize,
    /// Those of them that are cases.
    cases: usize,
    /// Examples since the last tick.
    examples: usize,
    /// The tokens of the case that is being added.
    case_tokens: Vec<u16>,
    attempts: Attempts,
    /// The sessions, where the next call is looked at.
    sessions: Option<Sessions>,
    /// How long after a call its next one is charged, in microseconds.
    charged_after_us: u64,
    looks_at_bodies: bool,
}

impl Tally {
    /// An empty tally. `seed` keys its hash tables: where requests choose the keys, it should
    /// differ from process to process.
    #[must_use]
    #[inline(never)]
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        let state = || foldhash::fast::FixedState::with_seed(seed);
        let row_signals = plan.row_signals().to_vec();
        Self {
            hasher: NameHasher::new(seed),
            known_names: KnownNames::new(seed),
            paths: PathTree::new(plan.paths.clone(), seed),
            destinations: Interner::new(seed, MAX_DESTINATIONS as u16),
            route_names: Interner::new(seed, MAX_ROUTE_NAMES),
            methods: Interner::new(seed, MAX_METHODS),
            indices: HashMap::with_hasher(state()),
            routes: Vec::new(),
            free: Vec::new(),
            other: HashMap::with_hasher(state()),
            overflow: Overflow::default(),
            paths_overflowed: 0,
            collapses: 0,
            scratch: String::new(),
            row_width: row_signals.len(),
            is_in_row: (0..plan.signals.len())
                .map(|signal| row_signals.contains(&signal))
                .collect(),
            rows: 0,
            cases: 0,
            examples: 0,
            case_tokens: Vec::new(),
            attempts: Attempts::new(seed),
            looks_at_bodies: plan.paths_of_bodies().is_some(),
            charged_after_us: u64::from(OVER_AFTER_TICKS + 1)
                .saturating_mul(u64::try_from(plan.tick.as_micros()).unwrap_or(u64::MAX)),
            sessions: plan.wants(Input::Sessions).then(|| Sessions::new(seed)),
            plan,
        }
    }

    /// The route of a request, known before its response is. `None` when there are more destinations
    /// than the tally holds; that is counted.
    #[inline]
    pub fn route(
        &mut self,
        destination: &str,
        route_name: &str,
        method: &str,
        path: &str,
    ) -> Option<RouteIndex> {
        let method = known_method(method);
        let route_name = if self.plan.routes_by_name {
            route_name
        } else {
            ""
        };
        let Some(number) = self.destinations.number(destination) else {
            self.overflow.destinations += 1;
            return None;
        };
        let identity = match (
            self.route_names.number(route_name),
            self.methods.number(method),
        ) {
            (Some(route_name), Some(method)) => Some(Identity {
                destination: number,
                route_name,
                method,
                template: self.paths.resolve(path),
            }),
            _ => None,
        };
        if let Some(index) = identity.and_then(|identity| self.indices.get(&identity)) {
            return self.index(*index);
        }
        if self.indices.len() >= self.plan.max_routes {
            self.let_go();
        }
        // A longer template could be written into a delta and not be read from it, and more routes
        // neither: those that were let go are in it as well.
        let has_room = |identity: &Identity| {
            self.indices.len() < self.plan.max_routes
                && self.routes.len() - self.free.len() < MAX_ROUTES - MAX_DESTINATIONS
                && self.paths.text(identity.template).len() <= MAX_PART_BYTES
        };
        match identity.filter(has_room) {
            Some(identity) => {
                let key = RouteKey {
                    destination: destination.to_owned(),
                    route_name: route_name.to_owned(),
                    method: method.to_owned(),
                    path: self.paths.text(identity.template).to_owned(),
                };
                let index = self.add_route(Some(identity), key);
                self.indices.insert(identity, index);
                self.index(index)
            }
            None => {
                self.overflow.routes += 1;
                if let Some(index) = self.other.get(&number) {
                    return self.index(*index);
                }
                let index = self.add_route(None, RouteKey::other(destination));
                self.other.insert(number, index);
                self.index(index)
            }
        }
    }

    /// How often its path tree has collapsed.
    #[must_use]
    pub fn path_collapses(&self) -> u64 {
        self.paths.collapses()
    }

    /// Where its path tree has collapsed.
    #[must_use]
    pub fn where_collapsed(&self) -> Collapses {
        self.paths.where_collapsed()
    }

    /// Lets the path tree collapse where those of others have.
    pub fn follow_collapses(&mut self, others: &Collapses) {
        self.paths.follow(others);
    }

    fn add_route(&mut self, identity: Option<Identity>, key: RouteKey) -> u32 {
        let signals = self.plan.signals.len();
        let mut route = RouteTally {
            identity,
            label: key.label().into(),
            key,
            names: vec![NameTable::default(); signals],
            hashes: vec![Vec::new(); signals],
            versions: Vec::new(),
            idle_ticks: 0,
            exchanges: 0,
            is_gone: false,
            generation: 0,
        };
        if let Some(slot) = self.free.pop()
            && let Some(old) = self.routes.get_mut(slot as usize)
        {
            route.generation = old.generation.wrapping_add(1);
            *old = route;
            return slot;
        }
        self.routes.push(route);
        (self.routes.len() - 1) as u32
    }

    #[inline]
    fn index(&self, slot: u32) -> Option<RouteIndex> {
        let generation = self.routes.get(slot as usize)?.generation;
        Some(RouteIndex { slot, generation })
    }

    /// The key of the route at an index; `None` when the index is stale.
    #[must_use]
    #[inline]
    pub fn key(&self, index: RouteIndex) -> Option<&RouteKey> {
        self.routes
            .get(index.slot as usize)
            .filter(|route| route.generation == index.generation)
            .map(|route| &route.key)
    }

    /// Method and path template of the route at an index, as [`RouteKey::label`] writes them;
    /// `None` when the index is stale.
    #[must_use]
    pub fn label(&self, index: RouteIndex) -> Option<&str> {
        self.routes
            .get(index.slot as usize)
            .filter(|route| route.generation == index.generation)
            .map(|route| &*route.label)
    }

    /// Counts an exchange on its route. An exchange that is still in flight counts as a latency
    /// alone; when it ends, [`Exchange::duration_us`] is `None` and the rest is counted.
    #[inline]
    pub fn record(&mut self, exchange: &Exchange<'_>) {
        if let Some(index) = self.route(
            exchange.destination,
            exchange.route_name,
            exchange.method,
            exchange.path,
        ) {
            self.record_at(index, exchange);
        }
    }

    /// Counts an exchange whose route is known already.
    #[inline]
    pub fn record_at(&mut self, index: RouteIndex, exchange: &Exchange<'_>) {
        if exchange.is_case {
            self.record_case(index, exchange);
            return;
        }
        let answered = Answered {
            host: host(exchange),
            is_surplus: exchange.is_surplus,
        };
        let version = self.count(index, exchange, answered);
        let (Some(version), Some(session), Some(sessions)) =
            (version, exchange.session, &mut self.sessions)
        else {
            return;
        };
        if exchange.ending == Ending::InFlight {
            return;
        }
        if let Some(route) = self.routes.get(index.slot as usize) {
            sessions.follow(
                (session, answered),
                index,
                &version,
                &route.label,
                &mut self.overflow.sessions,
            );
        }
    }

    /// Adds the row of a case: its tokens that only a failure has, and no counts, so that shares and
    /// volumes are those of the random part.
    fn record_case(&mut self, index: RouteIndex, exchange: &Exchange<'_>) {
        self.overflow.cases += 1;
        let Some(route) = self
            .routes
            .get_mut(index.slot as usize)
            .filter(|route| route.generation == index.generation)
        else {
            return;
        };
        let signals = self.plan.signals.as_slice();
        self.case_tokens.clear();
        for (signal, _) in signals
            .iter()
            .zip(&self.is_in_row)
            .filter(|(_, is_in_row)| **is_in_row)
        {
            let token = match (signal.failed(), signal.read(exchange, &self.hasher)) {
                (Some(has_failed), Some(Token::Number(code))) if has_failed(code) => code,
                _ => NO_TOKEN,
            };
            self.case_tokens.push(token);
        }
        if self.case_tokens.iter().all(|token| *token == NO_TOKEN)
            || exchange.is_surplus
            || !self.attempts.is_trial(exchange)
        {
            return;
        }
        if self.rows >= MAX_ROWS || self.cases >= MAX_CASES {
            self.overflow.rows += 1;
            return;
        }
        let Some(tally) = version(
            &mut route.versions,
            exchange.version,
            signals.len(),
            self.row_width,
        ) else {
            self.overflow.versions += 1;
            return;
        };
        self.rows += 1;
        self.cases += 1;
        tally.rows.begin(row_facts(exchange, host(exchange)));
        for token in &self.case_tokens {
            tally.rows.token(*token);
        }
        if self.plan.examples {
            tally.rows.offer(exchange, false, &mut self.examples);
        }
    }

    /// Charges a call, or the end of the session, to whatever served the one before.
    fn count_next_call(&mut self, last: &LastCall, next: &str) {
        if self.key(last.route).is_none() {
            // The route has been dropped meanwhile.
            return;
        }
        let exchange = Exchange {
            version: &last.version,
            ending: Ending::InFlight,
            session: Some(last.session),
            lasted_us: Some(self.charged_after_us),
            next_call: Some(next),
            ..Exchange::default()
        };
        self.count(last.route, &exchange, last.answered);
    }

    /// Counts the tokens of an exchange and gives its version, if it is one that is counted.
    #[inline]
    fn count(
        &mut self,
        index: RouteIndex,
        exchange: &Exchange<'_>,
        answered: Answered,
    ) -> Option<Rc<str>> {
        let Some(route) = self
            .routes
            .get_mut(index.slot as usize)
            .filter(|route| route.generation == index.generation)
        else {
            self.overflow.routes += 1;
            return None;
        };
        let signals = self.plan.signals.as_slice();
        let Some(tally) = version(
            &mut route.versions,
            exchange.version,
            signals.len(),
            self.row_width,
        ) else {
            self.overflow.versions += 1;
            return None;
        };
        if exchange.ending != Ending::InFlight {
            tally.exchanges += 1;
            tally.stands_for = tally
                .stands_for
                .saturating_add(u64::from(exchange.sampling.looks_one_in.max(1)))
                .min(MAX_EXCHANGES);
        }
        match (exchange.status, exchange.next_call) {
            // The call was counted before.
            (_, Some(_)) => {}
            (Some(_), None) => tally.answered += 1,
            (None, None) => tally.unanswered += 1,
        }
        let mut has_body = false;
        if self.looks_at_bodies && !exchange.is_error() && exchange.may_have_content() {
            let left_out = exchange.body.and_then(ShapeFacts::left_out);
            match (exchange.body_left_out.or(left_out), exchange.body) {
                (Some(reason), _) => tally.bodies_left_out.count(reason),
                (None, Some(facts)) => {
                    tally.bodies.record(facts);
                    has_body = true;
                }
                (None, None) => {}
            }
        }
        let row = if answered.is_surplus || !self.attempts.is_trial(exchange) {
            None
        } else if self.rows >= MAX_ROWS {
            self.overflow.rows += 1;
            None
        } else {
            self.rows += 1;
            tally.rows.begin(row_facts(exchange, answered.host));
            if self.plan.examples {
                tally.rows.offer(exchange, has_body, &mut self.examples);
            }
            Some(&mut tally.rows)
        };
        let mut row = row;
        let tables = route.names.iter_mut().zip(route.hashes.iter_mut());
        for (index, (signal, (table, hashes))) in signals.iter().zip(tables).enumerate() {
            let is_in_row = self.is_in_row.get(index).copied().unwrap_or(false);
            let mut note = |code| {
                if let Some(row) = row.as_deref_mut().filter(|_| is_in_row) {
                    row.token(code);
                }
            };
            let token = self
                .known_names
                .read(index, signal.as_ref(), exchange, &self.hasher);
            let code = match token {
                None => {
                    note(NO_TOKEN);
                    continue;
                }
                Some(Token::Number(code)) => code,
                Some(Token::Name(hash)) => {
                    let code = match hashes.iter().position(|known| *known == hash) {
                        Some(index) => index as u16,
                        // To write a name that finds no room would cost more than to count it.
                        None if hashes.len() >= names::MAX_NAMES => names::OTHER,
                        None => {
                            self.scratch.clear();
                            signal.describe(exchange, &mut self.scratch);
                            let code = table.code(&self.scratch);
                            if usize::from(code) == hashes.len() && code != names::OTHER {
                                hashes.push(hash);
                            }
                            code
                        }
                    };
                    self.overflow.names += u64::from(code == names::OTHER);
                    code
                }
            };
            if let Some(counts) = tally.counts.get_mut(index) {
                counts.add(code, 1);
            }
            note(code);
        }
        Some(Rc::clone(&tally.version))
    }

    /// Counts a request that could not be given to a version: answered by the proxy itself, or by
    /// an upstream that belongs to no version.
    pub fn record_unattributed(&mut self) {
        self.overflow.unattributed += 1;
    }

    /// Counts an exchange that was only glanced at and is no case: it ended well, or chance left it
    /// out. Nothing of its route or version is known.
    pub fn record_unlooked(&mut self) {
        self.overflow.unlooked = self.overflow.unlooked.saturating_add(1);
    }

    /// Hands over what was counted since the last call.
    #[inline(never)]
    pub fn take(&mut self) -> Delta {
        let over = self.sessions.as_mut().map(Sessions::expire);
        for (last, next) in over.into_iter().flatten() {
            self.count_next_call(&last, next.as_deref().unwrap_or(next_call::NO_CALL));
        }
        let mut delta = Delta {
            overflow: self.overflow,
            ..Delta::default()
        };
        let overflowed = self.paths.overflowed();
        delta.overflow.paths = overflowed - self.paths_overflowed;
        self.paths_overflowed = overflowed;
        self.overflow = Overflow::default();
        (self.rows, self.cases, self.examples) = (0, 0, 0);
        self.attempts.tick();
        self.let_go();
        for route in &mut self.routes {
            let versions: Vec<VersionDelta> = route
                .versions
                .iter_mut()
                .filter(|tally| {
                    tally.exchanges > 0
                        || !tally.rows.is_empty()
                        || tally.counts.iter().any(|counts| !counts.is_empty())
                })
                .map(|tally| VersionDelta {
                    version: tally.version.as_ref().to_owned(),
                    exchanges: core::mem::take(&mut tally.exchanges),
                    stands_for: core::mem::take(&mut tally.stands_for),
                    answered: core::mem::take(&mut tally.answered),
                    unanswered: core::mem::take(&mut tally.unanswered),
                    counts: tally.counts.iter_mut().map(core::mem::take).collect(),
                    rows: core::mem::replace(&mut tally.rows, Rows::new(self.row_width)),
                    bodies: core::mem::take(&mut tally.bodies),
                    bodies_left_out: core::mem::take(&mut tally.bodies_left_out),
                })
                .collect();
            if route.versions.len() >= MAX_VERSIONS {
                // Versions come and go for weeks: silent ones make room.
                route
                    .versions
                    .retain(|tally| versions.iter().any(|seen| *seen.version == *tally.version));
            }
            if versions.is_empty() {
                route.idle_ticks = route.idle_ticks.saturating_add(1);
            } else {
                route.idle_ticks = 0;
                route.exchanges = versions
                    .iter()
                    .fold(route.exchanges, |sum, it| sum.saturating_add(it.exchanges));
                let (key, names) = (route.key.clone(), route.names.clone());
                delta.routes.push(RouteDelta {
                    key,
                    names,
                    versions,
                });
            }
        }
        self.make_room();
        delta
    }

    /// Takes the places of the routes whose templates have fallen away in a collapse. What was
    /// counted of them since the last tick goes to the templates in their place.
    fn let_go(&mut self) {
        let collapses = self.paths.collapses();
        if self.collapses == collapses {
            return;
        }
        for route in &mut self.routes {
            if let Some(identity) = route.identity
                && !self.paths.stands(identity.template)
            {
                self.indices.remove(&identity);
                let template = self.paths.resolve(&route.key.path);
                let path = self.paths.text(template);
                if path.len() <= MAX_PART_BYTES {
                    path.clone_into(&mut route.key.path);
                }
                (route.identity, route.is_gone) = (None, true);
            }
        }
        // Not those of now: to find a template in place of another may have been a collapse as well.
        self.collapses = collapses;
    }

    /// Frees the slots of the routes that were let go and, where the table is full, of those that
    /// have been idle for longer than they are worth.
    fn make_room(&mut self) {
        let is_full = self.indices.len() >= self.plan.max_routes;
        for (slot, route) in (0..).zip(&mut self.routes) {
            let is_idle = is_full && route.idle_ticks >= idle_ticks_allowed(route.exchanges);
            let identity = route.identity.take_if(|_| is_idle);
            if let Some(identity) = identity {
                self.indices.remove(&identity);
            }
            if identity.is_some() || route.is_gone {
                route.is_gone = false;
                route.versions = Vec::new();
                route.generation = route.generation.wrapping_add(1);
                self.free.push(slot);
            }
        }
    }
}

/// The tally of a version, a new one if there is room.
#[inline]
fn version<'a>(
    versions: &'a mut Vec<VersionTally>,
    name: &str,
    signals: usize,
    row_width: usize,
) -> Option<&'a mut VersionTally> {
    let known = versions.iter().position(|known| *known.version == *name);
    let index = match known {
        Some(index) => index,
        // A longer name could be written into a delta and not be read from it.
        None if name.len() <= MAX_VERSION_BYTES && versions.len() < MAX_VERSIONS => {
            versions.push(VersionTally::new(name, signals, row_width));
            versions.len() - 1
        }
        None => return None,
    };
    versions.get_mut(index)
}

/// Stands for the host that answered; 0 where it is not known.
#[inline]
fn host(exchange: &Exchange<'_>) -> u32 {
    match exchange.upstream_host {
        "" => 0,
        host => short(identity(host.as_bytes())),
    }
}

/// What a row says of an exchange beside its tokens.
#[inline]
fn row_facts(exchange: &Exchange<'_>, host: u32) -> RowFacts {
    RowFacts {
        host,
        session: exchange.session.map_or(0, short),
        lasted: exchange
            .lasted_us
            .or(exchange.duration_us)
            .map_or(0, buckets::code),
        is_case: exchange.is_case,
        is_further: exchange.ending == Ending::InFlight,
        odds: exchange.sampling.odds(),
    }
}

/// Unknown methods share one name, so that clients cannot fill the table.
#[inline]
fn known_method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" => method,
        _ => "*",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampling;
    use crate::testing::exchange;
    use crate::wire::codec::{CodecError, Reader, Writer};

    fn tally(config: &str) -> Tally {
        Tally::new(Arc::new(Plan::from_json(config).unwrap()), 7)
    }

    /// The delta as whoever merges it reads it.
    fn read_back(delta: &Delta) -> Result<Delta, CodecError> {
        let mut writer = Writer::new();
        delta.encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        let read = Delta::decode(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    #[test]
    fn every_exchange_is_in_exactly_one_delta() {
        let mut tally = tally("{}");
        for number in 0..10 {
            tally.record(&Exchange {
                path: &format!("/api/products/{number}"),
                ..exchange()
            });
        }
        assert_eq!(tally.take().exchanges(), 10);
        assert!(tally.take().is_empty());
    }

    #[test]
    fn a_case_is_a_row_of_its_outcome_and_no_count() {
        let mut tally = tally("{}");
        let sampling = Sampling {
            looks_one_in: 7,
            cases_one_in: 1,
        };
        let looked_at = Exchange {
            sampling,
            ..exchange()
        };
        let case = Exchange {
            status: Some(503),
            is_case: true,
            ..looked_at
        };
        tally.record(&looked_at);
        tally.record(&case);
        // Cut off by the client, with a status that says nothing: no question asks for that.
        tally.record(&Exchange {
            status: Some(200),
            ..case
        });
        tally.record_unlooked();
        let delta = tally.take();
        assert_eq!(read_back(&delta).as_ref(), Ok(&delta));
        assert_eq!((delta.overflow.unlooked, delta.overflow.cases), (1, 2));
        let version = &delta.routes[0].versions[0];
        assert_eq!((version.exchanges, version.answered), (1, 1));
        assert_eq!(version.stands_for, 7);
        assert!(version.counts.iter().all(|counts| counts.total() <= 1));
        let rows: Vec<(bool, u16, usize)> = version
            .rows
            .iter()
            .map(|(facts, tokens)| {
                let told = tokens.iter().filter(|token| **token != NO_TOKEN);
                (facts.is_case, facts.odds, told.count())
            })
            .collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].2 > 1, "{rows:?}");
        assert_eq!((rows[0].0, rows[1]), (false, (true, 7 * 16, 1)));
    }

    #[test]
    fn cases_leave_room_for_the_random_part() {
        let mut tally = tally("{}");
        for _ in 0..=MAX_CASES {
            tally.record(&Exchange {
                status: Some(503),
                is_case: true,
                ..exchange()
            });
        }
        tally.record(&exchange());
        let delta = tally.take();
        let rows = &delta.routes[0].versions[0].rows;
        assert_eq!((rows.len(), delta.overflow.rows), (MAX_CASES + 1, 1));
        assert_eq!(delta.exchanges(), 1);
    }

    #[test]
    fn an_exchange_in_flight_counts_as_a_latency_and_later_as_the_rest() {
        let mut tally = tally("{}");
        tally.record(&Exchange {
            ending: Ending::InFlight,
            status: None,
            ..exchange()
        });
        let delta = tally.take();
        assert_eq!(delta.exchanges(), 0);
        let counted: Vec<u64> = delta.routes[0].versions[0]
            .counts
            .iter()
            .map(Counts::total)
            .collect();
        assert_eq!(counted.iter().sum::<u64>(), 1);
        tally.record(&Exchange {
            duration_us: None,
            ..exchange()
        });
        let delta = tally.take();
        assert_eq!(delta.exchanges(), 1);
        let now: Vec<u64> = delta.routes[0].versions[0]
            .counts
            .iter()
            .map(Counts::total)
            .collect();
        assert!(
            counted
                .iter()
                .zip(&now)
                .all(|(before, after)| before * after == 0)
        );
    }

    #[test]
    fn routes_beyond_the_limit_share_one_and_are_counted() {
        let mut tally = tally(r#"{"routes": {"max": 2}}"#);
        for name in ["a", "b", "c", "d"] {
            tally.record(&Exchange {
                path: &format!("/{name}"),
                ..exchange()
            });
        }
        let delta = tally.take();
        assert_eq!((delta.exchanges(), delta.overflow.routes), (4, 2));
        assert_eq!(delta.routes.len(), 3);
        assert_eq!(delta.routes[2].key, RouteKey::other("shop"));
    }

    #[test]
    fn an_idle_route_makes_room_and_its_old_index_is_stale() {
        let mut tally = tally(r#"{"routes": {"max": 1}}"#);
        let old = tally.route("shop", "", "GET", "/a").unwrap();
        for _ in 0..=idle_ticks_allowed(0) {
            tally.take();
        }
        let new = tally.route("shop", "", "GET", "/b").unwrap();
        assert_eq!(tally.key(new).unwrap().path, "/b");
        assert_eq!(tally.key(old), None);
    }

    #[test]
    fn paths_that_are_made_up_take_no_place_of_a_route_that_is_asked_for_now_and_then() {
        let mut tally = tally(r#"{"routes": {"max": 20}}"#);
        let record = |tally: &mut Tally, path: &str| {
            tally.record(&Exchange { path, ..exchange() });
        };
        for _ in 0..30 {
            record(&mut tally, "/api/rare");
        }
        let rare = tally.route("shop", "", "GET", "/api/rare").unwrap();
        for parent in 0..8 {
            // Too few under one name for a collapse.
            for made_up in 0..30 {
                record(&mut tally, &format!("/scan/m{parent}z/n{made_up}z"));
            }
            let full = tally.take();
            assert!(full.overflow.routes > 0 && tally.indices.len() == 20);
            // Those that nobody asks for again make room, among themselves.
            for _ in 0..idle_ticks_allowed(1) {
                tally.take();
            }
            assert_eq!(tally.indices.len(), 1);
            assert_eq!(tally.key(rare).unwrap().path, "/api/rare");
        }
        record(&mut tally, "/api/new");
        assert_eq!(tally.take().routes[0].key.path, "/api/new");
    }

    /// The exchanges of each route of a delta.
    fn by_path(delta: &Delta) -> Vec<(&str, u64)> {
        let of_route = |route: &RouteDelta| route.versions.iter().map(|it| it.exchanges).sum();
        let mut found: Vec<(&str, u64)> = delta
            .routes
            .iter()
            .map(|route| (route.key.path.as_str(), of_route(route)))
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_collapse_frees_the_places_of_its_names_and_their_counts_go_to_the_template() {
        let mut tally = tally(r#"{"routes": {"max": 40}}"#);
        for name in 0..60 {
            for path in [
                format!("/users/name-{name}z"),
                format!("/shops/in-town-{name}z/open"),
            ] {
                tally.record(&Exchange {
                    path: &path,
                    ..exchange()
                });
            }
        }
        tally.record(&Exchange {
            path: "/slow",
            ..exchange()
        });
        let delta = tally.take();
        assert_eq!(read_back(&delta).as_ref(), Ok(&delta));
        assert_eq!(delta.exchanges(), 121);
        let paths = by_path(&delta);
        let sum = |path: &str| -> u64 {
            let of_path = paths.iter().filter(|(known, _)| *known == path);
            of_path.map(|(_, exchanges)| exchanges).sum()
        };
        assert_eq!(delta.overflow.routes, sum("{other}"));
        assert!(delta.overflow.routes <= 24, "{paths:?}");
        assert_eq!(
            sum("/users/{x}") + sum("/shops/{x}/open") + sum("{other}"),
            120,
            "{paths:?}"
        );
        assert_eq!(sum("/slow"), 1);
        // Nothing of them is left.
        assert_eq!(tally.indices.len(), 3);
        assert!(tally.take().is_empty());
    }

    #[test]
    fn whatever_collapses_a_delta_has_no_more_routes_than_can_be_read() {
        let mut tally = tally(r#"{"routes": {"max": 1700}}"#);
        for parent in 0..120 {
            for name in 0..40 {
                tally.record(&Exchange {
                    path: &format!("/of{}z/p{parent}z/name-{name}z", parent / 20),
                    ..exchange()
                });
            }
        }
        let delta = tally.take();
        assert_eq!(delta.exchanges(), 4_800);
        assert!(delta.routes.len() <= MAX_ROUTES);
        assert_eq!(read_back(&delta), Ok(delta));
    }

    #[test]
    fn what_finds_no_place_in_a_table_is_judged_by_everything_else() {
        let mut tally = tally(r#"{"routes": {"max": 1}}"#);
        for number in 0..200_u32 {
            tally.record(&Exchange {
                path: if number == 0 { "/first" } else { "/second" },
                header_names: Some(&vec![format!("x-{number}")]),
                content_type: &format!("text/of-{number}"),
                upstream_host: &format!("10.0.0.{number}"),
                ..exchange()
            });
        }
        let delta = tally.take();
        assert_eq!(delta.overflow.routes, 199);
        assert!(delta.overflow.names >= 2 * (199 - 64));
        let signals = &tally.plan.signals;
        let row_signals = tally.plan.row_signals().to_vec();
        let told = |version: &VersionDelta| {
            let rows = version.rows.iter();
            assert_eq!(version.rows.len() as u64, version.exchanges);
            rows.map(|(_, tokens)| {
                (0..row_signals.len())
                    .filter(|column| tokens[*column] != NO_TOKEN)
                    .map(|column| signals[row_signals[column]].name())
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
        };
        // An exchange whose names all had room, and what it told.
        let whole = &told(&delta.routes[0].versions[0])[0];
        assert!(whole.len() > 3, "{whole:?}");
        let others = told(&delta.routes[1].versions[0]);
        assert_eq!(others.len(), 199);
        assert!(others.iter().all(|signals| signals == whole));
    }

    #[test]
    fn a_long_path_costs_its_own_route_and_not_the_delta() {
        let mut tally = tally("{}");
        // Nine segments that belong to no class: as a template they would take 549 bytes.
        let path = format!("/{}", ["a-name-of-some-words"; 3].concat()).repeat(9);
        tally.record(&Exchange {
            path: &path,
            ..exchange()
        });
        tally.record(&exchange());
        let delta = tally.take();
        assert_eq!(delta.overflow.routes, 1);
        assert_eq!(delta.exchanges(), 2);
        assert!(delta.routes.iter().any(|route| route.key.path == "{other}"));
        assert_eq!(read_back(&delta), Ok(delta));
    }

    #[test]
    fn a_delta_that_is_written_can_be_read_whatever_came_in() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut text = |most: usize| {
            let length = random.usize(..most);
            let parts = ["/", "g", "ö", "7", "%2f", "a-b", ",", "{", "\u{0}"];
            let mut text = String::new();
            while text.len() < length {
                text.push_str(parts[random.usize(..parts.len())]);
            }
            text
        };
        for _ in 0..200 {
            let mut tally = tally(r#"{"routes": {"max": 20, "by_name": true}, "body": {}}"#);
            for _ in 0..20 {
                let [destination, route_name, method, path, version, host, kind] =
                    [700, 700, 40, 1_500, 200, 100, 2_000].map(&mut text);
                tally.record(&Exchange {
                    destination: &destination,
                    route_name: &route_name,
                    method: &method,
                    path: &format!("/{path}"),
                    version: &version,
                    upstream_host: &host,
                    content_type: &kind,
                    header_names: Some(&vec![kind.clone(), host.clone()]),
                    session: Some(path.len() as u64),
                    ..exchange()
                });
            }
            let delta = tally.take();
            assert_eq!(read_back(&delta), Ok(delta));
        }
    }

    #[test]
    fn a_delta_survives_the_codec_and_a_damaged_one_is_refused() {
        let mut tally = tally("{}");
        tally.record(&exchange());
        tally.record_unattributed();
        let delta = tally.take();
        assert_eq!(read_back(&delta).as_ref(), Ok(&delta));
        let mut writer = Writer::new();
        delta.encode(&mut writer);
        let bytes = writer.into_bytes();
        for end in 0..bytes.len() {
            assert!(Delta::decode(&mut Reader::new(&bytes[..end])).is_err());
        }
    }
}
