//! The routes of one destination: how often each is asked for, and how the baseline answers it.
//!
//! Each keeps its sums three times: for the past, for the last windows, and for the open window.

use super::attribution::{Attribution, RouteTokens, TokenCounts, attribute};
use super::cause::USUAL;
use super::detector::finite;
use super::report::Settings;
use crate::route::RouteKey;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Routes that are told apart; the others count for traffic and errors.
const MAX_ROUTES: usize = 64;
/// Routes whose part of the traffic has a series; the others share one.
pub(super) const MIX_ROUTES: usize = 8;
/// Timed exchanges of a route's past that are needed before others are compared with its mean.
const TIMED_NEEDED: f64 = 20.0;
/// Share of the last windows' sums that is kept at each new one, for explanations.
pub(super) const RECENT: f64 = 0.875;

/// Sums over exchanges of one route. Decayed in the past, whole numbers in a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    /// Requests to both versions.
    pub(super) requests: f64,
    /// Exchanges of the baseline, and those of them that failed or were slow.
    pub(super) exchanges: f64,
    pub(super) failures: f64,
    pub(super) slow: f64,
    /// Exchanges of the baseline whose time is known, and the sum of the logs of their times.
    pub(super) timed: f64,
    pub(super) log_time: f64,
}

impl Sums {
    fn fields(&mut self) -> [&mut f64; 6] {
        [
            &mut self.requests,
            &mut self.exchanges,
            &mut self.failures,
            &mut self.slow,
            &mut self.timed,
            &mut self.log_time,
        ]
    }

    fn decay_and_add(&mut self, keep: f64, mut window: Self) {
        for (sum, value) in self.fields().into_iter().zip(window.fields()) {
            *sum = *sum * keep + *value;
        }
    }

    /// Mean of the logs of the times; `None` while too little is known.
    pub(super) fn usual_log_time(&self) -> Option<f64> {
        (self.timed >= TIMED_NEEDED).then(|| self.log_time / self.timed)
    }

    /// Exchanges of the baseline that neither failed nor were slow.
    fn usual(&self) -> f64 {
        (self.exchanges - self.failures - self.slow).max(0.0)
    }
}

/// One route.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RouteSums {
    pub(super) key: RouteKey,
    /// That of the key, which is compared first; not part of the state.
    number: u64,
    pub(super) past: Sums,
    recent: Sums,
    pub(super) window: Sums,
}

/// The routes that are told apart; the first [`MIX_ROUTES`] keep their index.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Routes(Vec<RouteSums>);

impl Routes {
    /// The route of this key, a new one if there is room.
    pub(super) fn find(&mut self, key: &RouteKey) -> Option<&mut RouteSums> {
        let number = key.number();
        let is_it = |route: &RouteSums| route.number == number && route.key == *key;
        let index = match self.0.iter().position(is_it) {
            Some(index) => index,
            None => self.add(key)?,
        };
        self.0.get_mut(index)
    }

    fn add(&mut self, key: &RouteKey) -> Option<usize> {
        if self.0.len() >= MAX_ROUTES {
            // A route with hardly any requests makes room, unless it has a series of its own.
            let (least, requests) = self
                .0
                .iter()
                .map(|route| route.past.requests + route.window.requests)
                .enumerate()
                .skip(MIX_ROUTES)
                .min_by(|one, other| one.1.total_cmp(&other.1))?;
            if requests >= 1.0 {
                return None;
            }
            self.0.swap_remove(least);
        }
        self.0.push(RouteSums {
            key: key.clone(),
            number: key.number(),
            past: Sums::default(),
            recent: Sums::default(),
            window: Sums::default(),
        });
        Some(self.0.len() - 1)
    }

    /// The route whose part of the traffic has the series at `index`, if it has one of its own.
    pub(super) fn of_mix(&self, index: usize) -> Option<&RouteSums> {
        self.0.get(index).filter(|_| index < MIX_ROUTES)
    }

    /// The routes whose part of the traffic has a series of its own.
    pub(super) fn of_all_mix(&self) -> impl Iterator<Item = &RouteKey> {
        self.0.iter().take(MIX_ROUTES).map(|route| &route.key)
    }

    /// Adds the window to the last ones, and to the past if it `learns`.
    pub(super) fn learn(&mut self, learns: bool) {
        let keep = 1.0 - 1.0 / Settings::default().memory;
        for route in &mut self.0 {
            route.recent.decay_and_add(RECENT, route.window);
            if learns {
                route.past.decay_and_add(keep, route.window);
            }
        }
    }

    /// Begins another window.
    pub(super) fn begin_window(&mut self) {
        for route in &mut self.0 {
            route.window = Sums::default();
        }
    }

    /// The last windows against the past, by route and by what became of the requests.
    pub(super) fn attribution(&self) -> Attribution {
        let labels: Vec<String> = self.0.iter().map(|route| route.key.label()).collect();
        let tokens: Vec<[TokenCounts<'_>; 3]> = self
            .0
            .iter()
            .map(|route| {
                let (now, past) = (&route.recent, &route.past);
                [
                    TokenCounts {
                        token: "failures",
                        now: now.failures,
                        past: past.failures,
                    },
                    TokenCounts {
                        token: "answers that take twice as long",
                        now: now.slow,
                        past: past.slow,
                    },
                    TokenCounts {
                        token: USUAL,
                        now: now.usual(),
                        past: past.usual(),
                    },
                ]
            })
            .collect();
        let routes: Vec<RouteTokens<'_>> = labels
            .iter()
            .zip(&tokens)
            .map(|(route, tokens)| RouteTokens { route, tokens })
            .collect();
        attribute(&routes)
    }

    /// Appends the state.
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.length(self.0.len());
        for route in &self.0 {
            route.key.encode(writer);
            for mut sums in [route.past, route.recent, route.window] {
                sums.fields()
                    .into_iter()
                    .for_each(|value| writer.f64(*value));
            }
        }
    }

    /// Reads what [`Routes::encode`] wrote.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut routes = Vec::new();
        for _ in 0..reader.length(MAX_ROUTES)? {
            let key = RouteKey::decode(reader)?;
            let mut sums = [Sums::default(); 3];
            for value in sums.iter_mut().flat_map(Sums::fields) {
                *value = finite(reader)?;
            }
            let [past, recent, window] = sums;
            routes.push(RouteSums {
                number: key.number(),
                key,
                past,
                recent,
                window,
            });
        }
        Ok(Self(routes))
    }
}
