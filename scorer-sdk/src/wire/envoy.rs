//! What Envoy says of an exchange. The filter hears it in properties and headers, the command reads
//! it in an access log; both ask here what it means, so that a replay judges what was judged live.
//! Which version a cluster is says [`Plan::upstream`](crate::Plan::upstream).

use crate::exchange::Ending;
use core::ops::RangeInclusive;

/// The statuses that Envoy lets pass, whether or not they mean anything.
pub const STATUSES: RangeInclusive<u16> = 100..=999;
/// Status of a response after which the connection is no longer HTTP.
pub const SWITCHING: u16 = 101;
/// What `response.code_details` says of an upstream's answer.
pub const VIA_UPSTREAM: &str = "via_upstream";

/// The gRPC statuses by number, in lower case and without underscores.
const GRPC_NAMES: [&str; 17] = [
    "ok",
    "canceled",
    "unknown",
    "invalidargument",
    "deadlineexceeded",
    "notfound",
    "alreadyexists",
    "permissiondenied",
    "resourceexhausted",
    "failedprecondition",
    "aborted",
    "outofrange",
    "unimplemented",
    "internal",
    "unavailable",
    "dataloss",
    "unauthenticated",
];
/// What gRPC's clients make of a status that is none.
const GRPC_UNKNOWN: u16 = 2;

/// Envoy's response flags: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u64);

/// The flags as access logs write them, from the lowest bit up.
const FLAG_NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The proxy's limits on idle and on long streams (SI, UMSDR).
const LIMITS: u64 = 0x1_0000 | 0x8_0000;
/// The proxy reset the stream (LR), the upstream did (UR) or closed it (UC) or broke the protocol
/// (UPE), or it took too long.
const RESET: u64 = 0x8 | 0x10 | 0x40 | 0x80_0000 | LIMITS;
/// The client closed the connection (DC), broke the protocol (DPE) or reset the stream (DR), as
/// HTTP/2 clients do that no longer want an answer.
const CLIENT_GONE: u64 = 0x4000 | 0x4_0000 | 0x1000_0000;
/// The upstream had no healthy host (UH), did not answer in time (UT), was reset (LR, UR), could not
/// be reached (UF), closed (UC), had no room (UO), failed at each retry (URX), took too long (UMSDR),
/// broke the protocol (UPE) or has no address (DF).
const NO_ANSWER: u64 =
    0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x8000 | 0x8_0000 | 0x80_0000 | 0x400_0000;
/// The proxy did not ask the upstream. It fails its own health check (LH), found no route (NR), no
/// cluster (NC) or no filter's config (NFCF), injected a fault (FI), limited the rate (RL, RLSE), did
/// not authorize (UAEX), refused the request's headers (IH), answered from a cache (RFCF), or sheds
/// load (OM, DO, UDO).
const OWN: u64 = 0x1
    | 0x100
    | 0x400
    | 0x800
    | 0x1000
    | 0x2000
    | 0x2_0000
    | 0x10_0000
    | 0x20_0000
    | 0x100_0000
    | 0x200_0000
    | 0x800_0000
    | 0x2000_0000;

impl Flags {
    /// The flags that a text names, with commas between them; other names are left out.
    #[must_use]
    pub fn named(text: &str) -> Self {
        let bit = |name: &str| FLAG_NAMES.iter().position(|known| *known == name.trim());
        Self(
            text.split(',')
                .filter_map(bit)
                .fold(0, |flags, bit| flags | 1 << bit),
        )
    }

    fn has_any(self, of: u64) -> bool {
        self.0 & of != 0
    }

    /// How an exchange with these flags ended. `is_answered` says that the version's part was over,
    /// where this is known: a client that reads too slowly runs into the same limits as a version
    /// that stops.
    #[must_use]
    pub fn ending(self, status: Option<u16>, is_answered: bool) -> Ending {
        if self.has_any(CLIENT_GONE) || (is_answered && self.has_any(LIMITS)) {
            Ending::ClientGone
        } else if self.has_any(RESET) && status.is_none_or(|status| status < 500) {
            // Envoy answers 5xx itself when nothing has been sent yet; below, the body was cut off.
            Ending::Reset
        } else {
            Ending::Complete
        }
    }

    /// Whether Envoy made this answer without asking an upstream. `details` is what it says of the
    /// answer's origin; without it only flags tell.
    #[must_use]
    pub fn is_proxys_own(self, details: Option<&[u8]>, status: u16) -> bool {
        if details == Some(VIA_UPSTREAM.as_bytes()) || self.has_any(NO_ANSWER) {
            return false;
        }
        // Some limits on time set no flag of the upstream's; 504 says that it was waited for.
        self.has_any(OWN) || (details.is_some() && status != 504)
    }
}

/// Whether a request is none of Serin's business, or was none once it was answered: what follows is
/// no longer HTTP.
#[must_use]
pub fn is_left_alone(method: &[u8], asks_for_upgrade: bool, status: Option<u16>) -> bool {
    asks_for_upgrade || method == b"CONNECT" || status == Some(SWITCHING)
}

/// Whether a content type is gRPC; gRPC-Web is not, whose status is inside of the body.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Whether a gRPC status tells of the version: Envoy makes one up for plain HTTP, and where no
/// trailers came.
#[must_use]
pub fn has_grpc_status(is_grpc: bool, ending: Ending) -> bool {
    is_grpc && ending == Ending::Complete
}

/// A gRPC status from its number. What is none, such as the -1 that Envoy writes for what it cannot
/// read, is UNKNOWN, as for gRPC's clients.
#[must_use]
pub fn grpc_status(number: i64) -> u16 {
    u16::try_from(number)
        .ok()
        .filter(|code| usize::from(*code) < GRPC_NAMES.len())
        .unwrap_or(GRPC_UNKNOWN)
}

/// A gRPC status as a header or a trailer has it: what is no number is UNKNOWN.
#[must_use]
pub fn grpc_status_of_header(value: &[u8]) -> u16 {
    let number = core::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    grpc_status(number.unwrap_or(-1))
}

/// A gRPC status as an access log writes it: a number or a name (`Unavailable`,
/// `DEADLINE_EXCEEDED`). `None` where it is neither.
#[must_use]
pub fn grpc_status_of_log(value: &str) -> Option<u16> {
    if let Ok(number) = value.parse() {
        return Some(grpc_status(number));
    }
    let plain = value
        .replace('_', "")
        .to_ascii_lowercase()
        .replace("cancelled", "canceled");
    if plain == "invalidcode" {
        return Some(GRPC_UNKNOWN);
    }
    let index = GRPC_NAMES.iter().position(|name| *name == plain)?;
    u16::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_same_as_names_and_as_bits() {
        // Bits from Envoy's documentation of its wire format, names from that of its access log.
        for (names, bits) in [
            ("LH", 0x1),
            ("UF,URX", 0x20 | 0x8000),
            ("DC", 0x4000),
            ("DI, FI", 0x200 | 0x400),
            ("RL", 0x800),
            ("UMSDR", 0x8_0000),
            ("UPE", 0x80_0000),
            ("DR", 0x1000_0000),
            ("UDO", 0x2000_0000),
            ("-", 0),
            ("", 0),
            ("X,UC", 0x40),
        ] {
            assert_eq!(Flags::named(names), Flags(bits), "{names}");
        }
    }

    #[test]
    fn how_it_ended_is_told_by_the_flags_and_the_status() {
        use Ending::{ClientGone, Complete, Reset};
        for (flags, status, is_answered, ending) in [
            ("UC", None, false, Reset),
            ("UC", Some(200), false, Reset),
            ("UC", Some(503), false, Complete),
            ("UF,URX", None, false, Complete),
            ("SI", Some(200), false, Reset),
            ("SI", Some(200), true, ClientGone),
            ("DC", None, false, ClientGone),
            ("DR", Some(200), false, ClientGone),
            ("URX", Some(404), false, Complete),
            ("", None, false, Complete),
        ] {
            let found = Flags::named(flags).ending(status, is_answered);
            assert_eq!(found, ending, "{flags} {status:?}");
        }
    }

    #[test]
    fn a_grpc_status_that_is_none_is_unknown() {
        for number in [-1, 17, 200, i64::MAX, i64::MIN] {
            assert_eq!(grpc_status(number), 2, "{number}");
        }
        assert_eq!((grpc_status(0), grpc_status(16)), (0, 16));
        for (value, code) in [
            (&b"14"[..], 14),
            (b" 5 ", 5),
            (b"-1", 2),
            (b"", 2),
            (b"\xff", 2),
        ] {
            assert_eq!(grpc_status_of_header(value), code, "{value:?}");
        }
        for (value, code) in [
            ("14", Some(14)),
            ("-1", Some(2)),
            ("99999999999", Some(2)),
            ("Unavailable", Some(14)),
            ("DEADLINE_EXCEEDED", Some(4)),
            ("Cancelled", Some(1)),
            ("InvalidCode", Some(2)),
            ("teapot", None),
        ] {
            assert_eq!(grpc_status_of_log(value), code, "{value}");
        }
    }

    #[test]
    fn grpc_web_is_not_grpc() {
        for kind in ["", "+proto", ";charset=utf-8", " ; x"] {
            assert!(is_grpc(format!("application/grpc{kind}").as_bytes()));
        }
        for kind in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpcx",
            "text/html",
            "",
        ] {
            assert!(!is_grpc(kind.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn what_is_no_longer_http_is_left_alone() {
        assert!(is_left_alone(b"CONNECT", false, Some(200)));
        assert!(is_left_alone(b"GET", true, Some(426)));
        assert!(is_left_alone(b"GET", false, Some(101)));
        assert!(!is_left_alone(b"GET", false, Some(200)));
    }
}
