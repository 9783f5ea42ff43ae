//! Every query of every dashboard, as Grafana would send it.

use super::scene::Scene;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::fs;

/// What Grafana puts in the place of variables. For `All` it is the variable's `allValue`; the
/// interval is four scrapes, as it is by default.
const VARIABLES: [(&str, &str); 3] = [
    ("$destination", ".+"),
    ("$version", ".+"),
    ("$__rate_interval", "8s"),
];

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
            if panel["type"] == "row" {
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

pub(crate) async fn each_query_returns_data(scene: &Scene) -> Result<()> {
    let mut wrong = Vec::new();
    for (title, query) in queries()? {
        let filled = VARIABLES
            .iter()
            .fold(query, |query, (name, value)| query.replace(name, value));
        if filled.contains('$') {
            bail!("{title}: a variable is left in {filled}");
        }
        if title == "annotation" {
            // Only at the moment of a verdict: it has to be accepted.
            scene.prometheus.query(&filled).await?;
            continue;
        }
        let samples = scene.prometheus.query(&filled).await?;
        if samples.iter().all(|sample| sample.value.is_nan()) {
            wrong.push(format!("{title}: no data for {filled}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
