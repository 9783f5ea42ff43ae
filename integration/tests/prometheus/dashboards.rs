//! Every query of every dashboard, as Grafana would send it.

use super::manifests::rule_groups;
use super::scene::Scene;
use super::server::{self, Prometheus, Sample, Settings};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// What Grafana puts in the place of variables. For `All` it is the variable's `allValue`; the
/// interval is four scrapes, as it is by default.
const VARIABLES: [(&str, &str); 3] = [
    ("$destination", ".+"),
    ("$version", ".+"),
    ("$__rate_interval", "8s"),
];

const HOUR_MS: f64 = 3_600_000.0;

/// Labels of what stands for nothing.
const FALLBACKS: [&str; 2] = ["nothing so far", "no drift is measured yet"];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Panel,
    /// A mark at the time that the query's value is, in milliseconds.
    Mark,
}

/// A query with what asks it.
struct Query {
    asker: Asker,
    title: String,
    text: String,
}

pub(super) fn dashboards() -> Result<Vec<Value>> {
    let mut dashboards = Vec::new();
    for entry in fs::read_dir(workspace().join("envoyfilter-manifests/dashboards"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            dashboards.push(serde_json::from_str(&fs::read_to_string(&path)?)?);
        }
    }
    ensure!(!dashboards.is_empty(), "no dashboard");
    Ok(dashboards)
}

pub(super) fn array<'a>(value: &'a Value, pointer: &str) -> Result<&'a Vec<Value>> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.with_context(|| pointer.to_owned())
}

/// The panels that show something: a row is a heading.
pub(super) fn panels(dashboard: &Value) -> Result<impl Iterator<Item = &Value>> {
    let panels = array(dashboard, "/panels")?.iter();
    Ok(panels.filter(|panel| panel["type"] != "row"))
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("{field} in {value}"))
}

fn queries() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for dashboard in dashboards()? {
        for variable in array(&dashboard, "/templating/list")? {
            if variable["type"] == "query" {
                ensure!(variable["allValue"] == ".+", "{variable}");
            }
        }
        // A text asks nothing.
        for panel in panels(&dashboard)?.filter(|panel| panel["type"] != "text") {
            let title = text(panel, "title")?;
            ensure!(panel["description"].is_string(), "{title}: no description");
            for target in array(panel, "/targets")? {
                queries.push(Query {
                    asker: Asker::Panel,
                    title: title.to_owned(),
                    text: text(target, "expr")?.to_owned(),
                });
            }
        }
        for mark in array(&dashboard, "/annotations/list")? {
            let title = text(mark, "name")?;
            ensure!(mark["useValueForTime"] == true, "{title}: {mark}");
            queries.push(Query {
                asker: Asker::Mark,
                title: title.to_owned(),
                text: text(mark, "expr")?.to_owned(),
            });
        }
    }
    let marks = queries.iter().filter(|query| query.asker == Asker::Mark);
    ensure!(
        marks.count() == 2,
        "a mark of the onset and one of the verdict"
    );
    ensure!(queries.len() > 20, "only {} queries", queries.len());
    Ok(queries)
}

/// The queries, for who looks at their metrics.
pub(crate) fn expressions() -> Result<Vec<String>> {
    Ok(queries()?.into_iter().map(|query| query.text).collect())
}

impl Query {
    /// As Grafana sends it.
    fn filled(&self) -> Result<String> {
        let filled = VARIABLES
            .iter()
            .fold(self.text.clone(), |query, (name, value)| {
                query.replace(name, value)
            });
        ensure!(
            !filled.contains('$'),
            "{}: a variable is left in {filled}",
            self.title
        );
        Ok(filled)
    }
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
    for query in queries()? {
        let (title, filled) = (&query.title, query.filled()?);
        let samples = scene.prometheus.query(&filled).await?;
        if query.asker == Asker::Mark {
            wrong.extend(wrong_time(&samples)?.map(|what| format!("{title}: {what}")));
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

/// What is wrong with the times of the marks on the scene's bad candidate: it is minutes old.
fn wrong_time(samples: &[Sample]) -> Result<Option<String>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
    let recent = |sample: &Sample| (now - HOUR_MS..=now).contains(&sample.value);
    let of =
        |sample: &Sample| sample.label("destination") == "bad" && sample.label("version") == "v2";
    let right = samples.iter().any(of) && samples.iter().all(recent);
    Ok((!right).then(|| format!("no recent time in milliseconds: {samples:?}")))
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
        cluster: None,
        sidecars: None,
    };
    let prometheus = Prometheus::start_with(&binary, &[], &rule_groups()?, &settings).await?;
    let mut with_fallback = 0;
    for query in queries()? {
        let (title, samples) = (&query.title, prometheus.query(&query.filled()?).await?);
        if query.text.contains(" or on () ") {
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
