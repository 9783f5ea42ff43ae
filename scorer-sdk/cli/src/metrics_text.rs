//! Metrics as a proxy shows them: Envoy's `/stats?format=json`, or Prometheus' text format.
//!
//! In Envoy's own names the labels are part of the name, `destination=.=shop;.;serin_verdict`; where
//! its tags are set up, `/stats/prometheus` has them as labels. Both are read.

use scorer_sdk::telemetry::{METRIC_PREFIX, STAT_PREFIX, TAG_END, TAG_EQUALS};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most samples of one page.
const MAX_SAMPLES: usize = 200_000;

/// What Envoy's admin address shows of Serin, with labels in the names whatever its tags are.
#[must_use]
pub fn admin_path() -> String {
    format!("/stats?format=json&filter={METRIC_PREFIX}")
}

/// One metric with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric, such as `serin_verdict`.
    pub metric: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty where there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a page of either format; what is not Serin's is left out.
///
/// # Errors
/// Says in words when the page is of neither format.
pub fn parse(page: &str) -> Result<Vec<Sample>, String> {
    let page = page.trim_start();
    if page.starts_with('{') {
        return from_json(page);
    }
    if page.starts_with('<') {
        return Err("is a web page and no metrics".to_owned());
    }
    Ok(page
        .lines()
        .filter_map(from_prometheus)
        .filter_map(of_serin)
        .take(MAX_SAMPLES)
        .collect())
}

/// Reads a page in Prometheus' text format, whoever's metrics are on it. Lines that are no samples
/// are passed over.
pub fn all(page: &str) -> impl Iterator<Item = Sample> + '_ {
    page.lines().filter_map(from_prometheus)
}

/// The sample, if it is one of Serin's; without the prefix that Envoy gives to its own.
fn of_serin(mut sample: Sample) -> Option<Sample> {
    if let Some(name) = sample.metric.strip_prefix("envoy_") {
        sample.metric = name.to_owned();
    }
    (sample.metric.starts_with(METRIC_PREFIX) && sample.value.is_finite()).then_some(sample)
}

/// Envoy's JSON: `{"stats": [{"name": …, "value": …}]}`, with histograms among them.
fn from_json(page: &str) -> Result<Vec<Sample>, String> {
    let value: Value =
        serde_json::from_str(page).map_err(|error| format!("is not JSON: {error}"))?;
    let stats = value
        .get("stats")
        .and_then(Value::as_array)
        .ok_or("is JSON, but not Envoy's: it has no list stats")?;
    Ok(stats
        .iter()
        .filter_map(|stat| {
            let name = stat.get("name")?.as_str()?;
            from_envoy(name, stat.get("value")?.as_f64()?)
        })
        .take(MAX_SAMPLES)
        .collect())
}

/// A name of the kind `wasmcustom.label=.=value;.;metric`.
fn from_envoy(name: &str, value: f64) -> Option<Sample> {
    let name = name
        .strip_prefix(STAT_PREFIX)
        .and_then(|name| name.strip_prefix('.'))
        .unwrap_or(name);
    let mut parts: Vec<&str> = name.split(TAG_END).collect();
    let metric = parts.pop()?;
    if !metric.starts_with(METRIC_PREFIX) {
        return None;
    }
    let labels = parts.into_iter().filter_map(|part| {
        let (label, value) = part.split_once(TAG_EQUALS)?;
        Some((label.to_owned(), value.to_owned()))
    });
    Some(Sample {
        metric: metric.to_owned(),
        labels: labels.collect(),
        value,
    })
}

/// A line of the kind `serin_verdict{destination="shop"} 3`.
fn from_prometheus(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ']);
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, quoted) = inside.split_once("=\"")?;
            let (value, after) = unquoted(quoted)?;
            labels.insert(label.to_owned(), value);
            inside = after;
        }
    }
    Some(Sample {
        metric: name.to_owned(),
        labels,
        value: rest.split_ascii_whitespace().next()?.parse().ok()?,
    })
}

/// A text up to its closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::telemetry;

    #[test]
    fn both_formats_say_the_same() {
        let json = r#"{"stats": [
            {"name": "wasmcustom.destination=.=shop;.;route=.=GET /a \"b\";.;serin_evidence_for", "value": 1500},
            {"name": "server.live", "value": 1}, {"name": "x", "value": "text"},
            {"histograms": {"supported_quantiles": [0]}}]}"#;
        let text = "# TYPE serin_evidence_for gauge\n\
            serin_evidence_for{destination=\"shop\",route=\"GET /a \\\"b\\\"\"} 1500\n\
            envoy_server_live{} 1\nnonsense\nserin_cut{a=\"b\nserin_nan NaN\n";
        let samples = parse(json).unwrap();
        assert_eq!(samples.len(), 1);
        assert_eq!(samples, parse(text).unwrap());
        assert_eq!(samples[0].metric, telemetry::EVIDENCE_FOR.name);
        assert_eq!(samples[0].label("route"), "GET /a \"b\"");
        assert_eq!(
            (samples[0].label("version"), samples[0].value),
            ("", 1_500.0)
        );
    }

    #[test]
    fn whoever_asks_for_all_gets_the_metrics_of_others_too() {
        let page =
            "# HELP up 1\nenvoy_server_live{} 1\nserin_verdict{a=\"b\"} 3 1770000000000\nup NaN\n";
        let names: Vec<_> = all(page)
            .map(|sample| (sample.metric, sample.value))
            .collect();
        assert_eq!(
            names[..2],
            [
                ("envoy_server_live".to_owned(), 1.0),
                (telemetry::VERDICT.name.to_owned(), 3.0)
            ]
        );
        assert!(names[2].1.is_nan() && names.len() == 3);
    }

    #[test]
    fn what_is_no_page_of_metrics_is_told() {
        for page in ["{\"stats\":", "{}", "<html>"] {
            assert!(parse(page).is_err(), "{page}");
        }
    }
}
