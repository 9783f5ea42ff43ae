//! Users who come back: a cookie, a cart, and what they ask for next.

use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::json;

use super::{LoadOptions, Mix, collections};
use crate::shop::Route;

/// Users on the site at one time.
const SESSIONS: usize = 200;
/// Most ids are asked for seldom, as in a real shop: products are drawn towards low ids.
const PRODUCTS: f64 = 200.0;

/// One request that a user makes.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) route: Route,
    pub(super) path: String,
    pub(super) cookie: String,
    /// Stands for the session.
    pub(super) session: u64,
    pub(super) body: Option<String>,
    /// Whether the user tries new releases.
    pub(super) beta: bool,
    /// Who is to be told of the answer.
    pub(super) user: Option<usize>,
}

impl Visit {
    pub(super) fn of_user(mut self, user: usize) -> Self {
        self.user = Some(user);
        self
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Session {
    id: u64,
    /// Lines in the cart; a user who has none does not look at it and cannot pay.
    items: u32,
    beta: bool,
}

pub(super) struct Sessions {
    sessions: Vec<Session>,
    beta_share: f64,
    collections: bool,
}

impl Sessions {
    pub(super) fn new(options: &LoadOptions, rng: &mut SmallRng) -> Self {
        let beta_share = options.beta_share;
        // Half of the users are in the middle of a visit, so that the mix holds from the start.
        let session = |_| Session {
            id: rng.random(),
            items: rng.random_range(0..4),
            beta: rng.random::<f64>() < beta_share,
        };
        Self {
            sessions: (0..SESSIONS).map(session).collect(),
            beta_share,
            collections: options.collections,
        }
    }

    /// The next request: a user at random, a route by weight. Where the route needs a cart and
    /// the user has none, some other user with a cart asks; a user who has paid leaves and
    /// another one comes.
    pub(super) fn next(&mut self, mix: &Mix, rng: &mut SmallRng) -> Visit {
        let route = mix.draw(rng);
        let start = rng.random_range(0..self.sessions.len());
        let needs_cart = matches!(route, Route::Cart | Route::Checkout);
        let (before, from) = self.sessions.split_at_mut(start);
        let mut users = from.iter_mut().chain(before);
        let mut someone = Session {
            id: rng.random(),
            items: 1,
            beta: rng.random::<f64>() < self.beta_share,
        };
        // When nobody has a cart, somebody comes with one from another day.
        let user = users
            .find(|user| !needs_cart || user.items > 0)
            .unwrap_or(&mut someone);
        let mut visit = user.draw(route, rng);
        if self.collections && route == Route::Cart {
            visit.path = collections::path(rng);
        }
        match route {
            Route::AddToCart => user.items = (user.items + 1).min(20),
            Route::Checkout => {
                *user = Session {
                    id: rng.random(),
                    items: 0,
                    beta: rng.random::<f64>() < self.beta_share,
                }
            }
            _ => {}
        }
        visit
    }
}

impl Session {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    fn draw(&self, route: Route, rng: &mut SmallRng) -> Visit {
        let skewed = rng.random::<f64>().powi(2) * PRODUCTS;
        let product = skewed as u32 + 1;
        let path = match route {
            Route::Product => format!("/api/products/{product}"),
            Route::Cart => format!("/api/cart/{}", self.cart()),
            _ => route.template().to_owned(),
        };
        let quantity = if route == Route::AddToCart {
            rng.random_range(1..4)
        } else {
            1
        };
        self.visit(route, path, self.body(route, product, quantity))
    }

    /// What the session sends with a request; `product` and `quantity` go into the cart.
    pub(super) fn body(&self, route: Route, product: u32, quantity: u32) -> Option<String> {
        let cart = || self.cart();
        match route {
            Route::AddToCart => {
                Some(json!({"cart": cart(), "product": product, "quantity": quantity}).to_string())
            }
            Route::Checkout => {
                Some(json!({"cart": cart(), "payment": {"kind": "card"}}).to_string())
            }
            _ => None,
        }
    }

    pub(super) fn visit(&self, route: Route, path: String, body: Option<String>) -> Visit {
        Visit {
            route,
            path,
            cookie: format!("session={:016x}", self.id),
            session: self.id,
            body,
            beta: self.beta,
            user: None,
        }
    }

    /// A UUID of the cart, made from the session's id.
    fn cart(&self) -> String {
        let low = self.id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (a, b, c) = (self.id >> 32, (self.id >> 16) & 0xffff, self.id & 0x0fff);
        let (d, e) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }
}
