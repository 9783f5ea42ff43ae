//! Liveness checks: whether a pod that is ready was called.
//!
//! A candidate that crashes, hangs or is given up by its callers receives nothing, and a judge of
//! answers hears nothing. So each ready pod has one more exchange a minute, on a route of its own:
//! it fails when the pod was silent, and the same test as for any failure compares candidate and
//! baseline. The rule treats all pods alike, so that it favours no version: an edge is in use in a
//! minute in which at least half of the ready pods had a call that succeeded on it, and a pod is
//! silent when some edge is in use and it had none on any of them. Single edges do not count: callers
//! keep their connections, and a new pod may wait long for its share of a quiet edge.
//!
//! When a pod is ready is known from the plan alone, for both versions: from the step that released
//! it, or from before the recording for a pod that no step released, to the step that deleted it, or
//! to the recording's end. Rows would not do: a pod that nobody calls has none, and would count as
//! silent in one version and as absent in the other.
//!
//! A check names no host. It asks whether the version was called, and where its only ready pod was
//! left out, no other pod of it can vouch for it.

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

/// A pod's minutes: the first and the last whole one in which it was ready, and per edge the minutes
/// with a success.
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
    let life = |pod: &str, arm| Life {
        arm,
        from: release
            .released
            .get(pod)
            .map_or(minutes.first(), |ready_s| minutes.first_whole(*ready_s)),
        to: release
            .deleted
            .get(pod)
            .map_or(last, |gone_s| minutes.last_whole(*gone_s).min(last)),
        called: BTreeMap::new(),
    };
    let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
    for pod in release.released.keys() {
        lives.insert(pod, life(pod, Arm::Candidate));
    }
    for pod in release.deleted.keys() {
        lives.entry(pod).or_insert_with(|| life(pod, Arm::Baseline));
    }
    for edge in inbound() {
        let life = lives
            .entry(&edge.pod)
            .or_insert_with(|| life(&edge.pod, edge.arm()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changerca::rows::{Edge, Row};

    const END: i64 = 12;

    /// A pod that was called in these minutes; minute 0 ends at 60 s.
    fn edge(pod: &str, candidate: bool, called: &[i64]) -> Edge {
        Edge {
            pod: pod.to_owned(),
            candidate,
            source: "shop".to_owned(),
            destination: "mail".to_owned(),
            rows: called
                .iter()
                .map(|minute| Row {
                    end_s: 60 + 60 * minute,
                    success: Some(1.0),
                    latency_ms: None,
                })
                .collect(),
        }
    }

    /// Two stable pods that are called all the time, and what else is said.
    fn release(others: Vec<Edge>, released: &[(&str, i64)], deleted: &[(&str, i64)]) -> Release {
        let always: Vec<i64> = (0..=END).collect();
        let pods = |list: &[(&str, i64)]| {
            list.iter()
                .map(|(pod, at_s)| ((*pod).to_owned(), *at_s))
                .collect()
        };
        Release {
            case: String::new(),
            service: "mail".to_owned(),
            fault: None,
            ready_s: 60,
            released: pods(released),
            deleted: pods(deleted),
            edges: [
                edge("mail-v1-a", false, &always),
                edge("mail-v1-b", false, &always),
            ]
            .into_iter()
            .chain(others)
            .collect(),
            callers: Vec::new(),
        }
    }

    fn silent(release: &Release, pod: &str) -> Vec<bool> {
        liveness_checks(release)
            .iter()
            .filter(|check| check.pod == pod)
            .map(|check| check.silent)
            .collect()
    }

    #[test]
    fn the_rows_of_a_pod_do_not_say_how_long_it_lived() {
        // Both were there all the time and called in two minutes alone.
        let called = [5, 6];
        let stable = release(vec![edge("mail-v1-c", false, &called)], &[], &[]);
        let candidate = release(
            vec![edge("mail-v2-a", true, &called)],
            &[("mail-v2-a", 0)],
            &[],
        );
        let checks = silent(&stable, "mail-v1-c");
        assert_eq!(checks, silent(&candidate, "mail-v2-a"));
        assert_eq!(checks.len(), END as usize);
        assert_eq!(checks.iter().filter(|silent| !**silent).count(), 2);
    }

    #[test]
    fn the_plan_ends_a_pod_of_either_version() {
        let gone = |pod, candidate: bool| {
            let released: &[(&str, i64)] = if candidate { &[("mail-v2-a", 0)] } else { &[] };
            let release = release(
                vec![edge(pod, candidate, &[1, 2])],
                released,
                &[(pod, 60 + 5 * 60)],
            );
            silent(&release, pod)
        };
        assert_eq!(gone("mail-v1-c", false), [false, false, true, true]);
        assert_eq!(gone("mail-v2-a", true), [false, false, true, true]);
    }

    #[test]
    fn a_pod_that_nobody_ever_called_is_silent_in_either_version() {
        let stable = release(Vec::new(), &[], &[("mail-v1-c", 60 + 60 * END)]);
        assert!(silent(&stable, "mail-v1-c").iter().all(|silent| *silent));
        let candidate = release(Vec::new(), &[("mail-v2-a", 60)], &[]);
        assert!(silent(&candidate, "mail-v2-a").iter().all(|silent| *silent));
        assert!(silent(&stable, "mail-v1-a").iter().all(|silent| !silent));
    }
}
