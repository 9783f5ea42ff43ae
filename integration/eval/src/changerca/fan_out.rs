//! What a pod called while it served: its fan-out of a minute.
//!
//! The data has no single requests, so that the calls of one request cannot be told apart; a minute of
//! a pod has an edge to each service that it called. That is one observation, and one request of the
//! pod and minute carries it, as with latency: fifteen would be fifteen times what is there.

use super::rows::{Minutes, Release};
use scorer_sdk::signal::fan_out::describe;
use std::collections::BTreeMap;

/// The fan-out of each pod and minute, as [`describe`] writes it.
#[derive(Debug)]
pub struct FanOuts<'a> {
    minutes: Option<Minutes>,
    of: BTreeMap<(&'a str, i64), String>,
}

impl<'a> FanOuts<'a> {
    /// Those of a release's pods; none where the service calls no other.
    #[must_use]
    pub fn new(release: &'a Release) -> Self {
        let minutes = Minutes::of(release.edges.iter());
        let mut calls: BTreeMap<(&str, i64), Vec<(String, u64)>> = BTreeMap::new();
        let outbound = release
            .edges
            .iter()
            .filter(|edge| edge.source == release.service && edge.destination != release.service);
        if let Some(minutes) = minutes {
            for edge in outbound {
                for row in edge.rows.iter().filter(|row| row.success.is_some()) {
                    calls
                        .entry((&edge.pod, minutes.number(row.end_s)))
                        .or_default()
                        .push((edge.destination.clone(), 1));
                }
            }
        }
        Self {
            minutes,
            of: calls
                .into_iter()
                .map(|(key, mut calls)| (key, describe(&mut calls)))
                .collect(),
        }
    }

    /// What a pod called in the minute that ended at `end_s` seconds since the epoch: nothing where
    /// it has no row, and `None` where no pod of the service called any other.
    #[must_use]
    pub fn get<'b>(&'b self, pod: &'b str, end_s: i64) -> Option<&'b str> {
        let minute = self.minutes?.number(end_s);
        if self.of.is_empty() {
            return None;
        }
        let calls = self.of.get(&(pod, minute));
        Some(calls.map_or("", |calls| calls.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changerca::rows::{Edge, Row};

    fn edge(pod: &str, destination: &str, minutes: &[(i64, Option<f64>)]) -> Edge {
        Edge {
            pod: pod.to_owned(),
            candidate: false,
            source: if destination == "checkout" {
                "shop".to_owned()
            } else {
                "checkout".to_owned()
            },
            destination: destination.to_owned(),
            rows: minutes
                .iter()
                .map(|(end_s, success)| Row {
                    end_s: *end_s,
                    success: *success,
                    latency_ms: None,
                })
                .collect(),
        }
    }

    fn release(edges: Vec<Edge>) -> Release {
        Release {
            case: String::new(),
            service: "checkout".to_owned(),
            fault: None,
            ready_s: 60,
            released: Default::default(),
            deleted: Default::default(),
            edges,
            callers: Vec::new(),
        }
    }

    #[test]
    fn a_call_that_a_pod_skips_is_missing_in_its_minute() {
        let release = release(vec![
            edge("a", "checkout", &[(60, Some(1.0)), (120, Some(1.0))]),
            // Edges of one minute are written some seconds apart.
            edge("a", "mail", &[(61, Some(1.0)), (119, None)]),
            edge("a", "cart", &[(60, Some(0.5)), (121, Some(1.0))]),
        ]);
        let fan_outs = FanOuts::new(&release);
        assert_eq!(fan_outs.get("a", 60), Some("cart 1,mail 1"));
        assert_eq!(fan_outs.get("a", 120), Some("cart 1"));
        assert_eq!(fan_outs.get("a", 180), Some(""));
    }

    #[test]
    fn a_service_that_calls_no_other_has_no_fan_out() {
        let release = release(vec![edge("a", "checkout", &[(60, Some(1.0))])]);
        assert_eq!(FanOuts::new(&release).get("a", 60), None);
    }
}
