//! Snapshots: what one version does, counted from recorded exchanges into a [`Reference`].

use anyhow::{Result, bail};
use scorer_sdk::Plan;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::limits::MAX_ROUTES;
use scorer_sdk::sketch::{NameTable, names};
use scorer_sdk::wire::recording::Record;
use scorer_sdk::wire::reference::{FORMAT, Reference, ReferenceRoute, TokenValue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most versions, over all destinations, that are counted while none is chosen.
const MAX_CHOICES: usize = 64;
/// The name that stands for all names beyond a table. It comes last: behind a full table it falls on
/// the guard's own code for what is beyond.
const OTHER_NAME: &str = "{other}";
/// The hash tables' seed: two snapshots of one recording should be alike.
const SEED: u64 = 0;

/// Counts exchanges per destination and version.
pub struct Snapshot {
    plan: Arc<Plan>,
    destination: Option<String>,
    version: Option<String>,
    // Each version has its own tally, so that its names do not share a table with another's.
    tallies: BTreeMap<(String, String), (u64, Tally)>,
}

impl Snapshot {
    /// Counts the exchanges of this destination and version; `None` counts all until there is a
    /// choice to be made. The plan's baseline stands in for a version that is not given.
    #[must_use]
    pub fn new(plan: Arc<Plan>, destination: Option<String>, version: Option<String>) -> Self {
        let version = version.or_else(|| plan.baseline.clone());
        Self {
            plan,
            destination,
            version,
            tallies: BTreeMap::new(),
        }
    }

    /// Counts an exchange.
    ///
    /// # Errors
    /// When there are too many versions to go on without a choice.
    pub fn push(&mut self, mut record: Record) -> Result<()> {
        let differs = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_some_and(|wanted| wanted != found)
        };
        if differs(&self.destination, &record.destination)
            || differs(&self.version, &record.version)
        {
            return Ok(());
        }
        if !self.plan.routes_by_name {
            record.route.clear();
        }
        let choice = (record.destination.clone(), record.version.clone());
        if self.tallies.len() >= MAX_CHOICES && !self.tallies.contains_key(&choice) {
            bail!("more than {MAX_CHOICES} versions: choose one with --destination and --version");
        }
        let plan = &self.plan;
        let (exchanges, tally) = self
            .tallies
            .entry(choice)
            .or_insert_with(|| (0, Tally::new(Arc::clone(plan), SEED)));
        *exchanges += 1;
        tally.record(&record.exchange());
        Ok(())
    }

    /// The reference.
    ///
    /// # Errors
    /// When there is no exchange of the chosen version, or a choice to be made: it is named.
    pub fn finish(mut self) -> Result<Reference> {
        if self.tallies.len() > 1 {
            let choices: Vec<String> = self
                .tallies
                .iter()
                .map(|((destination, version), (exchanges, _))| {
                    format!(
                        "  --destination {destination} --version {version}  ({exchanges} exchanges)"
                    )
                })
                .collect();
            bail!(
                "a snapshot is of one version; choose:\n{}",
                choices.join("\n")
            );
        }
        let Some(((destination, version), (exchanges, mut tally))) = self.tallies.pop_first()
        else {
            let of = |name: &str, wanted: &Option<String>| {
                wanted
                    .as_ref()
                    .map(|wanted| format!(" {name} {wanted}"))
                    .unwrap_or_default()
            };
            bail!(
                "there is no exchange{}{} in the input",
                of("of destination", &self.destination),
                of("of version", &self.version)
            );
        };
        let delta = tally.take();
        let reference = Reference {
            serin_snapshot: FORMAT,
            destination,
            version,
            exchanges,
            routes: routes(&self.plan, &delta),
        };
        match reference.check() {
            Ok(()) => Ok(reference),
            Err(problem) => bail!("the snapshot is out of bounds: {problem}"),
        }
    }
}

#[derive(Default)]
struct RouteSums {
    exchanges: u64,
    signals: BTreeMap<String, Tokens>,
}

#[derive(Default)]
struct Tokens {
    counts: BTreeMap<TokenValue, u64>,
    other: u64,
}

/// The routes by method and path, those with most exchanges first. Route names differ between
/// proxies, so that routes that differ in nothing else are one.
fn routes(plan: &Plan, delta: &Delta) -> Vec<ReferenceRoute> {
    let mut sums: BTreeMap<(String, String), RouteSums> = BTreeMap::new();
    for route in &delta.routes {
        let sum = sums
            .entry((route.key.method.clone(), route.key.path.clone()))
            .or_default();
        for version in &route.versions {
            sum.exchanges += version.exchanges;
            let counted = plan.signals.iter().zip(&route.names).zip(&version.counts);
            for ((signal, names), counts) in counted {
                let tokens = sum.signals.entry(signal.name().to_owned()).or_default();
                for (code, count) in counts.iter() {
                    match token(code, names) {
                        Some(token) => {
                            *tokens.counts.entry(token).or_default() += u64::from(count);
                        }
                        None => tokens.other += u64::from(count),
                    }
                }
            }
        }
    }
    let mut routes: Vec<ReferenceRoute> = sums
        .into_iter()
        .map(|((method, path), sum)| ReferenceRoute {
            method,
            path,
            exchanges: sum.exchanges,
            signals: sum
                .signals
                .into_iter()
                .map(|(name, tokens)| (name, tokens.into_list()))
                .collect(),
        })
        .collect();
    routes.sort_by_key(|route| core::cmp::Reverse(route.exchanges));
    routes.truncate(MAX_ROUTES);
    routes
}

impl Tokens {
    fn into_list(self) -> Vec<(TokenValue, u64)> {
        let mut list: Vec<_> = self.counts.into_iter().collect();
        if self.other > 0 {
            list.push((TokenValue::Name(OTHER_NAME.to_owned()), self.other));
        }
        list
    }
}

/// The token behind a code; `None` for the names beyond the table. A signal has names or numbers,
/// and only the former fill its table.
fn token(code: u16, table: &NameTable) -> Option<TokenValue> {
    match table.name(code) {
        Some(name) => Some(TokenValue::Name(name.to_owned())),
        None if code == names::OTHER && !table.is_empty() => None,
        None => Some(TokenValue::Number(code)),
    }
}
