//! Where an exchange was answered and for whom: the units that the judge counts by.
//!
//! Host and session cost a property of the proxy each, so a worker asks for them only of a random
//! part where traffic is heavy, and of a smaller part while there is nothing to judge. The rest is
//! counted and not judged ([`scorer_sdk::Exchange::is_surplus`]). Which part that is depends on
//! neither the version nor the outcome.

use super::client::Crowds;
use super::draw::Draw;
use super::ids;
use crate::host::{Header, Host, properties};
use core::time::Duration;
use hashbrown::HashSet;
use scorer_sdk::config::{Plan, SessionSource};
use scorer_sdk::count::identity::mix;
use scorer_sdk::signal::{Input, NameHasher};

/// Exchanges a second of one worker that are judged; of more, a random part is. A verdict never needs
/// more.
const JUDGED_PER_SECOND: u64 = 2_000;
/// Without a candidate one exchange in this many is asked: stable's hosts and sessions are known
/// before there is something to compare them with.
const ASKED_WITHOUT_CANDIDATE: u64 = 4;

/// Where an exchange was answered, and for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the upstream host as the proxy writes it; empty when it was not asked for.
    pub host: String,
    /// Stands for the session.
    pub session: Option<u64>,
    /// Whether the exchange is counted and not judged.
    pub is_surplus: bool,
}

/// Reads origins.
#[derive(Debug)]
pub struct Origins {
    /// Whether a signal follows sessions, so that every exchange's is wanted.
    followed: bool,
    /// Destinations that have a candidate.
    rollouts: HashSet<String>,
    crowds: Crowds,
    thinning: Thinning,
}

impl Origins {
    /// A reader under a plan; `owner` is the worker's own number.
    #[must_use]
    pub fn new(plan: &Plan, owner: u64) -> Self {
        Self {
            followed: plan.wants(Input::Sessions),
            rollouts: HashSet::new(),
            crowds: Crowds::default(),
            thinning: Thinning::new(owner),
        }
    }

    /// A tick has passed, after `period`.
    pub fn tick(&mut self, period: Duration) {
        self.thinning.tick(period);
    }

    /// Takes over which destinations have a candidate.
    pub fn update(&mut self, rollouts: impl Iterator<Item = String>) {
        self.rollouts = rollouts.collect();
    }

    /// The origin of the current stream's exchange with a destination. `told` is what the request's
    /// headers said of its session or client.
    pub fn current(
        &mut self,
        host: &impl Host,
        plan: &Plan,
        destination: &str,
        told: Option<u64>,
    ) -> Origin {
        let one_in = if self.rollouts.contains(destination) {
            1
        } else {
            ASKED_WITHOUT_CANDIDATE
        };
        let is_surplus = !self.thinning.takes(one_in);
        let address = if is_surplus {
            None
        } else {
            host.property(properties::UPSTREAM_ADDRESS)
        };
        Origin {
            host: address
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default(),
            session: self.session(host, plan, told, is_surplus),
            is_surplus,
        }
    }

    fn session(
        &mut self,
        host: &impl Host,
        plan: &Plan,
        told: Option<u64>,
        is_surplus: bool,
    ) -> Option<u64> {
        let connection = || host.number(properties::CONNECTION_ID);
        match plan.session {
            SessionSource::Cookie(_) | SessionSource::Header(_) => told,
            SessionSource::Connection if is_surplus && !self.followed => None,
            SessionSource::Connection => connection(),
            SessionSource::Client if is_surplus => None,
            SessionSource::Client => match told {
                Some(client) if !self.crowds.is_crowd(client) => Some(client),
                Some(crowd) => Some(connection().map_or(crowd, |number| crowd ^ mix(number))),
                None => connection(),
            },
        }
    }
}

/// Takes all of what comes slowly, and a random part of what comes fast.
#[derive(Debug)]
struct Thinning {
    /// One in this many is taken.
    one_in: u64,
    /// Would have been taken since the last tick, had it come slowly.
    came: u64,
    draw: Draw,
}

impl Thinning {
    fn new(seed: u64) -> Self {
        Self {
            one_in: 1,
            came: 0,
            draw: Draw::new(seed),
        }
    }

    /// Whether this one is taken, of a kind of which one in `one_in` is.
    fn takes(&mut self, one_in: u64) -> bool {
        let random = self.draw.next();
        if !random.is_multiple_of(one_in.max(1)) {
            return false;
        }
        self.came += 1;
        (random / one_in.max(1)).is_multiple_of(self.one_in)
    }

    fn tick(&mut self, period: Duration) {
        let milliseconds = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let most = JUDGED_PER_SECOND.saturating_mul(milliseconds) / 1_000;
        self.one_in = core::mem::take(&mut self.came).div_ceil(most.max(1)).max(1);
    }
}

/// The session that a request header tells of, if it is the one that the plan asks for. Clients
/// choose it, so `hasher` has the proxy's secret.
#[must_use]
pub fn session(plan: &Plan, hasher: &NameHasher, (name, value): Header<'_>) -> Option<u64> {
    match &plan.session {
        SessionSource::Client | SessionSource::Connection => None,
        SessionSource::Header(header) => {
            let is_told = header.as_bytes() == name && ids::is_session(value);
            is_told.then(|| hasher.hash_bytes(value))
        }
        SessionSource::Cookie(cookie) if name == b"cookie" => value
            .split(|byte| *byte == b';')
            .find_map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=');
                let (name, value) = (parts.next()?, parts.next()?);
                (name.trim_ascii() == cookie.as_bytes()).then_some(value.trim_ascii())
            })
            .filter(|value| ids::is_session(value))
            .map(|value| hasher.hash_bytes(value)),
        SessionSource::Cookie(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn told(config: &str, name: &str, value: &str) -> Option<u64> {
        told_with(1, config, name, value)
    }

    fn told_with(secret: u64, config: &str, name: &str, value: &str) -> Option<u64> {
        let plan = Plan::from_json(config).unwrap();
        let header = (name.as_bytes(), value.as_bytes());
        session(&plan, &NameHasher::new(secret), header)
    }

    #[test]
    fn of_heavy_traffic_a_random_part_is_taken_and_of_light_traffic_all() {
        let mut thinning = Thinning::new(0);
        let mut tick = |came: u64| {
            let (mut even, mut taken) = (0, 0);
            for number in 0..came {
                if thinning.takes(1) {
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
    fn every_exchange_has_host_and_session_during_a_rollout_and_one_in_four_without() {
        let host = FakeHost::default();
        {
            let mut world = host.0.borrow_mut();
            let properties = &mut world.properties;
            properties.insert("upstream.address".into(), b"10.0.0.1:80".to_vec());
            properties.insert("connection_id".into(), 7u64.to_le_bytes().to_vec());
        }
        let plan = Plan::from_json("{}").unwrap();
        let mut origins = Origins::new(&plan, 1);
        origins.update(["shop".to_owned()].into_iter());
        for _ in 0..100 {
            let origin = origins.current(&host, &plan, "shop", None);
            assert_eq!(origin.host, "10.0.0.1:80");
            assert_eq!((origin.session, origin.is_surplus), (Some(7), false));
        }
        let mut judged = 0;
        for _ in 0..4_000 {
            let origin = origins.current(&host, &plan, "cart", None);
            assert_eq!(origin.is_surplus, origin.host.is_empty());
            assert_eq!(origin.is_surplus, origin.session.is_none());
            judged += u32::from(!origin.is_surplus);
        }
        assert!((900..1_100).contains(&judged), "{judged}");
    }

    #[test]
    fn clients_behind_one_address_are_told_apart_by_connection() {
        let host = FakeHost::default();
        let plan = Plan::from_json("{}").unwrap();
        let mut origins = Origins::new(&plan, 1);
        origins.update(["shop".to_owned()].into_iter());
        let mut session = |client: u64, connection: u64| {
            let id = connection.to_le_bytes().to_vec();
            let name = "connection_id".to_owned();
            host.0.borrow_mut().properties.insert(name, id);
            origins.current(&host, &plan, "shop", Some(client)).session
        };
        // A load balancer, and many who come by themselves.
        for number in 0..1_000 {
            session(9, number);
            session(1_000 + number, number);
        }
        assert_ne!(session(9, 1), session(9, 2));
        assert_eq!(session(9, 1), session(9, 1));
        assert_eq!(session(77, 1), session(77, 2));
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
        assert!(told(header, "x-user", "17").is_some());
        assert_ne!(told(header, "x-user", "17"), told(header, "x-user", "18"));
        // What all have in common who have none.
        assert_eq!(told(header, "x-user", "0"), None);
        assert_eq!(told(cookie, "cookie", "sid=; sid=0"), None);
        assert_eq!(told(header, "cookie", "sid=abc"), None);
        assert_eq!(told("{}", "cookie", "sid=abc"), None);
        // Who does not know the secret cannot choose the hash.
        assert_ne!(one, told_with(2, cookie, "cookie", "sid=abc"));
    }
}
