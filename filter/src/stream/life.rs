//! The life of one stream: what is kept of it from its first header to its end.

use super::body::Watch;
use super::fan_out;
use super::glance::Glance;
use super::in_flight::{InFlight, Table};
use super::request::Request;
use super::response::Response;
use scorer_sdk::count::tally::RouteIndex;
use scorer_sdk::surprise::Score;

/// One request as the filter follows it.
#[derive(Debug, Default)]
pub struct Stream {
    pub(super) context_id: u32,
    pub(super) request: Request,
    pub(super) flight: Flight,
    /// What is seen of an exchange that is not looked at in full.
    pub(super) glance: Option<Glance>,
    /// The response's headers, once they have come.
    response: Option<Response>,
    /// Bytes of the response's body that have passed.
    pub(super) body_bytes: u64,
    /// Whether all of the response has come, so that nothing can have cut it off.
    pub(super) is_whole: bool,
    /// Whether the guard answers in the application's place.
    pub(crate) refused: bool,
    pub(super) body: Option<Watch>,
    /// Names of the slots in which the calls for this request are gathered.
    pub(super) gathered_as: fan_out::Names,
    /// The calls that were made for it, as the callee's sidecar reported them.
    pub(super) report: Option<String>,
    /// The route that an early score has found.
    pub(super) index: Option<RouteIndex>,
    /// How strange it was when the response's headers came, where this is wanted so early.
    pub(super) early: Option<Score>,
}

/// Where the part of a request is that has to be found at a tick.
#[derive(Debug, Default)]
pub(super) enum Flight {
    /// The request is not watched: left alone, refused, or never seen.
    #[default]
    Unwatched,
    /// At this index of the worker's table.
    Listed(u32),
    /// The table was full.
    Unlisted(Box<InFlight>),
}

impl Stream {
    /// A stream that has only begun.
    #[must_use]
    pub fn new(context_id: u32) -> Self {
        Self {
            context_id,
            ..Self::default()
        }
    }

    /// Notes that `bytes` of the response's body have passed, and whether the response ended with
    /// them.
    pub fn passed(&mut self, bytes: usize, end_of_stream: bool) {
        self.body_bytes = self.body_bytes.saturating_add(bytes as u64);
        self.is_whole |= end_of_stream;
    }

    /// Whether the exchange is only glanced at.
    #[must_use]
    pub fn is_glanced_at(&self) -> bool {
        self.glance.is_some()
    }

    /// Whether the exchange will be counted.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !matches!(self.flight, Flight::Unwatched)
    }

    /// Keeps what the end of the stream needs of the response, for an exchange that will be counted.
    pub(crate) fn keep(&mut self, mut response: Response) {
        if self.is_watched() {
            response.forget_values();
            self.response = Some(response);
        }
    }

    /// The response that was kept; an empty one where none came.
    pub(crate) fn take_response(&mut self) -> Response {
        self.response.take().unwrap_or_default()
    }

    /// Which attempt of its request this is, from the caller's proxy.
    pub(crate) fn attempt(&self) -> Option<u64> {
        self.request.attempt
    }

    /// The part that the table of exchanges in flight has.
    pub(super) fn flight<'a>(&'a self, table: &'a Table) -> Option<&'a InFlight> {
        match &self.flight {
            Flight::Unwatched => None,
            Flight::Listed(index) => table.get(*index),
            Flight::Unlisted(flight) => Some(flight),
        }
    }

    /// That part, to be changed.
    pub(super) fn flight_mut<'a>(&'a mut self, table: &'a mut Table) -> Option<&'a mut InFlight> {
        match &mut self.flight {
            Flight::Unwatched => None,
            Flight::Listed(index) => table.get_mut(*index),
            Flight::Unlisted(flight) => Some(flight),
        }
    }

    /// Takes that part out of the table: the exchange is no longer watched.
    pub(super) fn land(&mut self, table: &mut Table) -> Option<InFlight> {
        match core::mem::take(&mut self.flight) {
            Flight::Unwatched => None,
            Flight::Listed(index) => table.remove(index),
            Flight::Unlisted(flight) => Some(*flight),
        }
    }
}
