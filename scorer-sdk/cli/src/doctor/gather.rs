//! All that the checks need to know, asked once.

use crate::fetch::{Fetcher, split};
use crate::metrics_text::{Sample, all};
use crate::samples;
use crate::status::source::{self, EXPORTED, Kind, PAGE_PATH, Proxy, Source};
use anyhow::Result;
use scorer_sdk::telemetry::{LABELS, METRIC_PREFIX, Metric};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Envoy's own numbers that say whether modules run; not all of Envoy's.
const WASM_PATH: &str = "/stats?format=json&filter=%5Ewasm%5C.";
const CLUSTERS_PATH: &str =
    "/stats?format=json&usedonly&filter=%5Ecluster%5C..*%5C.upstream_rq_total%24";
const TAGS_PATH: &str = "/config_dump?mask=bootstrap.stats_config";
/// Names in which labels were left, as Prometheus has to write them.
fn merged_query() -> String {
    format!("count by (__name__) ({{__name__=~\".+___{METRIC_PREFIX}.+\"}})")
}
/// Names of series that are kept for a message.
const MAX_NAMES: usize = 10_000;

/// What is known of an installation.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What is at the URL.
    pub kind: Option<Kind>,
    /// Envoy's version and state, such as `1.40.0` and `LIVE`.
    pub server: Option<(String, String)>,
    /// The proxies with Serin's metrics; labels are known wherever Envoy's admin can be asked.
    pub proxies: Vec<Proxy>,
    /// What Prometheus is or would be given: Serin's samples with their labels.
    pub labelled: Vec<Sample>,
    /// Names on the page for Prometheus that still hold labels.
    pub merged: Vec<String>,
    /// Labels that the bootstrap extracts; `None` where it cannot be asked.
    pub tags: Option<BTreeSet<String>>,
    /// Histograms of Serin's: name and labels, then upper bounds with cumulated counts.
    pub histograms: BTreeMap<String, Vec<(f64, f64)>>,
    /// Envoy's numbers on wasm modules; empty where it cannot be asked.
    pub wasm: BTreeMap<String, f64>,
    /// Clusters that had requests, with how many.
    pub clusters: BTreeMap<String, f64>,
    /// The proxy's clock; `None` where it does not say the time.
    pub proxy_time: Option<f64>,
    /// This machine's clock.
    pub now: f64,
    /// Pods that Prometheus scrapes through more than one port.
    pub scraped_twice: BTreeSet<String>,
    /// Labels of Serin's that a label of the target hides.
    pub hidden: BTreeSet<String>,
}

/// Asks for it.
///
/// # Errors
/// When the URL cannot be used, or nothing that is known answers there.
pub fn gather(url: &str, prometheus: bool, fetcher: &Fetcher) -> Result<Facts> {
    let mut source = if prometheus {
        Source::prometheus(url)?
    } else {
        Source::new(url)?
    };
    let proxies = source.look(fetcher)?;
    let mut facts = Facts {
        kind: source.kind(),
        proxies,
        now: source::now(),
        ..Facts::default()
    };
    let (base, path) = split(url)?;
    match facts.kind {
        Some(Kind::Admin) => {
            facts.ask_admin(base, fetcher);
            facts.ask_page(&format!("{base}{PAGE_PATH}"), fetcher)?;
        }
        Some(Kind::Prometheus) => {
            facts.ask_prometheus(source::base(url), fetcher)?;
        }
        _ => {
            let path = if path.is_empty() { PAGE_PATH } else { path };
            facts.ask_page(&format!("{base}{path}"), fetcher)?;
        }
    }
    Ok(facts)
}

/// The numbers in Envoy's JSON.
fn numbers(page: &str) -> BTreeMap<String, f64> {
    let Ok(value) = serde_json::from_str::<Value>(page) else {
        return BTreeMap::new();
    };
    let stats = value.get("stats").and_then(Value::as_array);
    stats
        .into_iter()
        .flatten()
        .filter_map(|stat| {
            let name = stat.get("name")?.as_str()?.to_owned();
            Some((name, stat.get("value")?.as_f64()?))
        })
        .take(MAX_NAMES)
        .collect()
}

impl Facts {
    /// Serin's samples of one metric, over all proxies.
    pub(super) fn of(&self, metric: &Metric) -> impl Iterator<Item = &Sample> {
        samples::of(self.proxies.iter().flat_map(|proxy| &proxy.samples), metric)
    }

    /// What only the admin address knows. What it does not answer is not known.
    fn ask_admin(&mut self, base: &str, fetcher: &Fetcher) {
        let ask = |path: &str| {
            let page = fetcher.get(&format!("{base}{path}")).ok()?;
            (page.status == 200).then_some(page.body)
        };
        if let Some(info) = ask("/server_info")
            && let Ok(info) = serde_json::from_str::<Value>(&info)
        {
            let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
            // `<commit>/1.40.0/Clean/RELEASE/BoringSSL`
            let version = text("version").split('/').nth(1).unwrap_or_default();
            self.server = Some((version.to_owned(), text("state").to_owned()));
        }
        self.wasm = ask(WASM_PATH).as_deref().map(numbers).unwrap_or_default();
        self.clusters = ask(CLUSTERS_PATH)
            .as_deref()
            .map(numbers)
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, requests)| *requests > 0.0)
            .filter_map(|(name, requests)| {
                let name = name.strip_prefix("cluster.")?;
                Some((
                    name.strip_suffix(".upstream_rq_total")?.to_owned(),
                    requests,
                ))
            })
            .collect();
        self.tags = ask(TAGS_PATH).and_then(|dump| tags(&dump));
    }

    fn ask_page(&mut self, url: &str, fetcher: &Fetcher) -> Result<()> {
        let page = fetcher.get(url)?;
        self.proxy_time = source::time(&page.date);
        for sample in all(&page.body) {
            let name = sample
                .metric
                .strip_prefix("envoy_")
                .unwrap_or(&sample.metric);
            if is_merged(name) && self.merged.len() < MAX_NAMES {
                self.merged.push(name.to_owned());
            } else if name.starts_with(METRIC_PREFIX) {
                self.labelled.push(sample);
            }
        }
        self.find_histograms();
        Ok(())
    }

    fn ask_prometheus(&mut self, base: &str, fetcher: &Fetcher) -> Result<()> {
        let page = fetcher.get(&source::query_url(base, &merged_query()))?;
        self.merged = source::all_series(&page.body)?
            .into_iter()
            .filter_map(|(mut labels, _, _)| labels.remove("__name__"))
            .filter(|name| is_merged(name))
            .collect();
        let page = fetcher.get(&source::query(base))?;
        let mut instances: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (mut labels, _, value) in source::all_series(&page.body)? {
            for label in LABELS {
                if labels.contains_key(&format!("{EXPORTED}{label}")) {
                    self.hidden.insert((*label).to_owned());
                }
            }
            if let Some(instance) = labels.get("instance").cloned() {
                let known = instances.entry(source::name(&labels)).or_default();
                known.insert(instance);
            }
            let metric = labels.remove("__name__").unwrap_or_default();
            self.labelled.push(Sample {
                metric,
                labels,
                value,
            });
        }
        self.scraped_twice = instances
            .into_iter()
            .filter(|(_, instances)| instances.len() > 1)
            .map(|(name, _)| name)
            .collect();
        self.find_histograms();
        Ok(())
    }

    fn find_histograms(&mut self) {
        for sample in &self.labelled {
            let Some(name) = sample.metric.strip_suffix("_bucket") else {
                continue;
            };
            let bound = match sample.label("le") {
                "+Inf" => f64::INFINITY,
                bound => match bound.parse() {
                    Ok(bound) => bound,
                    Err(_) => continue,
                },
            };
            let labels: Vec<String> = sample
                .labels
                .iter()
                .filter(|(label, _)| *label != "le")
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            let key = format!("{name} {}", labels.join(" "));
            let buckets = self.histograms.entry(key).or_default();
            buckets.push((bound, sample.value));
        }
        for buckets in self.histograms.values_mut() {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
    }
}

/// Whether a name still holds labels: `destination=.=shop;.;serin_verdict`, of which Prometheus
/// gets every character that it does not take as an underscore.
fn is_merged(name: &str) -> bool {
    name.contains(&format!("___{METRIC_PREFIX}"))
        && LABELS
            .iter()
            .any(|label| name.starts_with(&format!("{label}___")))
}

/// Names of the tags in a dump of the bootstrap.
fn tags(dump: &str) -> Option<BTreeSet<String>> {
    let dump: Value = serde_json::from_str(dump).ok()?;
    let configs = dump.get("configs")?.as_array()?;
    let bootstrap = configs.iter().find_map(|config| config.get("bootstrap"))?;
    let tags = bootstrap
        .pointer("/stats_config/stats_tags")
        .and_then(Value::as_array);
    let names = tags
        .into_iter()
        .flatten()
        .filter_map(|tag| Some(tag.get("tag_name")?.as_str()?.to_owned()));
    Some(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::telemetry;

    #[test]
    fn a_name_with_labels_in_it_is_told_from_others() {
        for (name, merged) in [
            ("destination___shop___version___v2___serin_verdict", true),
            ("role___comparer___serin_heartbeat_seconds", true),
            (telemetry::VERDICT.name, false),
            ("my___serin_metric", false),
            ("wasm_serin_vm_reload", false),
        ] {
            assert_eq!(is_merged(name), merged, "{name}");
        }
    }

    #[test]
    fn tags_of_a_bootstrap_are_read_and_their_absence_too() {
        let dump = r#"{"configs": [{"bootstrap": {"stats_config": {"stats_tags": [
            {"tag_name": "route", "regex": "x"}, {"tag_name": "role"}]}}}]}"#;
        assert_eq!(tags(dump).unwrap().len(), 2);
        assert!(
            tags(r#"{"configs": [{"bootstrap": {}}]}"#)
                .unwrap()
                .is_empty()
        );
        assert_eq!(tags("{}"), None);
    }
}
