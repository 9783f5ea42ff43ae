//! What one destination does, and how strange an exchange is beside it.

mod bytes;
mod rank;

use super::ROUTE;
use super::behaviour::Behaviour;
use super::clients::Clients;
use super::settings::{Limits, MOST_FEATURES, MOST_ROUTES, MOST_TOKENS, Settings};
use super::table::{Counted, Table, Witness};
use super::value::{Score, Stage, Term, Usual, Value};
use rank::{bits, groups};

/// About how many routes there could be.
const ROUTE_ALPHABET: f64 = 4096.0;
/// In the first epochs everything is new, and so no surprise to rank later ones against.
const EPOCHS_WITHOUT_PAST: u32 = 2;

/// The bits of what a past holds, decayed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    bits: f64,
    counted: f64,
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
    /// One for each stage.
    sums: [Sum; Stage::ALL.len()],
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
            sums: [Sum::default(); Stage::ALL.len()],
            tokens: 0,
            overflow: 0,
        }
    }

    /// How strange an exchange is. Nothing is learned from it.
    #[must_use]
    pub fn score(&self, route: u64, values: &[Value]) -> Score {
        self.score_at(Stage::End, route, values)
    }

    /// How strange an exchange is by the values that are known at this stage, beside what was known
    /// of others then. Nothing is learned from it.
    #[must_use]
    #[inline]
    pub fn score_at(&self, stage: Stage, route: u64, values: &[Value]) -> Score {
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
        crate::order::sort_by(&mut terms, |a, b| b.bits.total_cmp(&a.bits));
        let bits: f64 = terms.iter().map(|term| term.bits).sum();
        let excess = bits - self.mean(known, stage);
        Score {
            bits,
            excess,
            percentile: self.percentile(known, stage, bits, excess),
            terms,
        }
    }

    /// How strange an exchange is beside all that came before it, and learns it.
    ///
    /// `client` stands for who sent it: the hash, under a secret of the caller's, of an address, a
    /// connection or a session; where none is known, a number that they all share.
    pub fn observe(&mut self, route: u64, values: &[Value], client: u64) -> Score {
        let score = self.score(route, values);
        self.learn(route, values, client, &[(Stage::End, &score)]);
        score
    }

    /// Learns an exchange that was scored before, at one stage or at both; `values` are all that
    /// came to be known of it. `client` is as in [`Model::observe`].
    pub fn learn(&mut self, route: u64, values: &[Value], client: u64, scores: &[(Stage, &Score)]) {
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
        let index = match self.asked.count(route, witness, limits.routes, true) {
            Counted::Old => self.routes.binary_search_by_key(&route, |item| item.0).ok(),
            Counted::New => Some(self.add_route(route)),
            Counted::Replaced(old) => {
                self.remove_route(old);
                Some(self.add_route(route))
            }
            Counted::NoRoom => None,
        };
        let mut lost = u64::from(index.is_none());
        let own = index
            .and_then(|index| self.routes.get_mut(index))
            .map(|item| &mut item.1);
        let with_past = self.epoch >= EPOCHS_WITHOUT_PAST;
        let of_all: fn(&Score) -> f64 = |score| score.excess;
        let behaviours = [(&mut self.all, of_all)]
            .into_iter()
            .chain(own.map(|own| -> (_, fn(&Score) -> f64) { (own, |score| score.bits) }));
        let mut added = 0;
        for (behaviour, bits) in behaviours {
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
            for (stage, score) in scores.iter().filter(|_| with_past) {
                behaviour.past_mut(*stage).count(bits(score), witness);
            }
        }
        for (stage, score) in scores.iter().filter(|_| with_past) {
            let sum = self.sum_mut(*stage);
            sum.bits += score.bits;
            sum.counted += 1.0;
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
        for sum in &mut self.sums {
            sum.bits *= f64::from(keep);
            sum.counted *= f64::from(keep);
        }
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
            let index = match self.routes.binary_search_by_key(route, |item| item.0) {
                Ok(index) => index,
                Err(_) if self.asked.contains(*route) => self.add_route(*route),
                Err(_) => continue,
            };
            if let Some((_, mine)) = self.routes.get_mut(index) {
                mine.merge(behaviour, epoch, needed, limits, &mut room);
            }
        }
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            sum.bits += other.bits;
            sum.counted += other.counted;
        }
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

    /// Exchanges in the past that the surprise of whole ones is ranked in, decayed.
    #[must_use]
    pub fn past_exchanges(&self) -> f64 {
        self.sum(Stage::End).counted
    }

    /// Sets the most tokens of all features and routes together, as where several models share one
    /// bound. What is there already stays.
    pub fn limit_tokens(&mut self, all_tokens: usize) {
        self.settings.limits.all_tokens = all_tokens;
    }

    fn sum(&self, stage: Stage) -> Sum {
        let [headers, end] = self.sums;
        match stage {
            Stage::Headers => headers,
            Stage::End => end,
        }
    }

    fn sum_mut(&mut self, stage: Stage) -> &mut Sum {
        let [headers, end] = &mut self.sums;
        match stage {
            Stage::Headers => headers,
            Stage::End => end,
        }
    }

    fn count_tokens(&mut self) {
        let routes: usize = self.routes.iter().map(|item| item.1.tokens()).sum();
        self.tokens = self.all.tokens() + routes;
    }

    fn route(&self, route: u64) -> Option<&Behaviour> {
        let index = self
            .routes
            .binary_search_by_key(&route, |item| item.0)
            .ok()?;
        self.routes.get(index).map(|item| &item.1)
    }

    /// Makes room for a route's behaviour and says where.
    fn add_route(&mut self, route: u64) -> usize {
        match self.routes.binary_search_by_key(&route, |item| item.0) {
            Ok(index) => index,
            Err(index) => {
                self.routes.insert(index, (route, Behaviour::default()));
                index
            }
        }
    }

    fn remove_route(&mut self, route: u64) {
        if let Ok(index) = self.routes.binary_search_by_key(&route, |item| item.0) {
            let (_, behaviour) = self.routes.remove(index);
            self.tokens = self.tokens.saturating_sub(behaviour.tokens());
        }
    }
}
