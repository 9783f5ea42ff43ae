//! The telemetry contract holds everywhere: the reference pages are made from the table, and
//! documents, manifests and sources name only metrics and headers that there are.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, this is how it fails"
)]

use crate::reference::hold;
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry::{
    HEADER_PREFIX, HEADERS, LABELS, METRIC_PREFIX, METRICS, Metric, REJECT_HEADER, STAT_PREFIX,
    STEER_HEADER, Series,
};
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the reference pages stand.
const METRICS_PAGE: &str = "docs/reference-metrics.md";
const HEADERS_PAGE: &str = "docs/reference-headers.md";
/// Words with the prefix that name no metric: a field of snapshots, and crates.
const OTHERS: [&str; 7] = [
    "serin_snapshot",
    "serin_cli",
    "serin_config",
    "serin_eval",
    "serin_filter",
    "serin_integration",
    "serin_pack",
];

/// The reference of the metrics, made from the table.
fn metrics_page() -> Result<String> {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- Made from scorer-sdk/src/telemetry.rs by `make reference`: change it there. -->\n\n\
         Envoy exposes these metrics on `/stats/prometheus`. Envoy's metrics are whole numbers and \
         never negative, so evidence is in thousandths of a nat, and evidence on single routes is a \
         pair of gauges, for and against. A series appears with its first value: read a missing one \
         as 0.\n\n\
         The last column says whether a series counts toward `max_series`; Serin always creates the \
         others. Gauges of destination and version, and the evidence, go to 0 when another candidate \
         takes over under the same config.\n\n\
         | metric | type | labels | meaning | capped |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for metric in METRICS {
        let capped = match metric.series {
            Series::Capped => "yes",
            Series::Always => "no",
        };
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {capped} |",
            metric.name,
            metric.kind.name(),
            metric.labels.join(", "),
            metric.help,
        )?;
    }
    write!(
        page,
        "\n`role` is `comparer` or `guard`: both may run in one proxy.\n\n\
         In Istio, the labels need `extraStatTags: [{}]`, in `meshConfig.defaultConfig` or in the pod \
         annotation `sidecar.istio.io/extraStatTags`. A plain Envoy needs a regex for each in \
         `stats_config.stats_tags`. Envoy reads both only at its start. Until then, the labels are \
         part of Envoy's name of the metric, such as \
         `{STAT_PREFIX}.destination=.=shop;.;version=.=v2;.;serin_verdict`.\n",
        LABELS.join(", "),
    )?;
    Ok(page)
}

/// The reference of the headers, made from the table.
fn headers_page() -> Result<String> {
    let mut page = format!(
        "# Headers\n\n\
         <!-- Made from scorer-sdk/src/telemetry.rs by `make reference`: change it there. -->\n\n\
         Serin's headers begin with `{HEADER_PREFIX}`.\n\n\
         | header | on | set by | value | removed by |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for header in HEADERS {
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            header.name,
            header.on.name(),
            header.set_by,
            header.value,
            header.removed_by,
        )?;
    }
    write!(
        page,
        "\nSerin removes `{}` from outside requests before Envoy chooses the route. Other request \
         headers that begin with `{HEADER_PREFIX}` do nothing; Serin removes them when it looks at an \
         exchange in full.\n\n\
         Without a guard in front of it, an application that sets `{}` itself has its responses \
         retried: the caller's router decides on the retry before any filter sees the response.\n",
        STEER_HEADER.name, REJECT_HEADER.name,
    )?;
    Ok(page)
}

#[test]
fn the_reference_pages_of_metrics_and_headers_are_made_from_the_table() -> Result<()> {
    hold(METRICS_PAGE, &metrics_page()?)?;
    hold(HEADERS_PAGE, &headers_page()?)
}

#[test]
fn the_page_on_monitoring_lists_the_labels_as_the_table_does() -> Result<()> {
    let text = fs::read_to_string(workspace().join("docs/monitoring.md"))?;
    let (_, list) = text.split_once("`extraStatTags: [").context("a list")?;
    let (list, _) = list.split_once("]`").context("the list's end")?;
    assert_eq!(list.split(", ").collect::<Vec<_>>(), LABELS);
    Ok(())
}

/// All files under a folder with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![workspace().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() {
                open.push(path);
            } else if ending.is_some_and(|ending| endings.contains(&ending)) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Documents and manifests.
fn readers() -> Result<Vec<PathBuf>> {
    let mut found = files("docs", &["md"])?;
    found.extend(files("envoyfilter-manifests", &["md", "yaml", "json"])?);
    found.extend(files("integration/compose", &["yaml"])?);
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        found.push(workspace().join(name));
    }
    ensure!(found.len() > 30, "only {} files found", found.len());
    Ok(found)
}

/// The words of a text that begin with a prefix and have more letters; a word is made of
/// `letters`.
fn words<'a>(text: &'a str, prefix: &'a str, dash: bool) -> impl Iterator<Item = &'a str> {
    text.split(move |character: char| {
        !(character.is_ascii_alphanumeric() || character == '_' || dash && character == '-')
    })
    .filter(move |word| word.len() > prefix.len() && word.starts_with(prefix))
}

fn exposed() -> BTreeSet<String> {
    METRICS.iter().flat_map(Metric::exposed).collect()
}

#[test]
fn documents_and_manifests_name_only_metrics_and_headers_that_there_are() -> Result<()> {
    let (exposed, headers) = (exposed(), headers());
    let (mut wrong, mut seen) = (BTreeSet::new(), 0);
    for path in readers()? {
        let text = fs::read_to_string(&path)?;
        for word in words(&text, METRIC_PREFIX, false) {
            seen += 1;
            let is_metric =
                exposed.contains(word) || METRICS.iter().any(|known| known.name == word);
            if !is_metric && !OTHERS.contains(&word) {
                wrong.insert(format!("{}: {word}", path.display()));
            }
        }
        for word in words(&text, HEADER_PREFIX, true) {
            if !headers.contains(word) {
                wrong.insert(format!("{}: {word}", path.display()));
            }
        }
    }
    ensure!(seen > 300, "only {seen} names found");
    ensure!(wrong.is_empty(), "no such names: {wrong:#?}");
    Ok(())
}

fn headers() -> BTreeSet<&'static str> {
    HEADERS.iter().map(|header| header.name).collect()
}

/// Sources of what ships and of the harness.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["scorer-sdk", "filter", "integration"] {
        found.extend(files(folder, &["rs"])?);
    }
    // The evaluation reads no metrics; `serin_` begins fields of its own there.
    let other = ["target", "eval"];
    found.retain(|path| {
        let mut parts = path.components();
        !parts.any(|part| other.iter().any(|name| part.as_os_str() == *name))
            && !path.ends_with("scorer-sdk/src/telemetry.rs")
    });
    ensure!(found.len() > 200, "only {} sources found", found.len());
    Ok(found)
}

/// A test may show a page as it is; its names are held against the table below.
fn is_test(path: &Path) -> bool {
    ["tests", "scenarios", "testing.rs"]
        .iter()
        .any(|name| path.components().any(|part| part.as_os_str() == *name))
}

#[test]
fn what_ships_takes_its_names_from_the_table() -> Result<()> {
    let names = METRICS.iter().map(|metric| metric.name).chain(headers());
    let literals: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let mut wrong = Vec::new();
    for path in sources()? {
        if is_test(&path) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for literal in &literals {
            if shipped.contains(literal) {
                wrong.push(format!("{}: {literal}", path.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "take them from the table: {wrong:#?}");
    Ok(())
}

/// Pages of metrics that tests show, and messages that name a metric.
#[test]
fn texts_in_sources_name_only_metrics_that_there_are() -> Result<()> {
    let exposed = exposed();
    let mut wrong = BTreeSet::new();
    for path in sources()? {
        let text = fs::read_to_string(&path)?;
        // What lies between two texts is looked at as well: no metric is named there.
        for part in text.split('"').skip(1) {
            for word in words(part, METRIC_PREFIX, false) {
                let shown = part.starts_with(word)
                    || part.contains(&format!("\n{word}"))
                    || part.contains(&format!("{word}{{"));
                if shown && !exposed.contains(word) && !is_allowed(word) {
                    wrong.insert(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "no such metrics: {wrong:#?}");
    Ok(())
}

/// Made-up names in tests, where what is named does not matter.
fn is_allowed(word: &str) -> bool {
    let made_up = ["serin_x", "serin_other", "serin_cut", "serin_nan"];
    // The prefix of several names.
    word.ends_with('_')
        || OTHERS.contains(&word)
        || made_up.contains(&word)
        || METRICS.iter().any(|metric| metric.name == word)
}
