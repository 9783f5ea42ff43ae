//! `serin status`: what live proxies think of their rollouts, again and again.

use super::Exit;
use crate::args;
use crate::fetch::Fetcher;
use crate::output;
use crate::samples::saturating_sum;
use crate::status::fleet::{Fleet, STALE, STALE_IN_PROMETHEUS};
use crate::status::show::{Around, Report, text};
use crate::status::source::{Kind, Proxy, Source, now};
use anyhow::{Result, bail};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

/// Time over which the share is taken while the proxies are watched.
const RECENT: Duration = Duration::from_secs(30);
/// Fewest requests that a share of the last seconds is taken of.
const ENOUGH: u64 = 20;
/// Time between two looks where it is not said.
const EVERY: Duration = Duration::from_secs(2);
/// URLs that are asked at once.
const AT_ONCE: usize = 16;

type Exchanges = BTreeMap<String, BTreeMap<String, u64>>;

/// Runs the command.
///
/// # Errors
/// When a URL cannot be used, no URL answers at the first look, or the output cannot be written.
pub fn run(args: &args::Status) -> Result<Exit> {
    let mut sources = Vec::new();
    for url in &args.urls {
        sources.push(Source::new(url)?);
    }
    for url in &args.prometheus {
        sources.push(Source::prometheus(url)?);
    }
    let fetcher = Fetcher::new(&args.access)?;
    let terminal = stdout().is_terminal() && !args.view.json;
    let again = !args.view.once && (args.view.watch.is_some() || terminal);
    let every = args.view.watch.unwrap_or(EVERY);
    let mut past: VecDeque<(Instant, Exchanges)> = VecDeque::new();
    for look in 0_u64.. {
        let begun = Instant::now();
        let Looked {
            proxies,
            routes,
            unreachable,
            problems,
        } = look_at_all(&mut sources, &fetcher);
        if look == 0 && proxies.is_empty() && !unreachable.is_empty() {
            let errors: Vec<&str> = unreachable.iter().map(|(_, error)| &**error).collect();
            bail!("{}", errors.join("\n"));
        }
        let prometheus = sources
            .iter()
            .any(|source| source.kind() == Some(Kind::Prometheus));
        let stale = if prometheus {
            STALE_IN_PROMETHEUS
        } else {
            STALE
        };
        let mut fleet = Fleet::new(&proxies, &routes, stale);
        fleet.problems.extend(problems);
        let around = Around {
            at: now(),
            recent: recent(&mut past, &fleet),
            unreachable,
        };
        match (args.view.json, again && terminal) {
            // One line a look, so that a program can read them as they come.
            (true, _) if again => output::print_json_line(&Report::new(&fleet, &around))?,
            (true, _) => output::print_json(&Report::new(&fleet, &around))?,
            (false, true) => {
                let text = text(&fleet, &around);
                output::print_screen(&in_index(&output::shown(&text), look == 0))?;
            }
            (false, false) => output::print_wrapped(&text(&fleet, &around))?,
        }
        if !again {
            return Ok(
                match (fleet.is_anomalous(), around.unreachable.is_empty()) {
                    (true, _) => Exit::Anomalous,
                    (false, true) => Exit::Good,
                    (false, false) => Exit::Unusable,
                },
            );
        }
        std::thread::sleep(every.saturating_sub(begun.elapsed()));
    }
    Ok(Exit::Good)
}

/// What one look at all URLs has found.
#[derive(Debug, Default)]
struct Looked {
    proxies: Vec<Proxy>,
    /// Routes of each destination within a day; of several Prometheus the most.
    routes: BTreeMap<String, usize>,
    /// URLs that did not answer, with the reason.
    unreachable: Vec<(String, String)>,
    /// What else is wrong, in sentences.
    problems: Vec<String>,
}

impl Looked {
    fn add_routes(&mut self, url: &str, routes: Result<BTreeMap<String, usize>>) {
        match routes {
            Ok(routes) => {
                for (destination, count) in routes {
                    let most = self.routes.entry(destination).or_default();
                    *most = count.max(*most);
                }
            }
            Err(error) => self.problems.push(format!(
                "{url}: the routes of the last day cannot be counted, only those of now: {error:#}"
            )),
        }
    }
}

/// Asks all URLs, some at once, and returns what they say in their order.
fn look_at_all(sources: &mut [Source], fetcher: &Fetcher) -> Looked {
    let mut looked = Looked::default();
    for some in sources.chunks_mut(AT_ONCE) {
        let found = std::thread::scope(|scope| {
            let looks: Vec<_> = some
                .iter_mut()
                .map(|source| {
                    let url = source.url().to_owned();
                    let look = move || anyhow::Ok((source.look(fetcher)?, source.routes(fetcher)));
                    (url, scope.spawn(look))
                })
                .collect();
            looks
                .into_iter()
                .map(|(url, look)| (url, look.join()))
                .collect::<Vec<_>>()
        });
        for (url, look) in found {
            match look {
                Ok(Ok((proxies, routes))) => {
                    looked.proxies.extend(proxies);
                    looked.add_routes(&url, routes);
                }
                Ok(Err(error)) => looked.unreachable.push((url, format!("{error:#}"))),
                Err(_) => looked
                    .unreachable
                    .push((url.clone(), format!("{url} could not be read"))),
            }
        }
    }
    looked
}

/// The exchanges of the last seconds, of the destinations that had enough of them.
fn recent(past: &mut VecDeque<(Instant, Exchanges)>, fleet: &Fleet) -> Exchanges {
    let now = Instant::now();
    while past
        .get(1)
        .is_some_and(|(at, _)| now.duration_since(*at) >= RECENT)
    {
        past.pop_front();
    }
    let exchanges: Exchanges = fleet
        .rollouts
        .iter()
        .map(|rollout| (rollout.destination.clone(), rollout.exchanges.clone()))
        .collect();
    let mut grown = Exchanges::new();
    if let Some((_, before)) = past.front() {
        for (destination, versions) in &exchanges {
            let known = before.get(destination);
            let growth: BTreeMap<String, u64> = versions
                .iter()
                .map(|(version, count)| {
                    let then = known.and_then(|known| known.get(version)).copied();
                    // Where a proxy started anew, the count is less than it was.
                    (version.clone(), count.saturating_sub(then.unwrap_or(0)))
                })
                .collect();
            if saturating_sum(growth.values().copied()) >= ENOUGH {
                grown.insert(destination.clone(), growth);
            }
        }
    }
    past.push_back((now, exchanges));
    grown
}

/// The text over what the terminal shows, cut to its height.
fn in_index(text: &str, first: bool) -> String {
    let (rows, columns) = console::Term::stdout().size();
    let room = usize::from(rows).saturating_sub(2).max(5);
    let text = output::wrapped(text, columns.into());
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = String::from(if first {
        "\u{1b}[2J\u{1b}[H"
    } else {
        "\u{1b}[H"
    });
    for line in lines.iter().take(room) {
        // A line that wraps would take the place of two.
        shown.push_str(&console::truncate_str(line, columns.into(), "…"));
        shown.push_str("\u{1b}[K\n");
    }
    if lines.len() > room {
        let more = format!("… {} more lines; --once shows all", lines.len() - room);
        shown.push_str(&format!("{more}\u{1b}[K\n"));
    }
    // What a longer text left below.
    shown.push_str("\u{1b}[J");
    shown
}
