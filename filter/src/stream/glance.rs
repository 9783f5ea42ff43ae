//! What is seen of an exchange that is only glanced at: whether it failed. Everything else is read
//! when it is over, and only of one that did.

use crate::host::{Host, properties};
use crate::stream::life::Stream;
use crate::stream::response::number;
use scorer_sdk::Sampling;
use scorer_sdk::telemetry::REPORT_HEADER;

/// Lowest status of a response that says that the request failed.
const FAILED: u16 = 400;

/// An exchange that is only glanced at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// How it was sampled.
    pub(super) sampling: Sampling,
    /// Its response's status, once its headers have come.
    pub(super) status: Option<u16>,
}

/// What looks in full have taught: what a glance has to look for beside the status.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    /// Whether responses are gRPC, whose status may come at their end.
    pub(super) has_grpc: bool,
    /// Whether responses bring reports of calls, which are not for clients.
    pub(super) has_reports: bool,
}

/// Reads the status of a response.
pub(super) fn at_response(host: &impl Host, habits: Habits) -> Option<u16> {
    if habits.has_reports {
        host.remove_response_header(REPORT_HEADER.name);
    }
    number(&host.response_header(":status")?)
}

/// Whether the current exchange, which is over, failed: no answer, one that was cut off, or one that
/// says so.
pub(super) fn has_failed(
    host: &impl Host,
    stream: &Stream,
    glance: Glance,
    habits: Habits,
) -> bool {
    let is_good = stream.is_whole && glance.status.is_some_and(|status| status < FAILED);
    let grpc_status = || host.number(properties::GRPC_STATUS).unwrap_or(0);
    !is_good || (habits.has_grpc && grpc_status() != 0)
}
