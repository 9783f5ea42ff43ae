//! A bounded table of metrics: names with tags in Istio's way, each defined once.
//!
//! A name is `tag=.=value;.;…metric` ([`telemetry`]). Metrics hold whole numbers that are not
//! negative: log evidence is given in thousandths of a nat, for and against apart, so that
//! `sum by (destination, route, category) (for) - sum by (…) (against)` over all proxies is exact.

use super::series;
use crate::host::Host;
use hashbrown::HashMap;
use scorer_sdk::count::delta::Overflow;
use scorer_sdk::telemetry::{self, Kind, MAX_LABEL_BYTES, Metric, Series, label};

/// What the filter needs to know of a [`Metric`]: without the help text, which would only make the
/// module larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whether the cap applies.
    pub series: Series,
}

impl Id {
    /// The id of a metric.
    #[inline(always)]
    #[must_use]
    pub const fn of(metric: &Metric) -> Self {
        Self {
            name: metric.name,
            kind: metric.kind,
            series: metric.series,
        }
    }
}

/// A table of metrics under one config; the process has a cap on all of them.
#[derive(Debug)]
pub struct Metrics {
    known: HashMap<String, Known>,
    process: series::Shared,
    limit: usize,
    /// Updates that found no room.
    refused: u64,
    /// Number of the last time that findings were published.
    round: u64,
}

/// One series.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The proxy's number for it.
    id: u32,
    last: Option<u64>,
    /// The round in which it last was among the findings; `None` for every other metric.
    round: Option<u64>,
}

impl Known {
    /// Sets a gauge, if its value has changed.
    fn set(&mut self, host: &impl Host, value: u64) {
        if self.last != Some(value) {
            host.set_metric(self.id, value);
            self.last = Some(value);
        }
    }
}

/// The full name of a metric with its labels.
#[must_use]
pub fn name(metric: &str, labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (label, value) in labels {
        text.push_str(label);
        text.push_str(telemetry::TAG_EQUALS);
        for character in value.chars() {
            if text.len() >= MAX_LABEL_BYTES * 8 {
                break;
            }
            text.push(telemetry::label_character(character));
        }
        text.push_str(telemetry::TAG_END);
    }
    text.push_str(metric);
    text
}

/// A number in thousandths, 0 where it is negative: metrics are whole numbers.
#[must_use]
pub fn thousandths(value: f64) -> u64 {
    (value.max(0.0) * 1_000.0) as u64
}

/// A label's value, cut to the longest that is kept.
#[must_use]
pub fn cut(value: &str) -> &str {
    let end = value.floor_char_boundary(MAX_LABEL_BYTES);
    value.get(..end).unwrap_or_default()
}

impl Metrics {
    /// An empty table. The process has at most `limit` series.
    #[must_use]
    pub fn new(process: series::Shared, limit: usize) -> Self {
        Self {
            known: HashMap::new(),
            process,
            limit,
            refused: 0,
            round: 0,
        }
    }

    fn series(
        &mut self,
        host: &impl Host,
        metric: Id,
        labels: &[(&str, &str)],
    ) -> Option<&mut Known> {
        let name = name(metric.name, labels);
        if !self.known.contains_key(&name) {
            let mut process = self.process.borrow_mut();
            let Some(id) = process.id(host, metric, &name, self.limit) else {
                self.refused += 1;
                return None;
            };
            let series = Known {
                id,
                last: None,
                round: None,
            };
            self.known.insert(name.clone(), series);
        }
        self.known.get_mut(&name)
    }

    /// Adds to a counter; nothing is made for an amount of zero.
    pub fn count(&mut self, host: &impl Host, metric: Id, labels: &[(&str, &str)], amount: u64) {
        if amount > 0
            && let Some(series) = self.series(host, metric, labels)
        {
            host.add_metric(series.id, amount);
        }
    }

    /// Adds a value to a histogram.
    pub fn sample(&mut self, host: &impl Host, metric: Id, labels: &[(&str, &str)], value: u64) {
        if let Some(series) = self.series(host, metric, labels) {
            host.set_metric(series.id, value);
        }
    }

    /// Sets a gauge.
    pub fn set(&mut self, host: &impl Host, metric: Id, labels: &[(&str, &str)], value: u64) {
        if let Some(series) = self.series(host, metric, labels) {
            series.set(host, value);
        }
    }

    /// Another worker may set the gauges from now on: what they hold is not known any more.
    pub fn forget_values(&mut self) {
        for series in self.known.values_mut() {
            series.last = None;
        }
    }

    /// What did not fit a bounded table, by table.
    pub fn count_overflow(&mut self, host: &impl Host, overflow: &Overflow) {
        for (table, count) in overflow.items() {
            match table {
                "unattributed" => self.count(host, Id::of(&telemetry::UNATTRIBUTED), &[], count),
                "unlooked" => self.count(host, Id::of(&telemetry::NOT_LOOKED_AT), &[], count),
                "cases" => self.count(host, Id::of(&telemetry::CASES), &[], count),
                _ => self.count_lost(host, table, count),
            }
        }
    }

    /// What did not fit the bounded table with this name.
    pub fn count_lost(&mut self, host: &impl Host, table: &str, count: u64) {
        let labels = [(label::TABLE, table)];
        self.count(host, Id::of(&telemetry::OVERFLOW), &labels, count);
    }

    /// Counts the updates that found no room since the last call. This exceeds the cap by one
    /// series: it has to be seen that the cap is reached.
    pub fn count_refused(&mut self, host: &impl Host) {
        let refused = core::mem::take(&mut self.refused);
        let metric = Id {
            series: Series::Always,
            ..Id::of(&telemetry::OVERFLOW)
        };
        self.count(host, metric, &[(label::TABLE, "series")], refused);
    }

    /// Begins a round of findings.
    pub fn begin_findings(&mut self) {
        self.round += 1;
    }

    /// Sets a gauge that falls to 0 when it is not among the findings any more.
    pub fn find(&mut self, host: &impl Host, metric: Id, labels: &[(&str, &str)], value: u64) {
        let round = self.round;
        if let Some(series) = self.series(host, metric, labels) {
            series.set(host, value);
            series.round = Some(round);
        }
    }

    /// Ends a round of findings: what was not found in it falls to 0.
    pub fn end_findings(&mut self, host: &impl Host) {
        for series in self.known.values_mut() {
            if series.round.is_some_and(|last| last != self.round) {
                series.set(host, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn a_value_cannot_end_early_or_smuggle_a_label_in() {
        let text = name("serin_x", &[("route", "GET /a;.;version=.=v9;.;\n")]);
        assert_eq!(text, "route=.=GET /a,.,version~.~v9,.,_;.;serin_x");
    }

    #[test]
    fn series_beyond_the_cap_are_refused_and_counted() {
        let host = FakeHost::default();
        let mut metrics = Metrics::new(series::Shared::default(), 2);
        let counter = Id {
            name: "serin_x",
            kind: Kind::Counter,
            series: Series::Capped,
        };
        for route in ["a", "b", "c", "a"] {
            metrics.count(&host, counter, &[("route", route)], 1);
        }
        assert_eq!(host.metric_value("route=.=a;.;serin_x"), Some(2));
        assert_eq!(host.metric_value("route=.=c;.;serin_x"), None);
        metrics.count_refused(&host);
        assert_eq!(
            host.metric_value("table=.=series;.;serin_overflow_total"),
            Some(1)
        );
    }
}
