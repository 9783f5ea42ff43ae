//! What is seen of an exchange that is only glanced at: whether it failed. Everything else is read
//! when it is over, and only of one that failed. Each header that is asked for costs the proxy some
//! thousands of instructions, so a glance asks for as few as it can.

use super::exchange::{self, Phase};
use super::life::Stream;
use super::local_reply;
use super::request;
use super::response::{REFUSED, Response, number};
use super::timing::Timing;
use crate::host::{Host, properties};
use core::time::Duration;
use scorer_sdk::telemetry::REPORT_HEADER;
use scorer_sdk::wire::envoy;
use scorer_sdk::{Ending, Sampling};

/// Lowest status of a response that says that the request failed.
const FAILED: u16 = 400;
/// Where Envoy's router leaves a path that it rewrites.
const ORIGINAL_PATH: &str = "x-envoy-original-path";

/// An exchange that is only glanced at.
#[derive(Debug)]
pub(super) struct Glance {
    /// How it was sampled.
    pub(super) sampling: Sampling,
    /// The request's path, where routers rewrite it before the exchange is over.
    path: Option<Vec<u8>>,
    /// Its response's status, once its headers have come.
    pub(super) status: Option<u16>,
    /// Whether the response is gRPC, where that was looked at.
    is_grpc: bool,
}

/// What looks in full have taught: what a glance has to look for beside the status.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    /// Whether responses are gRPC, whose status may come at their end.
    pub(super) has_grpc: bool,
    /// Whether responses bring reports of calls, which are not for clients.
    pub(super) has_reports: bool,
    /// Whether responses bring headers that only Serin may set, and trailers.
    pub(super) has_forged: bool,
    pub(super) has_forged_trailers: bool,
    /// Whether callers' proxies count the attempts of a request.
    pub(super) has_attempts: bool,
    /// Whether the router rewrites paths.
    pub(super) has_rewrites: bool,
}

impl Habits {
    /// Looks at the end of an exchange whose request had this path: has the router rewritten it?
    /// Envoy's router leaves a header then, unless it is told not to.
    pub(super) fn learn_rewrites(&mut self, host: &impl Host, path: &str) {
        let now = || host.request_header(":path");
        self.has_rewrites |= host.request_header(ORIGINAL_PATH).is_some()
            || now().is_some_and(|now| request::text(&now) != path);
    }
}

/// Whether the current request is none of Serin's business, as a look in full would find.
pub fn is_left_alone(host: &impl Host) -> bool {
    let asks_for_upgrade = host.request_header("upgrade").is_some();
    let method = host.request_header(":method").unwrap_or_default();
    envoy::is_left_alone(&method, asks_for_upgrade, None)
}

impl Glance {
    /// At the request's headers.
    pub(super) fn at_request(host: &impl Host, sampling: Sampling, habits: Habits) -> Self {
        let path = || host.request_header(":path");
        Self {
            sampling,
            path: habits.has_rewrites.then(path).flatten(),
            status: None,
            is_grpc: false,
        }
    }

    /// The path that the request came with, as far as it is known not to be the present one.
    pub(super) fn original_path(&mut self, host: &impl Host) -> Option<Vec<u8>> {
        self.path
            .take()
            .or_else(|| host.request_header(ORIGINAL_PATH))
    }

    /// Whether a guard may have given this answer as a refusal, as far as a glance can tell.
    pub(super) fn may_be_refusal(&self) -> bool {
        self.status == Some(REFUSED) || self.is_grpc
    }

    /// Reads the response's headers. Whether this is HTTP still.
    pub(super) fn read_response(&mut self, host: &impl Host, habits: Habits) -> bool {
        if habits.has_reports {
            host.remove_response_header(REPORT_HEADER.name);
        }
        let status = host.response_header(":status");
        self.status = status.and_then(|status| number(&status));
        self.is_grpc = habits.has_grpc
            && host
                .response_header("content-type")
                .is_some_and(|kind| envoy::is_grpc(&kind));
        self.status != Some(envoy::SWITCHING)
    }

    /// Whether the exchange, which is over, failed, and a version was asked: no answer, one that was
    /// cut off, or one that says so.
    pub(super) fn has_failed(&self, host: &impl Host, stream: &Stream) -> bool {
        let Some(status) = self.status else {
            return true;
        };
        let answer = || Response::with_status(host, status);
        if status >= FAILED {
            return !local_reply::is_own(host, &answer());
        }
        if !stream.is_whole {
            let timing = Timing::new(Duration::ZERO, true);
            let ending = exchange::ending(host, stream, &answer(), &timing, Phase::End);
            return ending == Ending::Reset;
        }
        // Of an answer that is not gRPC the proxy makes a gRPC status up.
        self.is_grpc && host.number(properties::GRPC_STATUS).unwrap_or(0) != 0
    }
}
