//! The telemetry contract holds everywhere: the reference page is made from the table, and
//! documents, manifests and sources name only metrics and headers that there are.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, this is how it fails"
)]

use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry::{
    HEADER_PREFIX, HEADERS, LABELS, METRIC_PREFIX, METRICS, Metric, STAT_PREFIX, STEER_HEADER,
    Series,
};
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the reference page stands.
const PAGE: &str = "docs/reference-metrics.md";
/// Set to write the page in place of comparing it.
const WRITE: &str = "SERIN_WRITE_REFERENCE";
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

/// The reference page, made from the table.
fn page() -> Result<String> {
    let mut page = String::from(
        "# Metrics and headers\n\n\
         <!-- Made from scorer-sdk/src/telemetry.rs by `make reference`: change it there. -->\n\n\
         ## Metrics\n\n\
         Envoy shows them on `/stats/prometheus`. Envoy's metrics are whole numbers that are not \
         negative. So evidence is in thousandths of a nat, and evidence on single routes is a pair \
         of gauges, for and against. A series appears with its first value: where there is none, \
         read 0.\n\n\
         The last column says whether a series counts toward `max_series`. The others are made in \
         any case. Gauges of destination and version, and the evidence, go to 0 when another \
         candidate takes over under the same config.\n\n\
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
         In Istio the labels need `extraStatTags: [{}]`, in `meshConfig.defaultConfig` or in the pod \
         annotation `sidecar.istio.io/extraStatTags`. A plain Envoy needs a regex for each in \
         `stats_config.stats_tags`. Envoy reads either at its start only. Before that, the labels \
         are part of Envoy's name of the metric, such as \
         `{STAT_PREFIX}.destination=.=shop;.;version=.=v2;.;serin_verdict`.\n\n\
         ## Headers\n\n\
         | header | on | set by | value | removed by |\n\
         | --- | --- | --- | --- | --- |\n",
        LABELS.join(", "),
    )?;
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
        "\n`{}` is removed from requests that come from outside, before Envoy chooses the route. Other \
         request headers that begin with `{HEADER_PREFIX}` do nothing, and are removed where an \
         exchange is looked at in full.\n",
        STEER_HEADER.name
    )?;
    Ok(page)
}

#[test]
fn the_reference_page_is_made_from_the_table() -> Result<()> {
    let path = workspace().join(PAGE);
    let expected = page()?;
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected)?;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        found == expected,
        "{PAGE} is not what the table says; `make reference` writes it anew"
    );
    Ok(())
}

#[test]
fn the_readme_lists_the_labels_as_the_table_does() -> Result<()> {
    let text = fs::read_to_string(workspace().join("README.md"))?;
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
