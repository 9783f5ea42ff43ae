//! What each version did over time: requests, failures, latency. The drift of both arms.
//!
//! Bins of equal length, all lines together at most `MAX_BINS`; when time goes beyond them, bins
//! are joined in pairs and become twice as long.

use super::clock::Clock;
use crate::document::{Marker, Plot, Series};
use scorer_sdk::Exchange;
use scorer_sdk::signal::outcome;
use scorer_sdk::sketch::{Counts, buckets};
use std::collections::BTreeMap;

/// Most bins of one version.
const MAX_BINS: usize = 960;
/// Most versions, over all destinations.
const MAX_VERSIONS: usize = 64;
/// Most points of a line in a plot.
const MAX_POINTS: usize = 80;
/// Exchanges that a point needs to have a share or a quantile.
const ENOUGH: u64 = 5;

#[derive(Debug, Clone, Default)]
struct Bin {
    exchanges: u64,
    failures: u64,
    latency: Counts,
}

impl Bin {
    fn join(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.failures += other.failures;
        for (code, count) in other.latency.iter() {
            self.latency.add(code, count);
        }
    }

    /// The latency at quantile `q`, in milliseconds: the middle of its bucket.
    fn quantile_ms(&self, q: f64) -> Option<f64> {
        let goal = self.latency.total() as f64 * q;
        let mut sum = 0.0;
        let (code, _) = self.latency.iter().find(|(_, count)| {
            sum += f64::from(*count);
            sum >= goal
        })?;
        let middle = buckets::lower_bound(code) as f64 + buckets::upper_bound(code) as f64 + 1.0;
        Some(middle / 2e3)
    }
}

/// All versions over time.
#[derive(Debug, Clone, Default)]
pub struct Arms {
    /// Start of the first bin, in seconds since the Unix epoch.
    origin: Option<f64>,
    /// Length of a bin: 2^this seconds.
    doublings: i32,
    versions: BTreeMap<(String, String), Vec<Bin>>,
}

impl Arms {
    fn width(&self) -> f64 {
        2f64.powi(self.doublings)
    }

    /// Counts an exchange that ended `end` seconds after the Unix epoch.
    pub fn count(&mut self, end: f64, exchange: &Exchange<'_>) {
        if !end.is_finite() {
            return;
        }
        let origin = *self.origin.get_or_insert(end.floor());
        let mut index = ((end - origin) / self.width()).max(0.0) as usize;
        while index >= MAX_BINS {
            self.doublings += 1;
            self.versions.values_mut().for_each(join_pairs);
            index = ((end - origin) / self.width()).max(0.0) as usize;
        }
        let key = (exchange.destination.to_owned(), exchange.version.to_owned());
        if !self.versions.contains_key(&key) && self.versions.len() >= MAX_VERSIONS {
            return;
        }
        let bins = self.versions.entry(key).or_default();
        if bins.len() <= index {
            bins.resize(index + 1, Bin::default());
        }
        let Some(bin) = bins.get_mut(index) else {
            return;
        };
        bin.exchanges += 1;
        if outcome::code(exchange).is_some_and(outcome::is_error) {
            bin.failures += 1;
        }
        if let Some(duration) = exchange.duration_us {
            bin.latency.add(buckets::code(duration), 1);
        }
    }

    /// Plots of a destination's versions, from one time to another in seconds since the Unix epoch.
    #[must_use]
    pub fn plots(
        &self,
        destination: &str,
        versions: &[(&str, &str)],
        span: (f64, f64),
        clock: &Clock,
        markers: &[Marker],
    ) -> Vec<Plot> {
        let plot = |title: &str, unit: &str, value: &dyn Fn(&Bin, f64) -> Option<f64>| {
            let series = versions.iter().map(|(version, name)| Series {
                name: (*name).to_owned(),
                points: self
                    .bins(destination, version, span)
                    .into_iter()
                    .filter_map(|(at, width, bin)| {
                        Some([clock.position(at + width / 2.0), value(&bin, width)?])
                    })
                    .collect(),
            });
            Plot {
                title: title.to_owned(),
                x_label: clock.label.clone(),
                time_zero: Some(clock.zero()),
                markers: markers.to_vec(),
                y_label: unit.to_owned(),
                series: series.collect(),
                ..Plot::default()
            }
        };
        let enough = |bin: &Bin| bin.exchanges >= ENOUGH;
        vec![
            plot("Requests", "requests a second", &|bin, width| {
                Some(bin.exchanges as f64 / width)
            }),
            plot("Failures", "% of the requests", &|bin, _| {
                enough(bin).then(|| 100.0 * bin.failures as f64 / bin.exchanges as f64)
            }),
            plot("Median latency", "milliseconds", &|bin, _| {
                bin.quantile_ms(0.5).filter(|_| enough(bin))
            }),
            plot("95th percentile of latency", "milliseconds", &|bin, _| {
                bin.quantile_ms(0.95).filter(|_| enough(bin))
            }),
        ]
    }

    /// Start, length and content of a version's bins, joined to at most [`MAX_POINTS`].
    fn bins(&self, destination: &str, version: &str, span: (f64, f64)) -> Vec<(f64, f64, Bin)> {
        let key = (destination.to_owned(), version.to_owned());
        let (Some(bins), Some(origin)) = (self.versions.get(&key), self.origin) else {
            return Vec::new();
        };
        let index = |at: f64| ((at - origin) / self.width()).max(0.0) as usize;
        let first = index(span.0);
        let last = index(span.1).max(first).min(first + MAX_BINS);
        let together = (last - first + 1).div_ceil(MAX_POINTS).max(1);
        let mut joined = Vec::new();
        for start in (first..=last).step_by(together) {
            let mut bin = Bin::default();
            for other in bins.iter().skip(start).take(together) {
                bin.join(other);
            }
            let begin = origin + start as f64 * self.width();
            let whole = together as f64 * self.width();
            // The last one is not over yet; with hardly anything in it, it says nothing.
            let width = (span.1 - begin).clamp(0.0, whole);
            if width >= whole / 4.0 || joined.is_empty() {
                joined.push((begin, width.max(whole / 4.0), bin));
            }
        }
        // A version that is not there yet, or no more, has no line.
        while joined.last().is_some_and(|(_, _, bin)| bin.exchanges == 0) {
            joined.pop();
        }
        let before = joined.iter().take_while(|(_, _, bin)| bin.exchanges == 0);
        let before = before.count();
        joined.drain(..before);
        joined
    }
}

fn join_pairs(bins: &mut Vec<Bin>) {
    let joined = bins.chunks(2).map(|pair| {
        let mut bin = Bin::default();
        pair.iter().for_each(|other| bin.join(other));
        bin
    });
    *bins = joined.collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(version: &str, status: u16) -> Exchange<'_> {
        Exchange {
            destination: "shop",
            version,
            status: Some(status),
            duration_us: Some(5_000),
            ..Exchange::default()
        }
    }

    #[test]
    fn a_week_has_few_points_and_loses_no_exchange() {
        let mut arms = Arms::default();
        let week = 7 * 86_400;
        for second in (0..week).step_by(20) {
            let version = if second > week / 2 { "v2" } else { "v1" };
            let status = if version == "v2" { 503 } else { 200 };
            arms.count(1e9 + f64::from(second), &exchange(version, status));
        }
        let clock = Clock::new(1e9);
        let span = (1e9, 1e9 + f64::from(week));
        let versions = [("v1", "v1"), ("v2", "v2")];
        let plots = arms.plots("shop", &versions, span, &clock, &[]);
        for plot in &plots {
            assert!(
                plot.series
                    .iter()
                    .all(|line| (2..=MAX_POINTS).contains(&line.points.len()))
            );
        }
        assert!(
            plots[1].series[0]
                .points
                .iter()
                .all(|point| point[1] == 0.0)
        );
        assert!(
            plots[1].series[1]
                .points
                .iter()
                .all(|point| point[1] == 100.0)
        );
        assert!(
            plots[2].series[0]
                .points
                .iter()
                .all(|point| (point[1] - 5.0).abs() < 0.2)
        );
        let counted: f64 = arms
            .bins("shop", "v2", span)
            .iter()
            .map(|(_, _, bin)| bin.exchanges as f64)
            .sum();
        assert_eq!(counted, f64::from(week / 40 - 1));
    }

    #[test]
    fn times_far_apart_or_backwards_do_no_harm() {
        let mut arms = Arms::default();
        for at in [1e9, 1e15, 5.0, -1e300, f64::NAN, f64::INFINITY, 1e9] {
            arms.count(at, &exchange("v1", 200));
        }
        let clock = Clock::new(1e9);
        let plots = arms.plots("shop", &[("v1", "v1")], (f64::MIN, f64::MAX), &clock, &[]);
        assert_eq!(plots.len(), 4);
        assert!(arms.versions.values().all(|bins| bins.len() <= MAX_BINS));
    }
}
