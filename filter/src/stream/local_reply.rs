//! Whether the proxy answered by itself, so that the answer is not the version's.
//!
//! Envoy's router puts [`SERVICE_TIME`] on what an upstream answered. Only an answer without it is
//! looked at further: a proxy may be told not to send such headers (`suppress_envoy_headers`). Then
//! `response.code_details` says `via_upstream` where an upstream answered, and of Envoy's own answers
//! the response flags tell two kinds apart:
//!
//! - The version could not be reached, did not answer or had no room: the user got an error because
//!   the request was sent there, and sending it elsewhere would have helped. This is the version's.
//!   An overflow is among them: a breaker counts what waits for this version's hosts.
//! - Everything else was decided before the version was asked: rate limits, authorization, injected
//!   faults, RBAC and other filters, redirects and direct answers.

use super::response::Response;
use crate::host::{Host, properties};
use scorer_sdk::wire::envoy::{Flags, VIA_UPSTREAM};

/// Header with the upstream's time, from Envoy's router.
pub(super) const SERVICE_TIME_NAME: &str = "x-envoy-upstream-service-time";
pub(super) const SERVICE_TIME: &[u8] = SERVICE_TIME_NAME.as_bytes();

/// Whether the proxy made this answer without the version. From the response's headers on.
pub(super) fn is_own(host: &impl Host, response: &Response) -> bool {
    let Some(status) = response.status.filter(|_| !response.has_service_time) else {
        return false;
    };
    match host.property(properties::CODE_DETAILS) {
        None => false,
        Some(details) if details == VIA_UPSTREAM.as_bytes() => false,
        Some(details) => {
            let flags = host.number(properties::RESPONSE_FLAGS).unwrap_or(0);
            Flags(flags).is_proxys_own(Some(&details), status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Header, Headers};
    use crate::stream::response::Reader;
    use crate::testing::FakeHost;
    use scorer_sdk::signal::NameHasher;

    fn read(headers: &[Header<'_>]) -> Response {
        Reader::new(NameHasher::new(1)).read(&Headers::of(headers.iter().copied()))
    }

    fn is_own_with(service_time: bool, status: &str, details: &str, flags: u64) -> bool {
        let host = FakeHost::default();
        host.set_property(properties::CODE_DETAILS, details.as_bytes());
        host.set_property(properties::RESPONSE_FLAGS, &flags.to_le_bytes());
        let mut headers: Vec<Header<'_>> = vec![(b":status", status.as_bytes())];
        if service_time {
            headers.push((SERVICE_TIME, b"3"));
        }
        is_own(&host, &read(&headers))
    }

    #[test]
    fn what_the_proxy_decides_is_its_own_and_what_the_upstream_fails_at_is_not() {
        for (status, details, flags) in [
            ("429", "local_rate_limited", 0x800),
            ("403", "ext_authz_denied", 0x1000),
            ("503", "fault_filter_abort", 0x400),
            ("504", "fault_filter_abort", 0x400),
            ("403", "rbac_access_denied_matched_policy[none]", 0),
            ("301", "direct_response", 0),
            ("408", "stream_idle_timeout", 0x1_0000),
            ("200", "lua_response", 0),
        ] {
            assert!(is_own_with(false, status, details, flags), "{details}");
        }
        for (status, details, flags) in [
            ("503", "upstream_reset_before_response_started{}", 0x20),
            ("503", "no_healthy_upstream", 0x2),
            (
                "503",
                "upstream_reset_before_response_started{overflow}",
                0x80,
            ),
            ("504", "response_timeout", 0x4),
            ("504", "stream_idle_timeout", 0x1_0000),
            ("429", "via_upstream", 0),
            ("429", "via_upstream", 0x800),
        ] {
            assert!(!is_own_with(false, status, details, flags), "{details}");
        }
    }

    #[test]
    fn an_upstreams_answer_costs_no_property() {
        let host = FakeHost::default();
        let answer = read(&[(b":status", b"500"), (SERVICE_TIME, b"3")]);
        assert!(!is_own(&host, &answer));
        assert!(!is_own(&host, &Response::default()));
        assert!(host.0.borrow().asked.is_empty());
    }
}
