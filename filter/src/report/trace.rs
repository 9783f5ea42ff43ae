//! What a trace finds of an exchange, in the filter state of its stream.
//!
//! The proxy ends a span before its log phase. So all of this is left when the response's headers
//! have come, and so is the surprise, which access logs find in the same place
//! ([`super::access_log`]).

use crate::host::{Host, properties};
use crate::sync::publication::Directive;

/// Leaves which version answered the current request and, during a rollout, what is thought of the
/// candidate. `directive` is that of the version's destination.
pub fn leave_verdict(host: &impl Host, directive: Option<&Directive>, version: &str) {
    host.set_property(properties::VERSION, version.as_bytes());
    if let Some(directive) = directive
        && let Some(verdict) = directive.verdict
    {
        host.set_property(properties::CANDIDATE, directive.candidate.as_bytes());
        host.set_property(properties::VERDICT, verdict.name().as_bytes());
    }
}
