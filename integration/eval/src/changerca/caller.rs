//! The callers' view: what a caller lost and no stable pod lost was the candidate's.
//!
//! A candidate that refuses connections has no rows of its own, but its callers have: their success
//! rate on the edge falls while the stable pods answer all that reaches them. Calls are spread over
//! the ready pods evenly, so with `k` stable pods that answer with rate `b`, `c` pods of the
//! candidate and the callers' rate `a`, the candidate's rate is `((k + c)·a − k·b) / c`, between 0
//! and 1. It is taken where the candidate has pods that are ready, no row of its own on the edge in
//! that minute, and the callers as well as the stable pods have one.

use super::rows::{Edge, Minutes, Release, Row};
use std::collections::BTreeMap;

/// Rates of several pods in a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, rate: f64) {
        self.sum += rate;
        self.count += 1.0;
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    callers: Mean,
    stable: Mean,
    candidate: bool,
    end_s: i64,
}

/// The candidate's calls as its callers saw them, an edge for each caller.
#[must_use]
pub fn edges(release: &Release) -> Vec<Edge> {
    let Some(of_case) = Minutes::of(release.edges.iter()) else {
        return Vec::new();
    };
    let mut sources: BTreeMap<&str, BTreeMap<i64, Seen>> = BTreeMap::new();
    let own = release.edges.iter().map(|edge| (edge, false));
    let theirs = release.callers.iter().map(|edge| (edge, true));
    for (edge, caller) in own.chain(theirs) {
        if edge.destination != release.service {
            continue;
        }
        let minutes = sources.entry(&edge.source).or_default();
        for row in &edge.rows {
            let Some(success) = row.success else {
                continue;
            };
            let seen = minutes.entry(of_case.number(row.end_s)).or_default();
            if caller {
                seen.callers.add(success);
                seen.end_s = row.end_s;
            } else if edge.candidate {
                seen.candidate = true;
            } else {
                seen.stable.add(success);
            }
        }
    }
    let mut edges = Vec::new();
    for (source, minutes) in sources {
        let mut rows = Vec::new();
        for (now, seen) in minutes {
            let ready = release
                .released
                .values()
                .filter(|ready_s| of_case.first_whole(**ready_s) <= now)
                .count() as f64;
            let (Some(callers), Some(stable)) = (seen.callers.mean(), seen.stable.mean()) else {
                continue;
            };
            if seen.candidate || ready < 1.0 {
                continue;
            }
            let pods = seen.stable.count;
            let rate = ((pods + ready) * callers - pods * stable) / ready;
            rows.push(Row {
                end_s: seen.end_s,
                success: Some(rate.clamp(0.0, 1.0)),
                latency_ms: None,
            });
        }
        if !rows.is_empty() {
            edges.push(Edge {
                pod: String::new(),
                candidate: true,
                source: source.to_owned(),
                destination: release.service.clone(),
                rows,
            });
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(pod: &str, candidate: bool, rows: &[(i64, f64)]) -> Edge {
        Edge {
            pod: pod.to_owned(),
            candidate,
            source: "shop".to_owned(),
            destination: "mail".to_owned(),
            rows: rows
                .iter()
                .map(|(end_s, success)| Row {
                    end_s: *end_s,
                    success: Some(*success),
                    latency_ms: None,
                })
                .collect(),
        }
    }

    fn release(callers: f64, own: &[(i64, f64)]) -> Release {
        Release {
            case: String::new(),
            service: "mail".to_owned(),
            fault: None,
            ready_s: 60,
            released: [("mail-v2-a".to_owned(), 60)].into(),
            deleted: Default::default(),
            edges: vec![
                edge("mail-v1-a", false, &[(60, 1.0), (300, 1.0)]),
                edge("mail-v1-b", false, &[(60, 1.0), (300, 1.0)]),
                edge("mail-v2-a", true, own),
            ],
            callers: vec![edge("shop-v1-a", false, &[(60, 1.0), (300, callers)])],
        }
    }

    #[test]
    fn what_stable_did_not_lose_was_the_candidates() {
        let found = edges(&release(2.0 / 3.0, &[]));
        assert_eq!(found.len(), 1);
        let rates: Vec<f64> = found[0].rows.iter().filter_map(|row| row.success).collect();
        assert_eq!(rates.len(), 1);
        assert!(rates[0].abs() < 1e-9, "{rates:?}");
        let rates = edges(&release(1.0, &[]));
        assert_eq!(rates[0].rows[0].success, Some(1.0));
    }

    #[test]
    fn where_the_candidate_has_a_row_it_stands() {
        assert!(edges(&release(0.5, &[(300, 1.0)])).is_empty());
    }
}
