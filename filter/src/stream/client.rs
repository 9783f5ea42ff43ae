//! Who the client is, as far as the request's headers tell: what the judge takes for one session
//! where the config names none.
//!
//! Envoy's connection manager settles this before any filter runs (`use_remote_address`,
//! `xff_num_trusted_hops`). At the edge it appends its peer to `x-forwarded-for`; it sets
//! `x-envoy-external-address` to the trusted client of an external request, and `x-envoy-internal`
//! where the request came from inside, with a single address. Reading these costs nothing, and an
//! address is a better client than a connection: a client may open a connection for each request.
//!
//! Behind a load balancer that hides its clients all of them have its address. An address with a
//! large part of the traffic is therefore told apart by connection ([`Crowds`]).

use crate::host::Header;
use core::net::{IpAddr, SocketAddr};
use scorer_sdk::signal::NameHasher;

/// Addresses whose part of the traffic is watched.
const WATCHED: usize = 16;
/// An address with more than one in this many exchanges stands for many clients.
const CROWD: u32 = 8;
/// Exchanges before which nothing is known of parts.
const ENOUGH: u32 = 64;
/// Exchanges after which what was counted counts half.
const MEMORY: u32 = 4_096;

/// What a request's headers say of its client.
#[derive(Debug, Default)]
pub(super) struct Clients {
    forwarded_for: Option<u64>,
    external: Option<u64>,
    is_internal: bool,
}

impl Clients {
    /// Reads a header.
    pub(super) fn read(&mut self, hasher: &NameHasher, (name, value): Header<'_>) {
        match name {
            // The last one is whom the nearest trusted proxy had before it.
            b"x-forwarded-for" => {
                let last = value.rsplit(|byte| *byte == b',').next();
                self.forwarded_for = last.and_then(|address| of_bytes(hasher, address));
            }
            b"x-envoy-external-address" => self.external = of_bytes(hasher, value),
            b"x-envoy-internal" => self.is_internal = value == b"true",
            _ => {}
        }
    }

    /// Stands for the client; `None` where no header tells of one.
    pub(super) fn client(&self) -> Option<u64> {
        // Of a request from inside Envoy leaves the external address as the client sent it.
        match self.external {
            Some(external) if !self.is_internal => Some(external),
            _ => self.forwarded_for,
        }
    }
}

fn of_bytes(hasher: &NameHasher, address: &[u8]) -> Option<u64> {
    of_text(hasher, core::str::from_utf8(address).ok()?.trim())
}

/// Stands for the client at an address, with or without a port: of IPv6 the network of one site.
/// `None` where this is no address of the internet protocol.
pub(super) fn of_text(hasher: &NameHasher, address: &str) -> Option<u64> {
    let without_port = || address.parse::<IpAddr>().ok();
    let with_port = || Some(address.parse::<SocketAddr>().ok()?.ip());
    Some(match without_port().or_else(with_port)? {
        IpAddr::V4(address) => hasher.hash_bytes(&address.octets()),
        IpAddr::V6(address) => {
            let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
            hasher.hash_bytes(&network)
        }
    })
}

/// Finds the addresses that have a large part of the traffic (Misra and Gries, 1982): none with less
/// than one in [`CROWD`], and every one with more than one in five.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    counts: Vec<(u64, u32)>,
    seen: u32,
}

impl Crowds {
    /// Counts an exchange of a client; whether it is one of many at its address.
    pub(super) fn is_crowd(&mut self, client: u64) -> bool {
        self.seen += 1;
        let known = self.counts.iter_mut().find(|known| known.0 == client);
        let count = if let Some((_, count)) = known {
            *count += 1;
            *count
        } else if self.counts.len() < WATCHED {
            self.counts.push((client, 1));
            1
        } else {
            self.keep(|count| count - 1);
            0
        };
        let is_crowd = self.seen >= ENOUGH && count.saturating_mul(CROWD) > self.seen;
        if self.seen >= MEMORY {
            self.seen /= 2;
            self.keep(|count| count / 2);
        }
        is_crowd
    }

    fn keep(&mut self, change: impl Fn(u32) -> u32) {
        self.counts.retain_mut(|(_, count)| {
            *count = change(*count);
            *count > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(headers: &[(&str, &str)]) -> Option<u64> {
        let mut clients = Clients::default();
        for (name, value) in headers {
            clients.read(&NameHasher::new(1), (name.as_bytes(), value.as_bytes()));
        }
        clients.client()
    }

    #[test]
    fn a_client_is_whom_the_proxy_trusts() {
        let one = client(&[("x-forwarded-for", "10.9.9.9, 192.0.2.1")]);
        assert!(one.is_some());
        assert_eq!(one, client(&[("x-forwarded-for", "192.0.2.1")]));
        assert_eq!(one, client(&[("x-forwarded-for", "192.0.2.1:4711")]));
        let balanced = [
            ("x-forwarded-for", "192.0.2.1, 198.51.100.7"),
            ("x-envoy-external-address", "192.0.2.1"),
        ];
        assert_eq!(one, client(&balanced));
        let [forwarded, external] = balanced;
        assert_eq!(
            client(&[forwarded]),
            client(&[("x-envoy-internal", "true"), forwarded, external])
        );
        assert_eq!(client(&[("x-forwarded-for", "unknown")]), None);
        assert_eq!(client(&[]), None);
    }

    #[test]
    fn a_site_with_ipv6_is_one_client() {
        let at = |address| client(&[("x-forwarded-for", address)]);
        assert_eq!(at("2001:db8::1"), at("[2001:db8::2:3:4:5]:80"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
    }

    #[test]
    fn a_tenth_of_the_traffic_is_a_client_and_a_quarter_a_crowd() {
        let mut crowds = Crowds::default();
        let (mut tenth, mut quarter, mut others) = (0, 0, 0);
        for number in 0..100_000u64 {
            match number % 20 {
                0 | 10 => tenth += u64::from(crowds.is_crowd(1)),
                1 | 5 | 9 | 13 | 17 => quarter += u64::from(crowds.is_crowd(2)),
                _ => others += u64::from(crowds.is_crowd(1_000 + number % 977)),
            }
        }
        assert_eq!((tenth, others), (0, 0));
        assert!(quarter > 24_900, "{quarter}");
        assert!(crowds.counts.len() <= WATCHED);
    }

    #[test]
    fn a_crowd_that_is_gone_is_forgotten() {
        let mut crowds = Crowds::default();
        (0..10_000).for_each(|_| {
            crowds.is_crowd(1);
        });
        assert!(crowds.is_crowd(1));
        (0..20_000u64).for_each(|number| {
            crowds.is_crowd(number);
        });
        assert!(!crowds.is_crowd(1));
    }
}
