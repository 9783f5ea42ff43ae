//! Where an exchange was answered and for whom: the units that chance assigns to a version.
//!
//! Both may cost a property of the proxy. Where traffic is heavy, a random part of it is asked and
//! judged, and the rest is counted.

use crate::host::{Header, Host, properties};
use core::time::Duration;
use scorer_sdk::config::{Plan, SessionSource};
use scorer_sdk::count::identity::mix;
use scorer_sdk::signal::NameHasher;

/// Up to this many exchanges a second of one worker are asked for their origin. Beyond that a random
/// part is asked, which tells more than a verdict ever needs.
const ASKED_PER_SECOND: u64 = 2_000;

/// Where an exchange was answered, and for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the upstream host as the proxy writes it; empty when it was not asked for.
    pub host: String,
    /// Stands for the session.
    pub session: Option<u64>,
    /// Whether the exchange was not asked, for there are too many.
    pub is_surplus: bool,
}

/// Reads origins.
#[derive(Debug, Default)]
pub struct Origins {
    thinning: Thinning,
}

impl Origins {
    /// A tick has passed, after `period`.
    pub fn tick(&mut self, period: Duration) {
        self.thinning.tick(period);
    }

    /// The origin of the current stream's exchange. `session` is what the request's headers said, by
    /// [`session`].
    pub fn current(&mut self, host: &impl Host, plan: &Plan, session: Option<u64>) -> Origin {
        if !self.thinning.takes() {
            return Origin {
                session,
                is_surplus: true,
                ..Origin::default()
            };
        }
        let session = match plan.session {
            SessionSource::Connection => host.number(properties::CONNECTION_ID),
            _ => session,
        };
        let address = host
            .property(properties::UPSTREAM_ADDRESS)
            .unwrap_or_default();
        Origin {
            host: String::from_utf8(address).unwrap_or_default(),
            session,
            is_surplus: false,
        }
    }
}

/// Takes all of what comes slowly, and a random part of what comes fast.
#[derive(Debug)]
struct Thinning {
    /// One in this many is taken.
    one_in: u64,
    /// Came since the last tick.
    came: u64,
    number: u64,
}

impl Default for Thinning {
    fn default() -> Self {
        Self {
            one_in: 1,
            came: 0,
            number: 0,
        }
    }
}

impl Thinning {
    /// Whether this one is taken. Not each nth one: balancers take turns as well.
    fn takes(&mut self) -> bool {
        self.came += 1;
        self.number = self.number.wrapping_add(1);
        self.one_in == 1 || mix(self.number).is_multiple_of(self.one_in)
    }

    fn tick(&mut self, period: Duration) {
        let milliseconds = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let most = ASKED_PER_SECOND.saturating_mul(milliseconds) / 1_000;
        self.one_in = core::mem::take(&mut self.came).div_ceil(most.max(1)).max(1);
    }
}

/// The session that a request header tells of, if it is the one that the plan asks for. Clients
/// choose it, so `hasher` has the proxy's secret.
#[must_use]
pub fn session(plan: &Plan, hasher: &NameHasher, (name, value): &Header) -> Option<u64> {
    match &plan.session {
        SessionSource::Connection => None,
        SessionSource::Header(header) => (header == name).then(|| hasher.hash_bytes(value)),
        SessionSource::Cookie(cookie) if name == "cookie" => value
            .split(|byte| *byte == b';')
            .find_map(|pair| {
                let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
                (name.trim_ascii() == cookie.as_bytes()).then_some(value)
            })
            .map(|value| hasher.hash_bytes(value)),
        SessionSource::Cookie(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(config: &str, name: &str, value: &str) -> Option<u64> {
        told_with(1, config, name, value)
    }

    fn told_with(secret: u64, config: &str, name: &str, value: &str) -> Option<u64> {
        let plan = Plan::from_json(config).unwrap();
        let header = (name.to_owned(), value.as_bytes().to_vec());
        session(&plan, &NameHasher::new(secret), &header)
    }

    #[test]
    fn of_heavy_traffic_a_random_part_is_taken_and_of_light_traffic_all() {
        let mut thinning = Thinning::default();
        let mut tick = |came: u64| {
            let (mut even, mut taken) = (0, 0);
            for number in 0..came {
                if thinning.takes() {
                    taken += 1;
                    even += u64::from(number % 2 == 0);
                }
            }
            thinning.tick(Duration::from_secs(1));
            (taken, even)
        };
        assert_eq!(tick(2_000), (2_000, 1_000));
        assert_eq!(tick(8_000).0, 8_000);
        // Known from the tick before: one in four, and both of two hosts that take turns.
        let (taken, even) = tick(8_000);
        assert!((1_800..2_200).contains(&taken), "{taken}");
        assert!((800..1_200).contains(&even), "{even}");
        tick(100);
        assert_eq!(tick(100).0, 100);
        // A tenth of a second has a tenth of them.
        thinning.came = 800;
        thinning.tick(Duration::from_millis(100));
        assert_eq!(thinning.one_in, 4);
    }

    #[test]
    fn a_session_is_a_connection_a_cookies_value_or_a_headers() {
        let cookie = r#"{"session": {"from": "cookie", "name": "sid"}}"#;
        let one = told(cookie, "cookie", "theme=dark; sid=abc; x=y");
        assert!(one.is_some());
        assert_eq!(one, told(cookie, "cookie", "sid=abc"));
        assert_ne!(one, told(cookie, "cookie", "sid=abd"));
        assert_eq!(told(cookie, "cookie", "asid=abc; sid"), None);
        let header = r#"{"session": {"from": "header", "name": "X-User"}}"#;
        assert!(told(header, "x-user", "7").is_some());
        assert_ne!(told(header, "x-user", "7"), told(header, "x-user", "8"));
        assert_eq!(told(header, "cookie", "sid=abc"), None);
        assert_eq!(told("{}", "cookie", "sid=abc"), None);
        // Who does not know the secret cannot choose the hash.
        assert_ne!(one, told_with(2, cookie, "cookie", "sid=abc"));
    }
}
