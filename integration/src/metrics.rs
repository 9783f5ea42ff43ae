//! Reads the Prometheus text format, as far as Envoy writes it.

use scorer_sdk::telemetry;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// All samples of one `/stats/prometheus` page.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

/// One line: a name, its labels, its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Metric name, histograms with their `_bucket`, `_sum` or `_count` ending.
    pub name: String,
    /// Label names and values, in the order of the page, unescaped.
    pub labels: Vec<(String, String)>,
    /// The value; a counter's or gauge's integer is exact up to 2^53.
    pub value: f64,
}

impl Sample {
    /// The value of one label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name) == Some(*value))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} {}", self.name, self.labels, self.value)
    }
}

impl Metrics {
    /// Reads a page; comments and lines that are not samples are passed over.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        Self {
            samples: page.lines().filter_map(parse_line).collect(),
        }
    }

    /// The samples of one name that carry all of `labels` and maybe others.
    pub fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// Sum over the samples that [`select`](Self::select) finds; `None` when there are none.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.select(name, labels)
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value)
    }

    /// The same of numbers that count something; 0 when there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.select(name, labels)
            .map(|sample| sample.value as u64)
            .sum()
    }

    /// Whether every judge that is on the page began to publish after `time`; true where there is
    /// none. A publication begins with the heartbeat, in whole seconds.
    #[must_use]
    pub fn is_published_after(&self, time: SystemTime) -> bool {
        let second = time
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.select(telemetry::HEARTBEAT.name, &[])
            .all(|beat| beat.value > second as f64)
    }

    /// All samples whose name begins with `prefix`: for messages of failed tests.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name.starts_with(prefix))
    }
}

fn parse_line(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (name, labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = parse_labels(rest)?;
            (name, labels, rest)
        }
        None => {
            let (name, value) = line.split_once(' ')?;
            (name, Vec::new(), value)
        }
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.trim().parse().ok()?,
    })
}

/// Reads `a="b",c="d"} 1` behind the opening brace; gives the labels and what follows them.
fn parse_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = parse_quoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = behind;
    }
}

fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
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
    use super::Metrics;
    use scorer_sdk::telemetry;

    const PAGE: &str = r#"# TYPE serin_exchanges_total counter
serin_exchanges_total{route="GET /api/products/{id}",version="v1"} 3
serin_exchanges_total{route="GET /, \"home\"",version="v1"} 4
serin_exchanges_total{route="GET /",version="v2"} 5
serin_heartbeat_seconds 7
"#;

    #[test]
    fn labels_with_braces_commas_and_quotes_are_read() {
        let metrics = Metrics::parse(PAGE);
        let of = |route| metrics.value(telemetry::EXCHANGES.name, &[("route", route)]);
        assert_eq!(of("GET /api/products/{id}"), Some(3.0));
        assert_eq!(of("GET /, \"home\""), Some(4.0));
        assert_eq!(metrics.value(telemetry::HEARTBEAT.name, &[]), Some(7.0));
    }

    #[test]
    fn value_sums_over_labels_that_are_not_named_and_is_none_for_unknown_series() {
        let metrics = Metrics::parse(PAGE);
        assert_eq!(
            metrics.value(telemetry::EXCHANGES.name, &[("version", "v1")]),
            Some(7.0)
        );
        assert_eq!(
            metrics.value(telemetry::EXCHANGES.name, &[("version", "v3")]),
            None
        );
        assert_eq!(metrics.value("serin_x", &[]), None);
    }
}
