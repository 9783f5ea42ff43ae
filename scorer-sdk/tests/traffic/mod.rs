//! Simulated traffic of one service behind the whole engine, for error rates and speed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may; clippy sees that only within test functions"
)]

use fastrand::Rng;
use scorer_sdk::facts::{Ending, Exchange};
use scorer_sdk::{Decision, Engine, Plan};
use std::sync::Arc;
use std::time::Duration;

/// The routes: equally busy.
const ROUTES: [(&str, &str); 6] = [
    ("GET", "/api/products"),
    ("GET", "/api/products/17"),
    ("GET", "/api/search"),
    ("POST", "/api/cart"),
    ("POST", "/api/checkout"),
    ("GET", "/api/account"),
];
const HEADERS: [&str; 4] = ["content-type", "etag", "cache-control", "vary"];
/// Share of stable's requests that fail in fair weather.
const ERROR_RATE: f64 = 0.01;

/// What the candidate does differently, and where.
#[derive(Clone, Copy)]
pub(crate) struct Harm {
    /// Odds of a failure, in multiples of stable's.
    pub(crate) error_odds: f64,
    /// Durations, in multiples of stable's.
    pub(crate) slower: f64,
    /// On the first so many of the routes.
    pub(crate) routes: usize,
}

/// A candidate that is as good as stable.
pub(crate) const NONE: Harm = Harm {
    error_odds: 1.0,
    slower: 1.0,
    routes: ROUTES.len(),
};

/// A service with two versions, and the engine that watches it.
pub(crate) struct World {
    engine: Engine,
    headers: Vec<&'static str>,
    random: Rng,
    now: Duration,
    /// Share of the requests that go to the candidate.
    pub(crate) share: f64,
    /// Factor on failures and durations of both versions.
    pub(crate) weather: f64,
    pub(crate) harm: Harm,
}

impl World {
    /// A world in which stable has been alone for some thousand requests. The config is the
    /// default one but for the names and the warm-up.
    pub(crate) fn new(seed: u64) -> Self {
        let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;
        let plan = Arc::new(Plan::from_json(config).unwrap());
        let mut world = Self {
            engine: Engine::new(plan, seed),
            headers: HEADERS.to_vec(),
            random: Rng::with_seed(seed),
            now: Duration::from_secs(1_700_000_000),
            share: 0.0,
            weather: 1.0,
            harm: NONE,
        };
        world.tick(4_000);
        world
    }

    fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.random.f64().max(1e-12), self.random.f64());
        (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }

    fn exchange(&mut self) {
        let candidate = self.random.f64() < self.share;
        let route = self.random.usize(..ROUTES.len());
        let (method, path) = ROUTES[route];
        let harm = if candidate && route < self.harm.routes {
            self.harm
        } else {
            NONE
        };
        let odds = harm.error_odds * ERROR_RATE / (1.0 - ERROR_RATE) * self.weather;
        let error = self.random.f64() < odds / (1.0 + odds);
        // Log-normal: a median of 20 ms, the 95th percentile 2.3 times that.
        let duration = 20_000.0 * (0.5 * self.normal()).exp() * harm.slower * self.weather;
        let exchange = Exchange {
            destination: "shop",
            route_name: "",
            method,
            path,
            version: if candidate { "v2" } else { "v1" },
            status: Some(if error { 500 } else { 200 }),
            grpc_status: None,
            ending: Ending::Complete,
            duration_us: Some(duration as u64),
            response_bytes: Some(self.random.u64(900..1_100)),
            content_type: "application/json",
            header_names: Some(&self.headers),
            ..Exchange::default()
        };
        self.engine.observe(&exchange);
    }

    /// A second with so many requests.
    pub(crate) fn tick(&mut self, requests: usize) -> Decision {
        for _ in 0..requests {
            self.exchange();
        }
        self.now += Duration::from_secs(1);
        self.engine.tick(self.now).remove(0)
    }
}
