//! What one destination does, and how strange an exchange is beside it.

use super::clients::Clients;
use super::past::Past;
use super::table::{Counted, Table, Witness};
use super::value::{Score, Term, Usual, Value};
use super::{MAX_TERM_BITS, ROUTE};
use crate::codec::{CodecError, Reader, Writer};

/// Layout of the bytes.
const LAYOUT: u8 = 1;
/// About how many routes there could be.
const ROUTE_ALPHABET: f64 = 4096.0;
/// So many exchanges a route needs until its own past weighs as much as its destination's.
const ROUTE_PRIOR: f64 = 20.0;
/// In the first epochs everything is new, and so no surprise to rank later ones against.
const EPOCHS_WITHOUT_PAST: u32 = 2;
/// Bounds of the bounds, for bytes from outside.
const MOST_ROUTES: usize = 4096;
const MOST_FEATURES: usize = 4096;
const MOST_TOKENS: usize = 1024;

/// Bounds of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most routes, at most 4,096.
    pub routes: usize,
    /// Most features of a route, at most 4,096.
    pub features: usize,
    /// Most tokens of one feature on one route, at most 1,024.
    pub tokens: usize,
    /// Most tokens of all features and routes together; one takes 24 bytes.
    pub all_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            routes: 256,
            features: 48,
            tokens: 48,
            all_tokens: 32_768,
        }
    }
}

/// How a model learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Its bounds.
    pub limits: Limits,
    /// What is left of every count after an epoch, 0 to 1.
    pub keep: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            keep: 0.98,
        }
    }
}

/// Features of one route, or of all routes of the destination, and the past of their surprise.
#[derive(Debug, Clone, Default, PartialEq)]
struct Behaviour {
    /// Sorted by feature.
    features: Vec<(u64, Table)>,
    past: Past,
}

impl Behaviour {
    fn table(&self, feature: u64) -> Option<&Table> {
        let place = self
            .features
            .binary_search_by_key(&feature, |item| item.0)
            .ok()?;
        self.features.get(place).map(|item| &item.1)
    }

    /// The table of a feature, made when there is room for one more.
    fn table_mut(&mut self, feature: u64, limit: usize) -> Option<&mut Table> {
        let place = match self.features.binary_search_by_key(&feature, |item| item.0) {
            Ok(place) => place,
            Err(place) if self.features.len() < limit => {
                self.features.insert(place, (feature, Table::default()));
                place
            }
            Err(_) => return None,
        };
        self.features.get_mut(place).map(|item| &mut item.1)
    }

    fn tokens(&self) -> usize {
        self.features.iter().map(|item| item.1.len()).sum()
    }

    fn decay(&mut self, keep: f32) {
        for (_, table) in &mut self.features {
            table.decay(keep);
        }
        self.features.retain(|item| !item.1.is_empty());
        self.past.decay(keep);
    }

    fn merge(&mut self, other: &Self, epoch: u32, needed: u32, limits: Limits, room: &mut usize) {
        for (feature, table) in &other.features {
            if let Some(mine) = self.table_mut(*feature, limits.features) {
                mine.merge(table, epoch, needed, limits.tokens, room);
            }
        }
        self.past.merge(&other.past, epoch, needed);
    }

    fn encode(&self, writer: &mut Writer) {
        writer.length(self.features.len());
        for (feature, table) in &self.features {
            writer.u64(*feature);
            table.encode(writer);
        }
        self.past.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut features: Vec<(u64, Table)> = Vec::new();
        for _ in 0..reader.length(MOST_FEATURES)? {
            let feature = reader.u64()?;
            ascending(features.last().map(|item| item.0), feature)?;
            features.push((feature, Table::decode(reader, MOST_TOKENS)?));
        }
        Ok(Self {
            features,
            past: Past::decode(reader)?,
        })
    }
}

fn ascending(before: Option<u64>, key: u64) -> Result<(), CodecError> {
    match before {
        Some(before) if before >= key => Err(CodecError::Unknown {
            what: "key out of order",
            value: key,
        }),
        _ => Ok(()),
    }
}

/// What one destination does.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    settings: Settings,
    epoch: u32,
    clients: Clients,
    /// Which routes are asked for.
    asked: Table,
    /// What each does, sorted by route.
    routes: Vec<(u64, Behaviour)>,
    /// All routes together. Its past is of the bits above each route's mean, since routes differ in
    /// how regular they are.
    all: Behaviour,
    /// Sum of the bits of what the past holds, and how many that is.
    bits: f64,
    counted: f64,
    tokens: usize,
    overflow: u64,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let limits = settings.limits;
        Self {
            settings: Settings {
                limits: Limits {
                    routes: limits.routes.min(MOST_ROUTES),
                    features: limits.features.min(MOST_FEATURES),
                    tokens: limits.tokens.min(MOST_TOKENS),
                    all_tokens: limits.all_tokens,
                },
                keep: settings.keep.clamp(0.0, 1.0),
            },
            epoch: 0,
            clients: Clients::default(),
            asked: Table::default(),
            routes: Vec::new(),
            all: Behaviour::default(),
            bits: 0.0,
            counted: 0.0,
            tokens: 0,
            overflow: 0,
        }
    }

    /// How strange an exchange is. Nothing is learned from it.
    #[must_use]
    pub fn score(&self, route: u64, values: &[Value]) -> Score {
        let known = self.route(route);
        let share = self.asked.probability(route, 1.0 / ROUTE_ALPHABET);
        let mut terms = vec![Term {
            feature: ROUTE,
            token: route,
            probability: share,
            bits: bits(share),
            values: 1,
        }];
        let mut grouped: Vec<(u16, Term)> = Vec::new();
        for value in values {
            let term = self.term(known, value);
            match value.group {
                0 => terms.push(term),
                group => grouped.push((group, term)),
            }
        }
        terms.extend(groups(grouped));
        terms.sort_by(|a, b| b.bits.total_cmp(&a.bits));
        let bits: f64 = terms.iter().map(|term| term.bits).sum();
        let excess = bits - self.mean(known);
        Score {
            bits,
            excess,
            percentile: self.percentile(known, bits, excess),
            terms,
        }
    }

    /// How strange an exchange is beside all that came before it, and learns it.
    ///
    /// `client` stands for who sent it: the hash, under a secret of the caller's, of an address, a
    /// connection or a session; where none is known, a number that they all share.
    pub fn observe(&mut self, route: u64, values: &[Value], client: u64) -> Score {
        let score = self.score(route, values);
        self.learn(route, values, client, &score);
        score
    }

    fn learn(&mut self, route: u64, values: &[Value], client: u64, score: &Score) {
        if !self.clients.admit(client) {
            return;
        }
        let witness = Witness {
            epoch: self.epoch,
            client: 1 << ((client >> 32) % 16),
            needed: self.clients.needed(),
        };
        let limits = self.settings.limits;
        let mut left = limits.all_tokens.saturating_sub(self.tokens);
        let place = match self.asked.count(route, witness, limits.routes, true) {
            Counted::Old => self.routes.binary_search_by_key(&route, |item| item.0).ok(),
            Counted::New => Some(self.add_route(route)),
            Counted::Replaced(old) => {
                self.remove_route(old);
                Some(self.add_route(route))
            }
            Counted::NoRoom => None,
        };
        let mut lost = u64::from(place.is_none());
        let own = place
            .and_then(|place| self.routes.get_mut(place))
            .map(|item| &mut item.1);
        let with_past = self.epoch >= EPOCHS_WITHOUT_PAST;
        let pasts = [(&mut self.all, score.excess)]
            .into_iter()
            .chain(own.map(|own| (own, score.bits)));
        let mut added = 0;
        for (behaviour, bits) in pasts {
            for value in values {
                let counted = behaviour
                    .table_mut(value.feature, limits.features)
                    .map(|table| table.count(value.token, witness, limits.tokens, left > 0));
                match counted {
                    Some(Counted::New) => {
                        left -= 1;
                        added += 1;
                    }
                    Some(Counted::Old | Counted::Replaced(_)) => {}
                    Some(Counted::NoRoom) | None => lost += 1,
                }
            }
            if with_past {
                behaviour.past.count(bits, witness);
            }
        }
        if with_past {
            self.bits += score.bits;
            self.counted += 1.0;
        }
        self.tokens += added;
        self.overflow = self.overflow.saturating_add(lost);
    }

    /// Ends the epoch: counts lose a part, and what came in only this one can become known in the
    /// next.
    pub fn end_epoch(&mut self) {
        let keep = self.settings.keep;
        self.epoch = self.epoch.saturating_add(1);
        self.clients.end_epoch();
        self.asked.decay(keep);
        self.all.decay(keep);
        let asked = &self.asked;
        self.routes.retain(|item| asked.contains(item.0));
        for (_, behaviour) in &mut self.routes {
            behaviour.decay(keep);
        }
        self.bits *= f64::from(keep);
        self.counted *= f64::from(keep);
        self.count_tokens();
    }

    /// Adds what another model learned of the same destination, from other exchanges, up to the same
    /// epoch. What finds no room is left out.
    pub fn merge(&mut self, other: &Self) {
        let limits = self.settings.limits;
        self.epoch = self.epoch.max(other.epoch);
        self.clients.merge(&other.clients);
        let (epoch, needed) = (self.epoch, self.clients.needed());
        let mut room = limits.all_tokens.saturating_sub(self.tokens);
        self.asked
            .merge(&other.asked, epoch, needed, limits.routes, &mut {
                limits.routes
            });
        self.all.merge(&other.all, epoch, needed, limits, &mut room);
        for (route, behaviour) in &other.routes {
            let place = match self.routes.binary_search_by_key(route, |item| item.0) {
                Ok(place) => place,
                Err(_) if self.asked.contains(*route) => self.add_route(*route),
                Err(_) => continue,
            };
            if let Some((_, mine)) = self.routes.get_mut(place) {
                mine.merge(behaviour, epoch, needed, limits, &mut room);
            }
        }
        self.bits += other.bits;
        self.counted += other.counted;
        self.overflow = self.overflow.saturating_add(other.overflow);
        self.count_tokens();
    }

    /// What a feature usually is on a route, or on all where the route does not know; `None` where
    /// nothing is known yet. For an explanation: nothing of a score needs it.
    #[must_use]
    pub fn usual(&self, route: u64, feature: u64) -> Option<Usual> {
        if feature == ROUTE {
            return self.asked.usual();
        }
        self.route(route)
            .and_then(|known| known.table(feature)?.usual())
            .or_else(|| self.all.table(feature)?.usual())
    }

    /// Epochs that have ended.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Routes, features and tokens that found no room.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Tokens held now, of all routes and features.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Exchanges in the past that surprise is ranked in, decayed.
    #[must_use]
    pub fn past_exchanges(&self) -> f64 {
        self.counted
    }

    /// Writes the model.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u8(LAYOUT);
        writer.u32(self.epoch);
        self.clients.encode(writer);
        self.asked.encode(writer);
        self.all.encode(writer);
        writer.f64(self.bits);
        writer.f64(self.counted);
        writer.u64(self.overflow);
        writer.length(self.routes.len());
        for (route, behaviour) in &self.routes {
            writer.u64(*route);
            behaviour.encode(writer);
        }
    }

    /// Reads a model, which goes on under these settings.
    ///
    /// # Errors
    /// When the bytes are not a model.
    pub fn decode(reader: &mut Reader<'_>, settings: Settings) -> Result<Self, CodecError> {
        let layout = reader.u8()?;
        if layout != LAYOUT {
            return Err(CodecError::Unknown {
                what: "layout of a surprise model",
                value: u64::from(layout),
            });
        }
        let mut model = Self::new(settings);
        model.epoch = reader.u32()?;
        model.clients = Clients::decode(reader)?;
        model.asked = Table::decode(reader, MOST_ROUTES)?;
        model.all = Behaviour::decode(reader)?;
        for sum in [&mut model.bits, &mut model.counted] {
            *sum = reader.f64()?;
            if !sum.is_finite() {
                return Err(CodecError::Unknown {
                    what: "sum of surprise",
                    value: sum.to_bits(),
                });
            }
        }
        model.overflow = reader.u64()?;
        for _ in 0..reader.length(MOST_ROUTES)? {
            let route = reader.u64()?;
            ascending(model.routes.last().map(|item| item.0), route)?;
            model.routes.push((route, Behaviour::decode(reader)?));
        }
        model.count_tokens();
        Ok(model)
    }

    fn count_tokens(&mut self) {
        let routes: usize = self.routes.iter().map(|item| item.1.tokens()).sum();
        self.tokens = self.all.tokens() + routes;
    }

    fn route(&self, route: u64) -> Option<&Behaviour> {
        let place = self
            .routes
            .binary_search_by_key(&route, |item| item.0)
            .ok()?;
        self.routes.get(place).map(|item| &item.1)
    }

    /// Makes room for a route's behaviour and says where.
    fn add_route(&mut self, route: u64) -> usize {
        match self.routes.binary_search_by_key(&route, |item| item.0) {
            Ok(place) => place,
            Err(place) => {
                self.routes.insert(place, (route, Behaviour::default()));
                place
            }
        }
    }

    fn remove_route(&mut self, route: u64) {
        if let Ok(place) = self.routes.binary_search_by_key(&route, |item| item.0) {
            let (_, behaviour) = self.routes.remove(place);
            self.tokens = self.tokens.saturating_sub(behaviour.tokens());
        }
    }

    /// The probability from the route's table, backed off to that of all other routes. The route's
    /// own counts are no second witness, so they are taken out of the destination's. A route may be
    /// unlike all others, so half of what it backs off to is the uniform law.
    fn probability(&self, known: Option<&Behaviour>, value: &Value) -> f64 {
        let token = value.token;
        let uniform = 1.0 / f64::from(value.alphabet.max(1));
        let all = self.all.table(value.feature);
        let own = known.and_then(|known| known.table(value.feature));
        let others = match (all, own) {
            (None, _) => uniform,
            (Some(all), None) => all.probability(token, uniform),
            (Some(all), Some(own)) => all.probability_without(own, token, uniform),
        };
        let parent = f64::midpoint(others, uniform);
        own.map_or(parent, |own| own.probability(token, parent))
    }

    fn term(&self, known: Option<&Behaviour>, value: &Value) -> Term {
        let probability = self.probability(known, value);
        Term {
            feature: value.feature,
            token: value.token,
            probability,
            bits: bits(probability),
            values: 1,
        }
    }

    /// The mean of the bits on the route, drawn towards the destination's where the route's past is
    /// short.
    fn mean(&self, known: Option<&Behaviour>) -> f64 {
        let all = if self.counted > 0.0 {
            self.bits / self.counted
        } else {
            0.0
        };
        let (sum, count) = known.map_or((0.0, 0.0), |known| known.past.sum());
        (sum + ROUTE_PRIOR * all) / (count + ROUTE_PRIOR)
    }

    /// One minus the share of exchanges that are as strange or stranger. With `a` of `n` in the
    /// destination's past that share is `(a + 1)/(n + 1)`, the rank of the new one among all
    /// (conformal prediction). The route's own is backed off to it, and counts the new one as far as
    /// the route has a past.
    fn percentile(&self, known: Option<&Behaviour>, bits: f64, excess: f64) -> f64 {
        let (above, total) = self.all.past.at_least(excess);
        let all = (above + 1.0) / (total + 1.0);
        let (above, count) = known.map_or((0.0, 0.0), |known| known.past.at_least(bits));
        let itself = count / (count + ROUTE_PRIOR);
        let share = (above + itself + ROUTE_PRIOR * all) / (count + itself + ROUTE_PRIOR);
        1.0 - share.clamp(1.0 / (total + 1.0), 1.0)
    }
}

fn bits(probability: f64) -> f64 {
    (-libm::log2(probability)).clamp(0.0, MAX_TERM_BITS)
}

/// One term for each group. The odds against its values add up: `1/P = 1 + Σ (1/P_i − 1)`. So one
/// strange value keeps its bits however many usual ones stand beside it, and values that are strange
/// together, for one cause, add little; a group of more values has a larger `S`, but so has the past
/// that it is ranked in.
fn groups(mut grouped: Vec<(u16, Term)>) -> Vec<Term> {
    grouped.sort_by_key(|item| item.0);
    grouped
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|members| {
            let strangest = members
                .iter()
                .max_by(|a, b| a.1.bits.total_cmp(&b.1.bits))?;
            let odds: f64 = members
                .iter()
                .map(|item| libm::exp2(item.1.bits) - 1.0)
                .sum();
            Some(Term {
                bits: bits(1.0 / (1.0 + odds)),
                values: u16::try_from(members.len()).unwrap_or(u16::MAX),
                ..strangest.1
            })
        })
        .collect()
}
