//! Stable pods in the candidate's place: the same code in both versions, on pods as they really are.
//!
//! The harmless canaries of the data are few, and a canary's pods are young. Before a release starts,
//! there are stable pods alone; each of them in turn is taken for the only pod of a candidate that came
//! some minutes after the recording began, and the others for stable. Whoever is blamed is blamed for
//! what pods of one version differ in: their node, their connections, their share of the callers.

use super::rows::{Edge, MINUTE_S, Release};
use std::collections::{BTreeMap, BTreeSet};

/// Minutes that the other pods have for themselves, as a past.
const PAST_MINUTES: i64 = 3;
/// Minutes before the first pods of the real candidate were ready that its release may have begun.
const RELEASE_MINUTES: i64 = 2;

/// A release for each stable pod that was called before `release` began; none where only one was.
#[must_use]
pub fn stand_ins(release: &Release) -> Vec<Release> {
    let end_s = release.ready_s.saturating_sub(RELEASE_MINUTES * MINUTE_S);
    let before: Vec<Edge> = release
        .edges
        .iter()
        .filter(|edge| !edge.candidate)
        .map(|edge| until(edge, end_s))
        .filter(|edge| !edge.rows.is_empty())
        .collect();
    let inbound = || {
        before
            .iter()
            .filter(|edge| edge.destination == release.service)
    };
    let Some(begin_s) = inbound()
        .filter_map(|edge| edge.rows.first())
        .map(|row| row.end_s)
        .min()
    else {
        return Vec::new();
    };
    let pods: BTreeSet<&str> = inbound().map(|edge| edge.pod.as_str()).collect();
    if pods.len() < 2 {
        return Vec::new();
    }
    let ready_s = begin_s + PAST_MINUTES * MINUTE_S;
    pods.into_iter()
        .map(|pod| Release {
            case: release.case.clone(),
            service: release.service.clone(),
            fault: None,
            ready_s,
            released: BTreeMap::from([(pod.to_owned(), ready_s)]),
            deleted: BTreeMap::new(),
            edges: before
                .iter()
                .map(|edge| match edge.pod == pod {
                    true => as_candidate(edge, ready_s),
                    false => edge.clone(),
                })
                .collect(),
            callers: Vec::new(),
        })
        .collect()
}

fn until(edge: &Edge, end_s: i64) -> Edge {
    let mut edge = edge.clone();
    edge.rows.retain(|row| row.end_s <= end_s);
    edge
}

/// The edge as if its pod had become ready at `ready_s`.
fn as_candidate(edge: &Edge, ready_s: i64) -> Edge {
    let mut edge = edge.clone();
    edge.candidate = true;
    edge.rows.retain(|row| row.end_s >= ready_s + MINUTE_S);
    edge
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changerca::rows::Row;

    fn edge(pod: &str, candidate: bool, from: i64, to: i64) -> Edge {
        Edge {
            pod: pod.to_owned(),
            candidate,
            source: "shop".to_owned(),
            destination: "mail".to_owned(),
            rows: (from..=to)
                .map(|minute| Row {
                    end_s: 60 * minute,
                    success: Some(1.0),
                    latency_ms: None,
                })
                .collect(),
        }
    }

    fn release(edges: Vec<Edge>) -> Release {
        Release {
            case: String::new(),
            service: "mail".to_owned(),
            fault: Some("exception".to_owned()),
            ready_s: 60 * 20,
            released: [("mail-v2-a".to_owned(), 60 * 20)].into(),
            deleted: [("mail-v1-a".to_owned(), 60 * 20)].into(),
            edges,
            callers: Vec::new(),
        }
    }

    #[test]
    fn each_stable_pod_is_the_candidate_once_before_the_release() {
        let found = stand_ins(&release(vec![
            edge("mail-v1-a", false, 1, 20),
            edge("mail-v1-b", false, 1, 40),
            edge("mail-v2-a", true, 21, 40),
        ]));
        let candidates: Vec<Vec<&str>> = found
            .iter()
            .map(|release| {
                let edges = release.edges.iter().filter(|edge| edge.candidate);
                edges.map(|edge| edge.pod.as_str()).collect()
            })
            .collect();
        assert_eq!(candidates, [["mail-v1-a"], ["mail-v1-b"]]);
        for release in &found {
            assert_eq!(release.fault, None);
            assert!(release.edges.iter().all(|edge| {
                let ends: Vec<i64> = edge.rows.iter().map(|row| row.end_s / 60).collect();
                let first = if edge.candidate { 5 } else { 1 };
                ends == (first..=18).collect::<Vec<_>>()
            }));
        }
    }

    #[test]
    fn one_pod_has_none_to_be_compared_with() {
        let alone = vec![
            edge("mail-v1-a", false, 1, 20),
            edge("mail-v2-a", true, 21, 40),
        ];
        assert!(stand_ins(&release(alone)).is_empty());
    }
}
