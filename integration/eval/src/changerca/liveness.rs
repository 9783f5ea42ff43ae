//! Liveness checks: whether a pod that is ready was called.
//!
//! A candidate that crashes, hangs or is given up by its callers receives nothing, and a judge of
//! answers hears nothing. So each ready pod has one more exchange a minute, on a route of its own:
//! it fails when the pod was silent, and the same test as for any failure compares candidate and
//! baseline. The rule treats all pods alike, so that it favours no version: an edge is in use in a
//! minute in which at least half of the ready pods had a call that succeeded on it, and a pod is
//! silent when some edge is in use and it had none on any of them. Single edges do not count: callers
//! keep their connections, and a new pod may wait long for its share of a quiet edge.

use super::rows::{Minutes, Release};
use crate::minute::Arm;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a pod was called in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Seconds since the epoch at the minute's end.
    pub end_s: i64,
    /// Which version the pod is of.
    pub arm: Arm,
    /// The pod.
    pub pod: String,
    /// Whether it was left out.
    pub silent: bool,
}

/// A pod's minutes: the first and the last in which it was ready, and per edge the minutes with a
/// success.
struct Life<'a> {
    arm: Arm,
    from: i64,
    to: i64,
    called: BTreeMap<&'a str, BTreeSet<i64>>,
}

/// The liveness checks of a release's pods, in the order of time.
#[must_use]
pub fn liveness_checks(release: &Release) -> Vec<Liveness> {
    let inbound = || {
        release
            .edges
            .iter()
            .filter(|edge| edge.destination == release.service)
    };
    let Some(minutes) = Minutes::of(inbound()) else {
        return Vec::new();
    };
    let minute = |end_s: i64| minutes.number(end_s);
    let last = inbound()
        .filter_map(|edge| edge.rows.last())
        .map(|row| minute(row.end_s))
        .max()
        .unwrap_or(0);
    let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
    for (pod, ready_s) in &release.released {
        lives.insert(
            pod,
            Life {
                arm: Arm::Candidate,
                from: minutes.first_whole(*ready_s),
                to: last,
                called: BTreeMap::new(),
            },
        );
    }
    for edge in inbound() {
        let (Some(first), Some(end)) = (edge.rows.first(), edge.rows.last()) else {
            continue;
        };
        let (first, end) = (minute(first.end_s), minute(end.end_s));
        let life = lives.entry(&edge.pod).or_insert(Life {
            arm: edge.arm(),
            from: first,
            to: end,
            called: BTreeMap::new(),
        });
        if life.arm == Arm::Baseline {
            life.from = life.from.min(first);
            life.to = life.to.max(end);
        }
        let called = life.called.entry(&edge.source).or_default();
        called.extend(
            edge.rows
                .iter()
                .filter(|row| row.success.is_some_and(|success| success > 0.0))
                .map(|row| minute(row.end_s)),
        );
    }
    let sources: BTreeSet<&str> = inbound().map(|edge| edge.source.as_str()).collect();
    let mut liveness_checks = Vec::new();
    for now in 0..=last {
        let ready: Vec<(&str, &Life<'_>)> = lives
            .iter()
            .filter(|(_, life)| (life.from..=life.to).contains(&now))
            .map(|(pod, life)| (*pod, life))
            .collect();
        let heard = |life: &Life<'_>, source: &str| {
            life.called
                .get(source)
                .is_some_and(|minutes| minutes.contains(&now))
        };
        let in_use: Vec<&str> = sources
            .iter()
            .copied()
            .filter(|source| {
                let called = ready.iter().filter(|(_, life)| heard(life, source)).count();
                called > 0 && 2 * called >= ready.len()
            })
            .collect();
        for (pod, life) in &ready {
            liveness_checks.push(Liveness {
                end_s: minutes.end_s(now),
                arm: life.arm,
                pod: (*pod).to_owned(),
                silent: !in_use.is_empty() && in_use.iter().all(|source| !heard(life, source)),
            });
        }
    }
    liveness_checks
}
