//! `serin explain`: a snapshot for people.

use super::Exit;
use crate::args;
use crate::config::read_file;
use crate::output::{self, BOLD, grouped, plain, styled};
use crate::report::terminal::fit;
use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use scorer_sdk::signal::Signal;
use scorer_sdk::signal::latency::Latency;
use scorer_sdk::signal::outcome::Outcome;
use scorer_sdk::signal::size::Size;
use scorer_sdk::sketch::{NameTable, buckets};
use scorer_sdk::wire::reference::{Reference, ReferenceRoute, TokenValue};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Share of the answers above which a header is always there, as the category `lost_header` asks.
const ALWAYS: f64 = 0.995;
/// Outcomes and content types that a cell shows.
const SHOWN: usize = 3;

/// What is said of one route.
#[derive(Serialize)]
struct Row {
    route: String,
    exchanges: u64,
    outcomes: Shares,
    latency_ms: Option<Latencies>,
    bytes: Option<Sizes>,
    content_types: Shares,
    #[serde(rename = "headers_always")]
    headers: Vec<String>,
}

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Serialize)]
struct Latencies {
    p50: f64,
    p95: f64,
    p99: f64,
}

/// Quantiles in bytes.
#[derive(Clone, Copy, Serialize)]
struct Sizes {
    p50: u64,
    p99: u64,
}

/// Tokens with their shares, the largest first; in JSON an object.
struct Shares(Vec<(String, f64)>);

impl Serialize for Shares {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, share)| (name, share)))
    }
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or is no snapshot.
pub fn run(args: &args::Explain) -> Result<Exit> {
    let reference: Reference = serde_json::from_str(&read_file(&args.file)?)
        .with_context(|| format!("{} is no snapshot; `serin snapshot` makes one", args.file))?;
    if let Err(problem) = reference.check() {
        bail!("{}: {problem}", args.file);
    }
    let rows: Vec<Row> = reference.routes.iter().map(row).collect();
    if args.json {
        output::print_json(&Report {
            destination: &reference.destination,
            version: &reference.version,
            exchanges: reference.exchanges,
            routes: &rows,
        })?;
    } else {
        output::print_wrapped(&report_text(&reference, &rows))?;
    }
    Ok(Exit::Good)
}

fn row(route: &ReferenceRoute) -> Row {
    Row {
        route: format!("{} {}", route.method, route.path),
        exchanges: route.exchanges,
        outcomes: shares(route, "outcome"),
        latency_ms: quantiles(route, &Latency::default(), [0.5, 0.95, 0.99])
            .map(|found| found.map(|micros| micros as f64 / 1e3))
            .map(|[p50, p95, p99]| Latencies { p50, p95, p99 }),
        bytes: quantiles(route, &Size::default(), [0.5, 0.99]).map(|[p50, p99]| Sizes { p50, p99 }),
        content_types: shares(route, "content_type"),
        headers: always(route),
    }
}

/// The tokens of a signal with their shares, the largest first.
fn shares(route: &ReferenceRoute, signal: &str) -> Shares {
    let tokens = route
        .signals
        .get(signal)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let total: f64 = tokens.iter().map(|(_, count)| *count as f64).sum();
    let mut shares: Vec<(String, f64)> = tokens
        .iter()
        .map(|(token, count)| {
            let name = match token {
                TokenValue::Name(name) => name.clone(),
                TokenValue::Number(code) => Outcome.label(*code),
            };
            (name, *count as f64 / total.max(1.0))
        })
        .collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    Shares(shares)
}

/// Upper bounds of the buckets at these quantiles, in the signal's own unit.
fn quantiles<const N: usize>(
    route: &ReferenceRoute,
    signal: &dyn Signal,
    at: [f64; N],
) -> Option<[u64; N]> {
    let past = route.past(signal, &mut NameTable::default());
    past.quantile(0.5)?;
    Some(at.map(|q| past.quantile(q).map_or(0, buckets::upper_bound)))
}

fn always(route: &ReferenceRoute) -> Vec<String> {
    let sets = route
        .signals
        .get("header_names")
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut present: BTreeMap<&str, f64> = BTreeMap::new();
    let mut total = 0.0;
    for (token, count) in sets {
        total += *count as f64;
        let TokenValue::Name(names) = token else {
            continue;
        };
        for name in names.split(',').filter(|name| !name.is_empty()) {
            *present.entry(name).or_default() += *count as f64;
        }
    }
    present
        .into_iter()
        .filter(|(_, count)| *count >= ALWAYS * total)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    destination: &'a str,
    version: &'a str,
    exchanges: u64,
    routes: &'a [Row],
}

fn report_text(reference: &Reference, rows: &[Row]) -> String {
    let mut table = Table::new();
    fit(&mut table, output::width());
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
        "route",
        "exchanges",
        "outcomes",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "bytes p50",
        "p99",
        "content types",
    ]);
    for row in rows {
        let [p50, p95, p99] = row.latency_ms.map_or_else(Default::default, |found| {
            [found.p50, found.p95, found.p99].map(|value| format!("{value:.1}"))
        });
        let [bytes, most_bytes] = row.bytes.map_or_else(Default::default, |found| {
            [found.p50, found.p99].map(grouped)
        });
        table.add_row([
            plain(&row.route).into_owned(),
            grouped(row.exchanges),
            cell(&row.outcomes),
            p50,
            p95,
            p99,
            bytes,
            most_bytes,
            cell(&row.content_types),
        ]);
    }
    for index in [1, 3, 4, 5, 6, 7] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!(
        "{} {}: {} exchanges on {} routes\n{table}\n",
        styled(BOLD, &plain(&reference.destination)),
        styled(BOLD, &plain(&reference.version)),
        grouped(reference.exchanges),
        reference.routes.len(),
    );
    if rows.iter().any(|row| !row.headers.is_empty()) {
        text.push_str("headers that are always there\n");
        for row in rows.iter().filter(|row| !row.headers.is_empty()) {
            let headers = row.headers.join(", ");
            text.push_str(&format!("  {}: {}\n", plain(&row.route), plain(&headers)));
        }
    }
    text
}

fn cell(Shares(shares): &Shares) -> String {
    let mut lines: Vec<String> = shares
        .iter()
        .take(SHOWN)
        .map(|(name, share)| format!("{} {:.1}%", plain(name), 100.0 * share))
        .collect();
    if shares.len() > SHOWN {
        lines.push(format!("and {} more", shares.len() - SHOWN));
    }
    lines.join("\n")
}
