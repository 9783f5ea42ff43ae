//! Where metrics come from: Envoy's admin address, a page in Prometheus' format, or a Prometheus.
//!
//! A bare address is asked for each in turn; what answers is asked again the next time.

use crate::fetch::{Fetcher, Page, encoded, split};
use crate::fleet_evidence;
use crate::metrics_text::{self, Sample, admin_path};
use anyhow::{Context, Result, anyhow, bail};
use scorer_sdk::telemetry::{LABELS, METRIC_PREFIX, label};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// Envoy's admin, its port 15090 in Istio, and the agent's port 15020 have this page.
pub(crate) const PAGE_PATH: &str = "/stats/prometheus";
const QUERY_PATH: &str = "/api/v1/query";
/// What Prometheus puts before a label of the page that is one of the target's as well.
pub const EXPORTED: &str = "exported_";
/// Most series that one answer of Prometheus may have.
const MAX_SERIES: usize = 200_000;
/// Time after which a Prometheus is asked again how many routes there were: it reads a day of
/// samples for that.
const ROUTES_EVERY: Duration = Duration::from_secs(60);

/// What a URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Envoy's admin address.
    Admin,
    /// One page, in Prometheus' format or Envoy's JSON.
    Page,
    /// A Prometheus, with what it scraped of any number of proxies.
    Prometheus,
}

/// What was seen of one proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// Its address, or its pod.
    pub name: String,
    /// Serin's metrics.
    pub samples: Vec<Sample>,
    /// When the metrics were read, in seconds since the Unix epoch: by the proxy's clock where it
    /// says the time, else by ours.
    pub at: f64,
}

/// A URL that is asked again and again.
#[derive(Debug, Clone)]
pub struct Source {
    url: String,
    /// What may be there: kinds with the URL that is asked.
    asked: Vec<(Kind, String)>,
    /// Routes of each destination within a day, with the time at which they were asked for.
    routes: Option<(Instant, BTreeMap<String, usize>)>,
}

impl Source {
    /// An address of unknown kind.
    ///
    /// # Errors
    /// When it is no URL of HTTP.
    pub fn new(url: &str) -> Result<Self> {
        let (base, path) = split(url)?;
        let asked = match path {
            "" => vec![
                (Kind::Admin, format!("{base}{}", admin_path())),
                (Kind::Page, format!("{base}{PAGE_PATH}")),
                (Kind::Prometheus, query(base)),
            ],
            _ if path.contains(QUERY_PATH) => return Self::prometheus(url),
            _ => vec![(Kind::Page, url.to_owned())],
        };
        Ok(Self {
            url: url.to_owned(),
            asked,
            routes: None,
        })
    }

    /// A Prometheus; its path may have a prefix.
    ///
    /// # Errors
    /// When it is no URL of HTTP.
    pub fn prometheus(url: &str) -> Result<Self> {
        split(url)?;
        Ok(Self {
            url: url.to_owned(),
            asked: vec![(Kind::Prometheus, query(base(url)))],
            routes: None,
        })
    }

    /// The URL as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it turned out to be; `None` before anything answered.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.asked.as_slice() {
            [(kind, _)] => Some(*kind),
            _ => None,
        }
    }

    /// The proxies that are seen from here. None of them need have a metric of Serin.
    ///
    /// # Errors
    /// When nothing answers, or what answers is none of what is known.
    pub fn look(&mut self, fetcher: &Fetcher) -> Result<Vec<Proxy>> {
        let mut wrong = Vec::new();
        let mut found = None;
        for (kind, url) in &self.asked {
            // Without a connection the other paths have none either.
            let page = fetcher.get(url).map_err(|error| {
                anyhow!("{error:#}; is the address right, and forwarded if it is in a cluster?")
            })?;
            match self.read(*kind, &page) {
                Ok(proxies) => {
                    found = Some(((*kind, url.clone()), proxies));
                    break;
                }
                Err(problem) => wrong.push(format!("{url} {problem}")),
            }
        }
        let Some((kind, proxies)) = found else {
            bail!(
                "{} is neither Envoy nor Prometheus: {}",
                self.url,
                wrong.join("; ")
            );
        };
        self.asked = vec![kind];
        Ok(proxies)
    }

    /// How many routes of each destination were seen within a day, as far as a Prometheus is here to
    /// remember them; none elsewhere. The answer holds for a minute.
    ///
    /// # Errors
    /// When a Prometheus does not answer or refuses the query.
    pub fn routes(&mut self, fetcher: &Fetcher) -> Result<BTreeMap<String, usize>> {
        if self.kind() != Some(Kind::Prometheus) {
            return Ok(BTreeMap::new());
        }
        if let Some((at, routes)) = &self.routes
            && at.elapsed() < ROUTES_EVERY
        {
            return Ok(routes.clone());
        }
        let query = fleet_evidence::routes_of_counters_query("");
        let page = fetcher.get(&query_url(base(&self.url), &query))?;
        let series = all_series(&page.body).with_context(|| self.url.clone())?;
        let routes: BTreeMap<String, usize> = series
            .into_iter()
            .filter_map(|(mut labels, _, count)| {
                Some((labels.remove(label::DESTINATION)?, count.max(0.0) as usize))
            })
            .collect();
        self.routes = Some((Instant::now(), routes.clone()));
        Ok(routes)
    }

    fn read(&self, kind: Kind, page: &Page) -> Result<Vec<Proxy>> {
        if kind == Kind::Prometheus {
            return from_query(&page.body).map_err(|problem| match page.status {
                200 => problem,
                status => anyhow!("answers with {status}"),
            });
        }
        if page.status != 200 {
            bail!("answers with {}", page.status);
        }
        let samples = metrics_text::parse(&page.body).map_err(|problem| anyhow!(problem))?;
        let looks_like_metrics = match kind {
            Kind::Admin => page.body.trim_start().starts_with('{'),
            _ => !samples.is_empty() || metrics_text::all(&page.body).next().is_some(),
        };
        // Envoy's JSON need not have a metric; a page of text without any could be anything.
        if !looks_like_metrics && !page.body.trim_start().starts_with('{') {
            bail!("shows no metrics");
        }
        let (_, index) = self.url.split_once("://").unwrap_or(("", &self.url));
        Ok(vec![Proxy {
            name: index.split('/').next().unwrap_or(index).to_owned(),
            samples,
            at: time(&page.date).unwrap_or_else(now),
        }])
    }
}

/// A Prometheus' own address, of the URL of its API or without it.
pub(crate) fn base(url: &str) -> &str {
    url.split(QUERY_PATH).next().unwrap_or(url)
}

/// The URL that asks a Prometheus for all of Serin's metrics.
pub(crate) fn query(base: &str) -> String {
    query_url(base, &format!("{{__name__=~\"{METRIC_PREFIX}.+\"}}"))
}

/// The URL that asks a Prometheus for `text` as of now.
#[must_use]
pub fn query_url(base: &str, text: &str) -> String {
    format!(
        "{}{QUERY_PATH}?query={}",
        base.trim_end_matches('/'),
        encoded(text)
    )
}

/// Seconds since the Unix epoch, by this machine's clock.
#[must_use]
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

/// The time in an HTTP header `date`, in seconds since the Unix epoch.
#[must_use]
pub fn time(date: &str) -> Option<f64> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(time.timestamp().as_second() as f64)
}

/// One series of an answer of Prometheus: its labels with `__name__`, the time in seconds since the
/// Unix epoch, and the value.
pub type Series = (BTreeMap<String, String>, f64, f64);

fn series(entry: &Value) -> Option<Series> {
    let labels = entry.get("metric")?.as_object()?;
    let labels = labels
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let value = entry.get("value")?;
    let at = value.get(0)?.as_f64()?;
    let number: f64 = value.get(1)?.as_str()?.parse().ok()?;
    Some((labels, at, number))
}

/// The series of an answer of Prometheus to a query.
///
/// # Errors
/// When it is not such an answer, or Prometheus refused the query.
pub fn all_series(page: &str) -> Result<Vec<Series>> {
    let answer: Value = serde_json::from_str(page).map_err(|_| anyhow!("is not a Prometheus"))?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        bail!("refuses the query: {error}");
    }
    let result = answer
        .pointer("/data/result")
        .and_then(Value::as_array)
        .context("is not a Prometheus")?;
    Ok(result.iter().take(MAX_SERIES).filter_map(series).collect())
}

/// The proxies in an answer of Prometheus.
fn from_query(page: &str) -> Result<Vec<Proxy>> {
    let mut proxies: BTreeMap<String, (String, Proxy)> = BTreeMap::new();
    for (mut labels, at, value) in all_series(page)? {
        let metric = labels.remove("__name__").unwrap_or_default();
        if !metric.starts_with(METRIC_PREFIX) || !value.is_finite() {
            continue;
        }
        let instance = labels.get("instance").cloned().unwrap_or_default();
        let name = name(&labels);
        let (first, proxy) = proxies.entry(name.clone()).or_insert_with(|| {
            let proxy = Proxy {
                name,
                samples: Vec::new(),
                at,
            };
            (instance.clone(), proxy)
        });
        // One pod that is scraped through two ports is one proxy: its evidence counts once.
        if *first != instance {
            continue;
        }
        for label in LABELS {
            if let Some(own) = labels.remove(&format!("{EXPORTED}{label}")) {
                labels.insert((*label).to_owned(), own);
            }
        }
        proxy.samples.push(Sample {
            metric,
            labels,
            value,
        });
    }
    Ok(proxies.into_values().map(|(_, proxy)| proxy).collect())
}

/// What a proxy is called that Prometheus knows by these labels.
#[must_use]
pub fn name(labels: &BTreeMap<String, String>) -> String {
    let pod = labels.get("pod").or_else(|| labels.get("pod_name"));
    let parts: Vec<&str> = match pod {
        Some(pod) => ["cluster", "namespace"]
            .iter()
            .filter_map(|label| labels.get(*label))
            .chain([pod])
            .map(String::as_str)
            .collect(),
        None => ["cluster", "instance"]
            .iter()
            .filter_map(|label| labels.get(*label))
            .map(String::as_str)
            .collect(),
    };
    match parts.as_slice() {
        [] => "a proxy".to_owned(),
        parts => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_may_be_anything_and_a_path_is_what_it_says() {
        let source = Source::new("http://127.0.0.1:9901/").unwrap();
        assert_eq!(source.kind(), None);
        assert_eq!(source.asked.len(), 3);
        let page = Source::new("http://127.0.0.1:15020/stats/prometheus").unwrap();
        assert_eq!(page.kind(), Some(Kind::Page));
        let server = Source::new("http://127.0.0.1:9090/prefix/api/v1/query").unwrap();
        assert_eq!(server.kind(), Some(Kind::Prometheus));
        assert_eq!(
            server.asked[0].1,
            "http://127.0.0.1:9090/prefix/api/v1/query?query=%7B__name__%3D~%22serin_.%2B%22%7D"
        );
        assert!(Source::new("127.0.0.1:9901").is_err());
    }

    #[test]
    fn a_pod_behind_two_ports_is_one_proxy_and_hidden_labels_are_found() {
        let series = |instance: &str, value: &str| {
            format!(
                r#"{{"metric": {{"__name__": "serin_verdict", "destination": "shop",
                "exported_version": "v2", "version": "gateway-1", "namespace": "istio-system",
                "pod": "gateway-a", "instance": "{instance}"}}, "value": [1770000000.5, "{value}"]}}"#
            )
        };
        let page = format!(
            r#"{{"status": "success", "data": {{"resultType": "vector", "result": [{}, {},
            {{"metric": {{"__name__": "serin_verdict", "instance": "b:1"}}, "value": [1, "NaN"]}}]}}}}"#,
            series("10.0.0.1:15020", "3"),
            series("10.0.0.1:15090", "3"),
        );
        let proxies = from_query(&page).unwrap();
        assert_eq!(proxies.len(), 1);
        assert_eq!(proxies[0].name, "istio-system/gateway-a");
        assert_eq!(proxies[0].at, 1_770_000_000.5);
        assert_eq!(proxies[0].samples.len(), 1);
        assert_eq!(proxies[0].samples[0].label("version"), "v2");
    }

    #[test]
    fn what_is_no_answer_to_a_query_is_told() {
        for (page, words) in [
            ("<html>", "not a Prometheus"),
            ("{}", "not a Prometheus"),
            (
                r#"{"status": "error", "error": "too many samples"}"#,
                "too many",
            ),
        ] {
            let error = from_query(page).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(time("Mon, 23 Nov 2026 11:26:10 GMT"), Some(1_795_433_170.0));
        assert_eq!(time(""), None);
    }
}
