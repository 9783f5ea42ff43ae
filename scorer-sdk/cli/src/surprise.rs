//! `serin replay --surprise`: the strangest exchanges of a recording, and why.
//!
//! One pass, in the order of the recording: an exchange is held against those before it. The first
//! epochs only teach. What is kept is bounded: one model per destination, the names behind its
//! tokens, and the strangest exchanges so far.

use crate::document::{Document, Table};
use jiff::Timestamp;
use scorer_sdk::config::SurprisePlan;
use scorer_sdk::route::PathTree;
use scorer_sdk::signal::{NameHasher, Signal, Token};
use scorer_sdk::surprise::features::Features;
use scorer_sdk::surprise::{Model, ROUTE, Score, Settings, Term, Value};
use scorer_sdk::wire::recording::Record;
use scorer_sdk::{Exchange, Plan};
use serde::{Serialize, Serializer};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Exchanges that are shown without further ado.
pub const SHOWN: usize = 10;
/// Most exchanges that can be asked for.
pub const MOST_SHOWN: usize = 1000;
/// Most destinations; the exchanges of others are counted.
const MAX_DESTINATIONS: usize = 64;
/// Most names that are kept.
const MAX_NAMES: usize = 1 << 16;
/// Most characters of a name, and of a reason.
const MAX_NAME: usize = 1024;
const MAX_REASON: usize = 300;
/// Most reasons of one exchange, and the fewest bits that make one.
const MAX_REASONS: usize = 3;
const LEAST_BITS: f64 = 2.0;

/// One strange exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Strange {
    /// The exchange.
    pub record: Record,
    /// Its route, such as `GET /items/{int}`.
    pub route: String,
    /// Its surprise.
    pub score: Score,
    /// What is strange about it, the strangest first.
    pub reasons: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Found {
    /// The strangest exchanges, the strangest first.
    pub strangest: Vec<Strange>,
    /// Exchanges that were held against a past.
    pub ranked: u64,
    /// Exchanges that only taught.
    pub learned_only: u64,
    /// Exchanges of destinations beyond the limit.
    pub overflow: u64,
    /// Length of an epoch.
    #[serde(rename = "epoch_seconds", serialize_with = "seconds")]
    pub epoch: Duration,
}

/// What is printed of a strange exchange.
#[derive(Serialize)]
struct ShownStrange<'a> {
    start: f64,
    destination: &'a str,
    version: &'a str,
    route: &'a str,
    path: &'a str,
    bits: f64,
    above_mean: f64,
    percentile: f64,
    reasons: &'a [String],
}

impl Serialize for Strange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ShownStrange {
            start: self.record.start,
            destination: &self.record.destination,
            version: &self.record.version,
            route: &self.route,
            path: &self.record.path,
            bits: self.score.bits,
            above_mean: self.score.excess,
            percentile: self.score.percentile,
            reasons: &self.reasons,
        }
        .serialize(serializer)
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Reads exchanges and keeps the strangest.
pub struct Surprise {
    plan: Arc<Plan>,
    shown: usize,
    features: Features,
    hasher: NameHasher,
    paths: PathTree,
    models: HashMap<String, Model>,
    names: HashMap<(u64, u64), String>,
    values: Vec<Value>,
    epoch_ends: Option<Duration>,
    found: Found,
}

impl Surprise {
    /// Nothing read yet; the `shown` strangest are kept, at most [`MOST_SHOWN`].
    #[must_use]
    pub fn new(plan: Arc<Plan>, shown: usize) -> Self {
        let asked = plan.surprise;
        let epoch = asked.map_or_else(|| SurprisePlan::new(plan.memory).epoch, |asked| asked.epoch);
        Self {
            shown: shown.min(MOST_SHOWN),
            features: Features::new(&plan.signals),
            hasher: NameHasher::new(1),
            paths: PathTree::new(plan.paths.clone(), 1),
            models: HashMap::new(),
            names: HashMap::new(),
            values: Vec::new(),
            epoch_ends: None,
            found: Found {
                epoch,
                ..Found::default()
            },
            plan,
        }
    }

    /// Ranks an exchange and learns it. They should come in the order of their ends.
    pub fn push(&mut self, record: &Record) {
        self.advance(record.end());
        let exchange = record.exchange();
        if !self.models.contains_key(&record.destination) {
            if self.models.len() >= MAX_DESTINATIONS {
                self.found.overflow += 1;
                return;
            }
            let model = Model::new(Settings::default());
            self.models.insert(record.destination.clone(), model);
        }
        let label = self.route(&exchange);
        let route = self.hasher.hash(&label);
        self.values.clear();
        let mut values = core::mem::take(&mut self.values);
        self.features
            .read(&self.plan.signals, &exchange, &self.hasher, &mut values);
        self.remember(ROUTE, route, || label.clone());
        self.name_values(&exchange, &values);
        // Without a session everybody is the same client, which then may teach alone.
        let session = exchange.session.unwrap_or_default();
        let client = self.hasher.hash(&session.to_string());
        let Some(model) = self.models.get_mut(&record.destination) else {
            return;
        };
        let ranks = model.past_exchanges() >= 1.0;
        let score = model.observe(route, &values, client);
        self.values = values;
        if ranks {
            self.found.ranked += 1;
            self.keep(record, (route, label), score);
        } else {
            self.found.learned_only += 1;
        }
    }

    /// The strangest exchanges.
    #[must_use]
    pub fn finish(self) -> Found {
        self.found
    }

    fn advance(&mut self, now: Duration) {
        let ends = *self
            .epoch_ends
            .get_or_insert_with(|| now.saturating_add(self.found.epoch));
        if now < ends {
            return;
        }
        // An empty epoch teaches nothing, so that a gap counts as one.
        for model in self.models.values_mut() {
            model.end_epoch();
        }
        self.epoch_ends = Some(now.saturating_add(self.found.epoch));
    }

    fn route(&mut self, exchange: &Exchange<'_>) -> String {
        let path = exchange.path.split(['?', '#']).next().unwrap_or_default();
        let template = self.paths.resolve(path);
        let route = format!("{} {}", exchange.method, self.paths.text(template));
        if self.plan.routes_by_name && !exchange.route_name.is_empty() {
            return format!("{} {route}", exchange.route_name);
        }
        route
    }

    fn remember(&mut self, feature: u64, token: u64, name: impl FnOnce() -> String) {
        if self.names.len() < MAX_NAMES {
            self.names
                .entry((feature, token))
                .or_insert_with(|| name().chars().take(MAX_NAME).collect());
        }
    }

    /// Remembers what the tokens of this exchange are called.
    fn name_values(&mut self, exchange: &Exchange<'_>, values: &[Value]) {
        let plan = Arc::clone(&self.plan);
        for value in values {
            if self.names.contains_key(&(value.feature, value.token)) {
                continue;
            }
            let signal = self
                .features
                .index(value.feature)
                .and_then(|index| plan.signals.get(index));
            if let Some(signal) = signal {
                let name = name(signal.as_ref(), exchange, &self.hasher);
                self.remember(value.feature, value.token, || name);
            }
        }
    }

    fn keep(&mut self, record: &Record, (number, route): (u64, String), score: Score) {
        let kept = &mut self.found.strangest;
        let index = kept.partition_point(|other| other.score.excess >= score.excess);
        if index >= self.shown {
            return;
        }
        let model = self.models.get(&record.destination);
        let reasons = score
            .terms
            .iter()
            .filter(|term| term.bits >= LEAST_BITS)
            .take(MAX_REASONS)
            .map(|term| {
                let usual = model.and_then(|model| model.usual(number, term.feature));
                let usual = usual.map(|usual| usual.token);
                let reason = reason(term, usual, &self.plan, &self.features, &self.names);
                reason.chars().take(MAX_REASON).collect()
            })
            .collect();
        kept.insert(
            index,
            Strange {
                record: record.clone(),
                route,
                score,
                reasons,
            },
        );
        kept.truncate(self.shown);
    }
}

fn name(signal: &dyn Signal, exchange: &Exchange<'_>, hasher: &NameHasher) -> String {
    match signal.read(exchange, hasher) {
        None => String::new(),
        Some(Token::Number(code)) if signal.group(code) == code => signal.label(code),
        Some(Token::Number(code)) => format!("about {}", signal.label(code)),
        Some(Token::Name(_)) => {
            let mut name = String::new();
            signal.describe(exchange, &mut name);
            name
        }
    }
}

/// Such as `outcome is 500, which 1 in 4,000 are; usual is 200`.
fn reason(
    term: &Term,
    usual: Option<u64>,
    plan: &Plan,
    features: &Features,
    names: &HashMap<(u64, u64), String>,
) -> String {
    let name = |token: u64| -> &str {
        names
            .get(&(term.feature, token))
            .map_or("something unnamed", |name| match name.as_str() {
                "" => "nothing",
                name => name,
            })
    };
    let rate = one_in(term.probability);
    if term.feature == ROUTE {
        return format!("{} is asked for {rate}", name(term.token));
    }
    let signal = features
        .index(term.feature)
        .and_then(|index| plan.signals.get(index))
        .map_or("a feature", |signal| signal.name())
        .replace('_', " ");
    let here = name(term.token);
    match usual.filter(|usual| *usual != term.token) {
        Some(usual) if here.contains(',') || name(usual).contains(',') => {
            let difference = difference(here, name(usual));
            format!("{signal}: {difference}, {rate}")
        }
        Some(usual) => format!("{signal} is {here}, {rate}; usual is {}", name(usual)),
        None => format!("{signal} is {here}, {rate}"),
    }
}

/// What two lists do not share.
fn difference(here: &str, usual: &str) -> String {
    let parts = |list: &'static str, text: &str| -> (&'static str, BTreeSet<String>) {
        let parts = text.split(',').filter(|part| *part != "nothing");
        (list, parts.map(str::to_owned).collect())
    };
    let ((new, here), (gone, usual)) = (parts("new", here), parts("gone", usual));
    let list = |what: &str, parts: Vec<&str>| {
        (!parts.is_empty()).then(|| format!("{what} {}", parts.join(", ")))
    };
    let texts = [
        list(gone, usual.difference(&here).map(String::as_str).collect()),
        list(new, here.difference(&usual).map(String::as_str).collect()),
    ];
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    if texts.is_empty() {
        return "differs".to_owned();
    }
    texts.join("; ")
}

fn one_in(probability: f64) -> String {
    let times = (1.0 / probability.max(1e-6)).round();
    if times < 10.0 {
        return format!("{:.0}% of the time", 100.0 * probability);
    }
    format!(
        "1 time in {}{}",
        if probability <= 1e-6 {
            "more than "
        } else {
            ""
        },
        crate::output::grouped(times as u64)
    )
}

impl Found {
    /// For people.
    #[must_use]
    pub fn document(&self) -> Document {
        let rows = self
            .strangest
            .iter()
            .map(|strange| {
                let record = &strange.record;
                vec![
                    format!("{:.1}", strange.score.excess),
                    // Cut, not rounded: nothing is stranger than all there is.
                    format!("{:.3}%", (1e5 * strange.score.percentile).floor() / 1e3),
                    time(record.start),
                    record.destination.clone(),
                    record.version.clone(),
                    strange.route.clone(),
                    strange.reasons.join("; "),
                ]
            })
            .collect();
        let mut paragraphs = vec![format!(
            "{} exchanges were held against those before them; the first {} only taught.",
            crate::output::grouped(self.ranked),
            crate::output::grouped(self.learned_only),
        )];
        if self.ranked == 0 {
            paragraphs.push(format!(
                "The recording is too short to say what is strange: it has to last more than {:.0} \
                 s. A shorter `memory` in the config makes it less.",
                2.0 * self.epoch.as_secs_f64()
            ));
        }
        if self.overflow > 0 {
            paragraphs.push(format!(
                "{} exchanges were of more than {MAX_DESTINATIONS} destinations and left out.",
                crate::output::grouped(self.overflow)
            ));
        }
        Document {
            title: "The strangest exchanges".to_owned(),
            command: "serin replay --surprise FILE".to_owned(),
            paragraphs,
            tables: vec![Table {
                title: "Strangest first".to_owned(),
                columns: [
                    "bits above mean",
                    "percentile",
                    "time",
                    "destination",
                    "version",
                    "route",
                    "why",
                ]
                .map(str::to_owned)
                .to_vec(),
                rows,
                notes: Vec::new(),
            }],
            plots: Vec::new(),
        }
    }
}

fn time(seconds: f64) -> String {
    Timestamp::from_millisecond((seconds * 1e3) as i64)
        .map_or_else(|_| format!("{seconds:.3}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        Record {
            start: 1.7e9 + f64::from(number) / 10.0,
            destination: "shop".to_owned(),
            method: "GET".to_owned(),
            path: format!("/items/{}", number % 7),
            version: "v1".to_owned(),
            status: Some(200),
            duration_ms: 5.0 + f64::from(number % 11) / 10.0,
            response_bytes: Some(900 + u64::from(number % 13)),
            content_type: "application/json".to_owned(),
            headers: Some(vec!["etag".to_owned(), "vary".to_owned()]),
            ..Record::default()
        }
    }

    fn found(plan: &str, records: impl Iterator<Item = Record>) -> Found {
        let mut surprise = Surprise::new(Arc::new(Plan::from_json(plan).unwrap()), 3);
        for record in records {
            surprise.push(&record);
        }
        surprise.finish()
    }

    #[test]
    fn the_strangest_comes_first_and_says_why() {
        let found = found(
            r#"{"memory": "10m"}"#,
            (0..6000).map(|number| match number {
                5000 => Record {
                    headers: Some(vec!["vary".to_owned(), "x-debug".to_owned()]),
                    content_type: "text/html".to_owned(),
                    ..record(number)
                },
                5500 => Record {
                    status: Some(500),
                    ..record(number)
                },
                _ => record(number),
            }),
        );
        assert!(found.ranked > 5000);
        let [first, second] = &found.strangest[..2] else {
            panic!("{found:?}");
        };
        let reasons = first.reasons.join("\n");
        assert!(reasons.contains("gone etag; new x-debug"), "{reasons}");
        assert!(reasons.contains("usual is application/json"), "{reasons}");
        assert_eq!(second.record.status, Some(500));
        assert!(second.reasons[0].contains("outcome is 500"), "{second:?}");
        assert!(second.score.percentile > 0.99);
        assert_eq!(found.strangest.len(), 3);
        assert_eq!(found.document().tables[0].rows.len(), 3);
    }

    #[test]
    fn a_recording_that_is_too_short_is_said_to_be() {
        let found = found("", (0..20).map(record));
        assert_eq!((found.ranked, found.learned_only), (0, 20));
        assert!(found.document().paragraphs[1].contains("too short"));
    }
}
