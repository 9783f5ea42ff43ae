//! Every query of every dashboard, as Grafana would send it.

use super::manifests::rule_groups;
use super::scene::Scene;
use super::server::{self, Prometheus, Sample, Settings};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::fs;

/// What Grafana puts in the place of variables. For `All` it is the variable's `allValue`; the
/// interval is four scrapes, as it is by default.
const VARIABLES: [(&str, &str); 3] = [
    ("$destination", ".+"),
    ("$version", ".+"),
    ("$__rate_interval", "8s"),
];

/// Labels of what stands for nothing.
const FALLBACKS: [&str; 2] = ["nothing so far", "no drift is measured yet"];

/// Panels with their queries.
fn queries() -> Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    for entry in fs::read_dir(workspace().join("envoyfilter-manifests/dashboards"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        for variable in dashboard["templating"]["list"]
            .as_array()
            .context("variables")?
        {
            if variable["type"] == "query" {
                ensure!(variable["allValue"] == ".+", "{variable}");
            }
        }
        for panel in dashboard["panels"].as_array().context("panels")? {
            let title = panel["title"].as_str().context("a panel without a title")?;
            // A row is a heading, and a text asks nothing.
            if panel["type"] == "row" || panel["type"] == "text" {
                continue;
            }
            ensure!(panel["description"].is_string(), "{title}: no description");
            for target in panel["targets"].as_array().context("targets")? {
                let query = target["expr"].as_str().context("expr")?;
                queries.push((title.to_owned(), query.to_owned()));
            }
        }
        for annotation in dashboard["annotations"]["list"]
            .as_array()
            .context("annotations")?
        {
            let query = annotation["expr"].as_str().context("expr")?;
            queries.push(("annotation".to_owned(), query.to_owned()));
        }
    }
    ensure!(queries.len() > 20, "only {} queries", queries.len());
    Ok(queries)
}

/// The queries, for who looks at their metrics.
pub(crate) fn expressions() -> Result<Vec<String>> {
    Ok(queries()?.into_iter().map(|(_, query)| query).collect())
}

/// A query as Grafana sends it.
fn filled(title: &str, query: &str) -> Result<String> {
    let filled = VARIABLES
        .iter()
        .fold(query.to_owned(), |query, (name, value)| {
            query.replace(name, value)
        });
    ensure!(
        !filled.contains('$'),
        "{title}: a variable is left in {filled}"
    );
    Ok(filled)
}

/// What a query says when there is nothing: one series without a destination.
fn is_fallback(sample: &Sample) -> bool {
    sample.value == 0.0
        && sample
            .labels
            .iter()
            .all(|(_, value)| FALLBACKS.contains(&value.as_str()))
}

pub(crate) async fn each_query_returns_data(scene: &Scene) -> Result<()> {
    let mut wrong = Vec::new();
    for (title, query) in queries()? {
        let filled = filled(&title, &query)?;
        let samples = scene.prometheus.query(&filled).await?;
        // An annotation is there at the moment of a verdict only.
        if title == "annotation" {
            continue;
        }
        if samples.iter().all(|sample| sample.value.is_nan()) {
            wrong.push(format!("{title}: no data for {filled}"));
        }
        let labelled = samples.iter().any(|sample| !sample.labels.is_empty());
        if labelled && samples.len() > 1 && samples.iter().any(is_fallback) {
            wrong.push(format!("{title}: a series beside the others in {filled}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Before Serin has seen anything no panel shows an error, and those that say so show one series.
#[tokio::test]
async fn each_query_of_the_dashboard_is_accepted_where_there_is_no_data() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::beside_another().await;
    let settings = Settings {
        folder: "prometheus-empty",
        step: server::STEP,
        alertmanager: None,
    };
    let prometheus = Prometheus::start_with(&binary, &[], &rule_groups()?, &settings).await?;
    let mut with_fallback = 0;
    for (title, query) in queries()? {
        let samples = prometheus.query(&filled(&title, &query)?).await?;
        if query.contains(" or on () ") {
            with_fallback += 1;
            ensure!(
                samples.len() == 1 && samples.iter().all(is_fallback),
                "{title}: {samples:?}"
            );
        } else {
            ensure!(samples.is_empty(), "{title}: {samples:?}");
        }
    }
    ensure!(with_fallback > 5, "only {with_fallback} queries say so");
    Ok(())
}

/// Of labelled series, a fallback has to be told that it stands alone.
#[test]
fn no_query_of_the_dashboard_adds_a_series_beside_labelled_ones() -> Result<()> {
    for query in expressions()? {
        ensure!(!query.contains("or vector("), "{query}");
        ensure!(!query.contains("or label_replace("), "{query}");
    }
    Ok(())
}
