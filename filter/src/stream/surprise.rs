//! How strange each exchange is, compared with what this worker saw before.
//!
//! One model for each destination, all within one bound of memory. Every worker learns for itself:
//! what it knows is its own share of the traffic. A client is its address, hashed under the worker's
//! secret. What is not known at the response's headers (time, size of the body) comes into the score
//! at the end; both scores are ranked among their like.

use crate::host::{Host, properties};
use core::fmt::Write as _;
use core::time::Duration;
use hashbrown::HashMap;
use scorer_sdk::config::{Mode, SurprisePlan};
use scorer_sdk::signal::{NameHasher, Token};
use scorer_sdk::surprise::features::Features;
use scorer_sdk::surprise::request_texts::RequestTexts;
use scorer_sdk::surprise::{Model, ROUTE, Score, Stage, Term, Value};
use scorer_sdk::{Exchange, Plan};
use std::sync::Arc;

/// Most destinations; the exchanges of others are counted.
const MAX_DESTINATIONS: usize = 64;
/// Most terms that are named, and the fewest bits of a term that is named.
const MAX_TERMS: usize = 3;
const LEAST_BITS: f64 = 2.0;

/// What is known of one destination.
struct Known {
    model: Model,
    /// Whether the epoch has anything in it: an empty one teaches nothing and fades nothing.
    learned: bool,
}

/// What one worker knows.
pub struct Surprise {
    plan: Arc<Plan>,
    settings: SurprisePlan,
    features: Features,
    texts: RequestTexts,
    hasher: NameHasher,
    known: HashMap<String, Known>,
    /// Values that all models hold together.
    held: usize,
    epoch_ends: Option<Duration>,
    values: Vec<Value>,
    overflow: u64,
}

/// The looks at requests' texts that a plan asks for.
#[must_use]
pub fn texts(plan: &Plan, hasher: &NameHasher) -> Option<RequestTexts> {
    plan.surprise.map(|_| RequestTexts::new(hasher.clone()))
}

impl Surprise {
    /// Nothing known yet; `None` where the plan does not ask for it. `hasher` has the same seed as
    /// that of [`texts`].
    #[must_use]
    pub fn new(plan: &Arc<Plan>, hasher: &NameHasher) -> Option<Self> {
        plan.surprise.map(|settings| Self {
            settings,
            features: Features::new(&plan.signals),
            texts: RequestTexts::new(hasher.clone()),
            hasher: hasher.clone(),
            known: HashMap::new(),
            held: 0,
            epoch_ends: None,
            values: Vec::new(),
            overflow: 0,
            plan: Arc::clone(plan),
        })
    }

    /// Whether a score is wanted when the response's headers have come.
    #[must_use]
    pub fn is_wanted_early(&self, guarding: bool) -> bool {
        let by_mode = match self.plan.mode {
            Mode::Annotate => true,
            Mode::Reject => guarding && self.settings.refuse_above.is_some(),
            Mode::Observe | Mode::Steer => false,
        };
        by_mode || self.plan.traces
    }

    /// Whether a guard refuses what is this strange; in mode `reject` alone.
    #[must_use]
    pub fn is_refused(&self, score: &Score) -> bool {
        self.plan.mode == Mode::Reject
            && self
                .settings
                .refuse_above
                .is_some_and(|share| score.percentile > share)
    }

    /// How strange an exchange is by what is known at the response's headers. `route` is the route's
    /// label, `looks` are those of [`RequestTexts`]. Nothing is learned from it yet.
    pub fn score_early(&mut self, route: &str, exchange: &Exchange<'_>, looks: &[Value]) -> Score {
        self.read(exchange, looks);
        let route = self.hasher.hash(route);
        match self.known.get(exchange.destination) {
            Some(known) => known.model.score_at(Stage::Headers, route, &self.values),
            None => Score::default(),
        }
    }

    /// How strange an exchange is that is over, and learns it. `early` is what
    /// [`Surprise::score_early`] said of it. `None` where there are too many destinations.
    pub fn finish(
        &mut self,
        route: &str,
        exchange: &Exchange<'_>,
        looks: &[Value],
        client: u64,
        early: Option<&Score>,
    ) -> Option<Score> {
        self.read(exchange, looks);
        let route = self.hasher.hash(route);
        self.make_room(exchange.destination);
        let known = self.known.get(exchange.destination)?;
        let score = known.model.score_at(Stage::End, route, &self.values);
        self.learn(route, exchange.destination, client, early, Some(&score));
        Some(score)
    }

    /// Learns an exchange whose answer is being replaced: what several clients ask for becomes
    /// usual even while it is refused.
    pub fn learn_refused(
        &mut self,
        route: &str,
        exchange: &Exchange<'_>,
        looks: &[Value],
        client: u64,
        early: &Score,
    ) {
        self.read(exchange, looks);
        let route = self.hasher.hash(route);
        self.make_room(exchange.destination);
        self.learn(route, exchange.destination, client, Some(early), None);
    }

    fn learn(
        &mut self,
        route: u64,
        destination: &str,
        client: u64,
        early: Option<&Score>,
        end: Option<&Score>,
    ) {
        let Some(known) = self.known.get_mut(destination) else {
            return;
        };
        let before = (known.model.tokens(), known.model.overflow());
        let others = self.held.saturating_sub(before.0);
        let bound = self.settings.settings.limits.all_tokens;
        known.model.limit_tokens(bound.saturating_sub(others));
        let scores: Vec<(Stage, &Score)> = [(Stage::Headers, early), (Stage::End, end)]
            .into_iter()
            .filter_map(|(stage, score)| Some((stage, score?)))
            .collect();
        known.model.learn(route, &self.values, client, &scores);
        known.learned = true;
        self.held = others + known.model.tokens();
        let lost = known.model.overflow().saturating_sub(before.1);
        self.overflow = self.overflow.saturating_add(lost);
    }

    /// Makes a model for a destination that has none, as long as there is room for one more.
    fn make_room(&mut self, destination: &str) {
        if self.known.contains_key(destination) {
            return;
        }
        if self.known.len() >= MAX_DESTINATIONS {
            self.overflow += 1;
            return;
        }
        let known = Known {
            model: Model::new(self.settings.settings),
            learned: false,
        };
        self.known.insert(destination.to_owned(), known);
    }

    fn read(&mut self, exchange: &Exchange<'_>, looks: &[Value]) {
        self.values.clear();
        let signals = &self.plan.signals;
        self.features
            .read(signals, exchange, &self.hasher, &mut self.values);
        self.values.extend_from_slice(looks);
    }

    /// Whether there is a past to be strange beside.
    #[must_use]
    pub fn has_past(&self, destination: &str) -> bool {
        self.known
            .get(destination)
            .is_some_and(|known| known.model.past_exchanges() >= 1.0)
    }

    /// Ends the epoch when its time has come.
    pub fn tick(&mut self, now: Duration) {
        let epoch = self.settings.epoch;
        let ends = *self.epoch_ends.get_or_insert_with(|| now + epoch);
        // An end further ahead than an epoch is from before the clock was set back.
        if now < ends && ends - now <= epoch {
            return;
        }
        self.epoch_ends = Some(now + epoch);
        for known in self.known.values_mut().filter(|known| known.learned) {
            known.model.end_epoch();
            known.learned = false;
        }
        self.held = self.known.values().map(|known| known.model.tokens()).sum();
    }

    /// What found no room since the last call.
    pub fn take_overflow(&mut self) -> u64 {
        core::mem::take(&mut self.overflow)
    }

    /// The client of the current stream: its address, of IPv6 the network of one site. All count as
    /// one where the proxy does not say.
    pub fn client(&self, host: &impl Host) -> u64 {
        let address = host
            .property(properties::SOURCE_ADDRESS)
            .unwrap_or_default();
        let text = String::from_utf8(address).unwrap_or_default();
        super::client::of_text(&self.hasher, &text).unwrap_or(0)
    }

    /// The strongest terms, such as `outcome is 500 12.1, route 9.3`. No value of a header or path is
    /// in it.
    #[must_use]
    pub fn terms(&self, score: &Score, exchange: &Exchange<'_>) -> String {
        let mut text = String::new();
        let strong = score.terms.iter().filter(|term| term.bits >= LEAST_BITS);
        for term in strong.take(MAX_TERMS) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let what = self.describe(term, exchange);
            let _ = write!(text, "{what} {:.1}", term.bits);
        }
        text
    }

    fn describe(&self, term: &Term, exchange: &Exchange<'_>) -> String {
        if term.feature == ROUTE {
            return "route".to_owned();
        }
        if let Some(name) = self.texts.name(term.feature) {
            // The commas between kinds would end the term.
            return match self.texts.describe(term.feature, term.token) {
                Some(look) => format!("{name} is {}", look.replace(", ", " and ")),
                None => name,
            };
        }
        let index = self.features.index(term.feature);
        let Some(signal) = index.and_then(|index| self.plan.signals.get(index)) else {
            return "a feature".to_owned();
        };
        match signal.read(exchange, &self.hasher) {
            Some(Token::Number(code)) => format!("{} is {}", signal.name(), signal.label(code)),
            _ => signal.name().to_owned(),
        }
    }
}

/// Bits and percentile as the header and the access log have them, such as
/// `43.2;percentile=99.931`. Cut, not rounded: nothing is stranger than all there is.
#[must_use]
pub fn text(score: &Score) -> String {
    let percentile = (1e5 * score.percentile).floor() / 1e3;
    format!("{:.1};percentile={percentile:.3}", score.bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn surprise(config: &str) -> Surprise {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Surprise::new(&plan, &NameHasher::new(1)).unwrap()
    }

    fn client(surprise: &Surprise, address: &str) -> u64 {
        let host = FakeHost::default();
        let address = address.as_bytes().to_vec();
        let name = "source.address".to_owned();
        host.0.borrow_mut().properties.insert(name, address);
        surprise.client(&host)
    }

    #[test]
    fn a_client_is_an_address_without_its_port_or_a_network_of_ipv6() {
        let surprise = surprise(r#"{"surprise": {}}"#);
        let client = |address| client(&surprise, address);
        assert_eq!(client("10.0.0.7:4711"), client("10.0.0.7:4712"));
        assert_ne!(client("10.0.0.7:4711"), client("10.0.0.8:4711"));
        assert_eq!(client("[2001:db8::1]:1"), client("[2001:db8::2:3:4:5]:2"));
        assert_ne!(client("[2001:db8::1]:1"), client("[2001:db8:0:1::1]:1"));
        assert_eq!(client("/run/envoy.sock"), 0);
    }

    #[test]
    fn values_of_all_destinations_share_one_bound_whatever_clients_send() {
        let mut surprise = surprise(r#"{"surprise": {"max_values": 1024}}"#);
        let texts = RequestTexts::new(NameHasher::new(1));
        let mut random = 1u64;
        for number in 0..20_000u64 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let junk = random.to_string().repeat((random >> 60) as usize);
            let path = format!("/{junk}?{number}={random}");
            let mut looks = Vec::new();
            let headers = [(":path", path.as_bytes()), ("cookie", junk.as_bytes())];
            texts.read(headers.into_iter(), &mut looks);
            let destination = format!("d{}", number % 100);
            let exchange = Exchange {
                destination: &destination,
                status: Some((random >> 50) as u16),
                content_type: &junk,
                ..Exchange::default()
            };
            let route = format!("GET /{}", number % 300);
            surprise.finish(&route, &exchange, &looks, random, None);
            assert!(surprise.held <= 1024, "{}", surprise.held);
            if number % 1000 == 999 {
                surprise.tick(Duration::from_secs(number));
            }
        }
        assert_eq!(surprise.known.len(), MAX_DESTINATIONS);
        let held: usize = surprise
            .known
            .values()
            .map(|known| known.model.tokens())
            .sum();
        assert_eq!(surprise.held, held);
        assert!(surprise.take_overflow() > 1_000);
        assert_eq!(surprise.take_overflow(), 0);
    }

    #[test]
    fn a_score_is_cut_and_not_rounded() {
        let score = Score {
            bits: 43.25,
            percentile: 0.999_999,
            ..Score::default()
        };
        assert_eq!(text(&score), "43.2;percentile=99.999");
    }
}
