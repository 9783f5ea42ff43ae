//! One question to Prometheus' API: an instant query, its answer bounded.
//!
//! The format is that of `POST /api/v1/query`, which Thanos, Mimir and VictoriaMetrics also answer.

use super::Options;
use crate::fetch::{Fetcher, split};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 8 << 20;
/// Most samples of one answer.
const MAX_SAMPLES: usize = 20_000;

/// A client of one Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    fetcher: Fetcher,
    url: String,
}

/// A value with its labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Labels by name, that of the metric as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The value; not a number and infinite ones are there as Prometheus gives them.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty where there is none, as in PromQL.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    /// Seconds since the Unix epoch, and the value as text.
    value: (f64, String),
}

impl Prometheus {
    /// A client.
    ///
    /// # Errors
    /// When the address is none, or the certificates cannot be used.
    pub fn new(options: &Options) -> Result<Self> {
        let address = options.prometheus.trim_end_matches('/');
        split(&options.prometheus)?;
        Ok(Self {
            fetcher: Fetcher::with_timeout(&options.access, options.timeout)?,
            url: format!("{address}/api/v1/query"),
        })
    }

    /// The instant vector of an expression, now.
    ///
    /// # Errors
    /// When Prometheus cannot be reached in time, refuses the question, or its answer is too long or
    /// no vector.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let page = self
            .fetcher
            .post_form(&self.url, &[("query", expression)], MAX_ANSWER)?;
        read(&page.body).with_context(|| format!("{} answers with {}", self.url, page.status))
    }
}

/// Reads an answer of the API.
fn read(text: &str) -> Result<Vec<Sample>> {
    let answer: Answer = serde_json::from_str(text)
        .context("this is not the answer of a Prometheus: is the address right?")?;
    if answer.status != "success" {
        bail!("{}: {}", answer.status, answer.error);
    }
    let data = answer.data.context("the answer has no data")?;
    if data.result_type != "vector" {
        bail!("the answer is a {}, not a vector", data.result_type);
    }
    let series: Vec<Series> =
        serde_json::from_value(data.result).context("the answer's samples")?;
    if series.len() > MAX_SAMPLES {
        bail!("{} samples are more than {MAX_SAMPLES}", series.len());
    }
    series
        .into_iter()
        .map(|series| {
            let value = series.value.1;
            Ok(Sample {
                labels: series.metric,
                value: value
                    .parse()
                    .with_context(|| format!("{value:?} is no number"))?,
            })
        })
        .collect()
}

/// `text` as a string of PromQL, quotes included.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_labels_and_special_values() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"a","version":"v2"},"value":[1.5,"3"]},
            {"metric":{},"value":[1.5,"-Inf"]}]}}"#;
        let samples = read(text).unwrap();
        assert_eq!(samples[0].label("version"), "v2");
        assert_eq!(samples[0].label("route"), "");
        assert_eq!(samples[0].value, 3.0);
        assert_eq!(samples[1].value, f64::NEG_INFINITY);
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_said() {
        for (text, expected) in [
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
                "parse error",
            ),
            ("<html>", "is the address right"),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
                "matrix",
            ),
            (r#"{"status":"success"}"#, "no data"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_label_cannot_end_its_string() {
        assert_eq!(
            quoted("a\"} or vector(1) #\\"),
            r#""a\"} or vector(1) #\\""#
        );
    }
}
