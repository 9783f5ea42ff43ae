//! What an instance really got, per route: the truth that metrics are compared with.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hyper::StatusCode;

use super::Route;

/// The count of one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteCounts {
    /// Requests whose headers came in, answered or not.
    pub received: u64,
    /// Those of `received` that carried an `x-serin-steer` header.
    pub steered: u64,
    /// Answers handed to the connection. Fewer than received while requests are under way, and
    /// for good where the client went away before its answer.
    pub answered: u64,
    /// Answers with 5xx, refusals included.
    pub errors: u64,
    /// When the last request came in.
    pub last: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Served {
    routes: Mutex<BTreeMap<Route, RouteCounts>>,
}

impl Served {
    pub(super) fn new() -> Self {
        let routes = Route::ALL.map(|route| (route, RouteCounts::default()));
        Self {
            routes: Mutex::new(routes.into()),
        }
    }

    pub(super) fn arrived(&self, route: Route, steered: bool) {
        self.change(route, |counts| {
            counts.received += 1;
            counts.steered += u64::from(steered);
            counts.last = Some(Instant::now());
        });
    }

    pub(super) fn answered(&self, route: Route, status: StatusCode) {
        self.change(route, |counts| {
            counts.answered += 1;
            counts.errors += u64::from(status.is_server_error());
        });
    }

    pub(super) fn snapshot(&self) -> BTreeMap<Route, RouteCounts> {
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, route: Route, change: impl FnOnce(&mut RouteCounts)) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        change(routes.entry(route).or_default());
    }
}
