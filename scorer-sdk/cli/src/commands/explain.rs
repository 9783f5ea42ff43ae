//! `serin explain`: a snapshot for people.

use super::Exit;
use crate::args;
use crate::config::read_file;
use crate::output::{self, BOLD, grouped, plain, styled};
use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use scorer_sdk::signal::Signal;
use scorer_sdk::signal::latency::Latency;
use scorer_sdk::signal::outcome::Outcome;
use scorer_sdk::signal::size::Size;
use scorer_sdk::sketch::{NameTable, buckets};
use scorer_sdk::wire::reference::{Reference, ReferenceRoute, TokenValue};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Share of the answers above which a header is always there, as the category `lost_header` asks.
const ALWAYS: f64 = 0.995;
/// Outcomes and content types that a cell shows.
const SHOWN: usize = 3;

/// What is said of one route.
struct Row {
    route: String,
    exchanges: u64,
    outcomes: Vec<(String, f64)>,
    latency_ms: Option<[f64; 3]>,
    bytes: Option<[u64; 2]>,
    content_types: Vec<(String, f64)>,
    headers: Vec<String>,
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
        output::print_json(&report_json(&reference, &rows))?;
    } else {
        output::print(&report_text(&reference, &rows))?;
    }
    Ok(Exit::Good)
}

fn row(route: &ReferenceRoute) -> Row {
    Row {
        route: format!("{} {}", route.method, route.path),
        exchanges: route.exchanges,
        outcomes: shares(route, "outcome"),
        latency_ms: quantiles(route, &Latency::default(), [0.5, 0.95, 0.99])
            .map(|found| found.map(|micros| micros as f64 / 1e3)),
        bytes: quantiles(route, &Size::default(), [0.5, 0.99]),
        content_types: shares(route, "content_type"),
        headers: always(route),
    }
}

/// The tokens of a signal with their shares, the largest first.
fn shares(route: &ReferenceRoute, signal: &str) -> Vec<(String, f64)> {
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
    shares
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

fn report_json(reference: &Reference, rows: &[Row]) -> Value {
    let shares = |shares: &[(String, f64)]| -> Value {
        shares
            .iter()
            .map(|(name, share)| (name.clone(), Value::from(*share)))
            .collect()
    };
    let routes: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "route": row.route,
                "exchanges": row.exchanges,
                "outcomes": shares(&row.outcomes),
                "latency_ms": row.latency_ms.map(|[p50, p95, p99]| json!({"p50": p50, "p95": p95, "p99": p99})),
                "bytes": row.bytes.map(|[p50, p99]| json!({"p50": p50, "p99": p99})),
                "content_types": shares(&row.content_types),
                "headers_always": row.headers,
            })
        })
        .collect();
    json!({
        "destination": reference.destination,
        "version": reference.version,
        "exchanges": reference.exchanges,
        "routes": routes,
    })
}

fn report_text(reference: &Reference, rows: &[Row]) -> String {
    let mut table = Table::new();
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
            found.map(|value| format!("{value:.1}"))
        });
        let [bytes, most_bytes] = row
            .bytes
            .map_or_else(Default::default, |found| found.map(grouped));
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

fn cell(shares: &[(String, f64)]) -> String {
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
