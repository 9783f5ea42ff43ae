//! What a case's files say: the plan of the releases, and a row a minute for each pod and edge.

use super::source::Case;
use crate::minute::Arm;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most rows of a file.
const MAX_ROWS: usize = 10_000;
/// Seconds of a minute.
pub const MINUTE_S: i64 = 60;
/// Longest time between a release and a row that is of it, in seconds: a week.
const LONGEST_S: u64 = 7 * 86_400;
/// The last second that a row may have, in the year 9999.
const LATEST_S: i64 = 253_402_300_799;

#[derive(Debug, Deserialize)]
struct RawCase {
    plan: BTreeMap<String, RawService>,
    fault: String,
    fault_release_service: String,
}

#[derive(Debug, Deserialize)]
struct RawService {
    process: BTreeMap<String, RawStep>,
}

#[derive(Debug, Deserialize)]
struct RawStep {
    release_pod: Vec<String>,
    delete_pod: Vec<String>,
    release_complete_timestamp: i64,
}

/// One release of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Name of the case.
    pub case: String,
    /// Name of the service.
    pub service: String,
    /// The injected fault; `None` for a harmless release.
    pub fault: Option<String>,
    /// Seconds since the epoch at which the first pods of the candidate were ready.
    pub ready_s: i64,
    /// The candidate's pods with the seconds since the epoch at which each was ready.
    pub released: BTreeMap<String, i64>,
    /// The pods that the plan deletes with the seconds since the epoch at which each was gone.
    pub deleted: BTreeMap<String, i64>,
    /// The service's pods with the minutes of each edge.
    pub edges: Vec<Edge>,
    /// The edges to the service as the pods of its callers took part in them.
    pub callers: Vec<Edge>,
}

/// The calls of one edge that one pod took part in.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The pod.
    pub pod: String,
    /// Whether the pod is of the candidate.
    pub candidate: bool,
    /// Who calls.
    pub source: String,
    /// Who is called.
    pub destination: String,
    /// The minutes, in the order of time.
    pub rows: Vec<Row>,
}

impl Edge {
    /// Which version the pod is of.
    #[must_use]
    pub fn arm(&self) -> Arm {
        if self.candidate {
            Arm::Candidate
        } else {
            Arm::Baseline
        }
    }
}

/// A minute of an edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Seconds since the epoch at the minute's end.
    pub end_s: i64,
    /// Share of the calls that succeeded, 0 to 1; `None` when there was none.
    pub success: Option<f64>,
    /// Latency in milliseconds, where it was measured.
    pub latency_ms: Option<f64>,
}

/// The minutes of a case, numbered from the first row's: rows are written at about the same second
/// of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minutes {
    base_s: i64,
}

impl Minutes {
    /// The minutes of some edges; `None` where they have no row.
    pub fn of<'a>(edges: impl Iterator<Item = &'a Edge>) -> Option<Self> {
        let base_s = edges
            .filter_map(|edge| edge.rows.first())
            .map(|row| row.end_s)
            .min()?;
        Some(Self { base_s })
    }

    /// The minute of a row, by the seconds since the epoch at its end.
    #[must_use]
    pub fn number(self, end_s: i64) -> i64 {
        (end_s - self.base_s + MINUTE_S / 2).div_euclid(MINUTE_S)
    }

    /// Seconds since the epoch at a minute's end.
    #[must_use]
    pub fn end_s(self, number: i64) -> i64 {
        self.base_s + number * MINUTE_S
    }

    /// The first whole minute of a pod that was ready at `ready_s` seconds since the epoch; the minute
    /// in which its callers learn of it is not whole.
    #[must_use]
    pub fn first_whole(self, ready_s: i64) -> i64 {
        ready_s.saturating_sub(self.base_s).div_euclid(MINUTE_S) + 2
    }

    /// The first whole minute of a pod that was there before the recording began.
    #[must_use]
    pub fn first(self) -> i64 {
        self.first_whole(self.base_s.saturating_sub(MINUTE_S))
    }

    /// The last whole minute of a pod that was gone at `gone_s` seconds since the epoch; the minute
    /// in which its callers leave it is not whole.
    #[must_use]
    pub fn last_whole(self, gone_s: i64) -> i64 {
        gone_s.saturating_sub(self.base_s).div_euclid(MINUTE_S) - 1
    }
}

/// Rows that were read, and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Rows that were read.
    pub read: u64,
    /// Rows that are no minute of an edge.
    pub refused: u64,
    /// Rows after their pod's end, which are its replacement's.
    pub replaced: u64,
}

/// The releases of a case.
///
/// # Errors
/// When the case's JSON does not tell of releases.
pub fn releases(name: &str, case: &Case, counted: &mut Counted) -> Result<Vec<Release>> {
    let raw: RawCase =
        serde_json::from_str(&case.json).with_context(|| format!("{name}.json is no case"))?;
    let mut releases = Vec::new();
    for (service, plan) in &raw.plan {
        let Some(ready_s) = plan
            .process
            .values()
            .map(|step| step.release_complete_timestamp)
            .min()
        else {
            continue;
        };
        let mut released = BTreeMap::new();
        let mut deleted: BTreeMap<String, i64> = BTreeMap::new();
        for step in plan.process.values() {
            for pod in &step.release_pod {
                released.insert(pod.clone(), step.release_complete_timestamp);
            }
            for pod in &step.delete_pod {
                let gone_s = deleted
                    .entry(pod.clone())
                    .or_insert(step.release_complete_timestamp);
                *gone_s = (*gone_s).min(step.release_complete_timestamp);
            }
        }
        let mut edges = Vec::new();
        let mut callers = Vec::new();
        for (file, text) in &case.tables {
            let Some((pod, source, destination)) = edge_of(file) else {
                continue;
            };
            if !pod.starts_with(&format!("{service}-v")) {
                if destination == service {
                    callers.push(Edge {
                        pod: pod.to_owned(),
                        candidate: false,
                        source: source.to_owned(),
                        destination: destination.to_owned(),
                        rows: rows(text, ready_s, &mut Counted::default()),
                    });
                }
                continue;
            }
            let mut rows = rows(text, ready_s, counted);
            // A deleted pod's file goes on with the values of its replacement.
            if let Some(end_s) = deleted.get(pod) {
                let before = rows.len();
                rows.retain(|row| row.end_s <= *end_s);
                counted.replaced += (before - rows.len()) as u64;
            }
            edges.push(Edge {
                pod: pod.to_owned(),
                candidate: released.contains_key(pod) || pod.starts_with(&format!("{service}-v2-")),
                source: source.to_owned(),
                destination: destination.to_owned(),
                rows,
            });
        }
        releases.push(Release {
            case: name.to_owned(),
            service: service.clone(),
            fault: (*service == raw.fault_release_service).then(|| raw.fault.clone()),
            ready_s,
            released,
            deleted,
            edges,
            callers,
        });
    }
    Ok(releases)
}

/// Pod, source and destination by the name of a file.
fn edge_of(file: &str) -> Option<(&str, &str, &str)> {
    let mut parts = file.strip_suffix(".csv")?.split('_');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// The rows of a file, under its heading, in the order of time and each minute once. Those that are
/// more than a week from the release at `ready_s` are none of it.
fn rows(text: &str, ready_s: i64, counted: &mut Counted) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match row(line).filter(|row| row.end_s.abs_diff(ready_s) <= LONGEST_S) {
            Some(row) if rows.len() < MAX_ROWS => {
                counted.read += 1;
                rows.push(row);
            }
            _ => counted.refused += 1,
        }
    }
    rows.sort_by_key(|row| row.end_s);
    rows.dedup_by_key(|row| row.end_s);
    rows
}

/// Time, Timestamp, SuccessRate in per cent, Latency in milliseconds, and the host's load. A latency
/// of 0 stands for a minute in which nothing was measured.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split(',').skip(1);
    let end_s = fields.next()?.trim().parse().ok()?;
    let success: f64 = fields.next()?.trim().parse().ok()?;
    let latency_ms: f64 = fields.next()?.trim().parse().ok()?;
    let plausible =
        (0..=LATEST_S).contains(&end_s) && (success.is_nan() || (0.0..=100.0).contains(&success));
    let unmeasured = latency_ms.is_nan();
    (plausible && (unmeasured || (0.0..1e9).contains(&latency_ms))).then(|| Row {
        end_s,
        success: (!success.is_nan()).then_some(success / 100.0),
        latency_ms: (latency_ms > 0.0).then_some(latency_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "Time,Timestamp,SuccessRate,Latency,CPU";

    fn case() -> Case {
        let json = r#"{
            "plan": {
                "ad": {"process": {
                    "100": {"release_pod": ["ad-v2-b"], "delete_pod": ["ad-v1-a"], "release_complete_timestamp": 160},
                    "400": {"release_pod": ["ad-v2-c"], "delete_pod": ["ad-v1-x"], "release_complete_timestamp": 460}
                }},
                "cart": {"process": {}}
            },
            "fault": "exception", "fault_release_service": "ad"
        }"#;
        let table = |rows: &[&str]| format!("{HEADING}\n{}\n", rows.join("\n"));
        Case {
            json: json.to_owned(),
            tables: [
                (
                    "ad-v1-a_frontend_ad.csv",
                    table(&["t,120,100,2.5,1", "t,180,0,9,1"]),
                ),
                (
                    "ad-v2-b_frontend_ad.csv",
                    table(&[
                        "t,240,25,4,1",
                        "t,180,NaN,0,1",
                        "broken",
                        "t,300,120,1,1",
                        "t,9000000,100,1,1",
                    ]),
                ),
                ("other-v1-a_frontend_other.csv", table(&["t,120,100,2.5,1"])),
            ]
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect(),
        }
    }

    #[test]
    fn a_deleted_pod_ends_where_its_replacement_begins() {
        let mut counted = Counted::default();
        let releases = releases("case", &case(), &mut counted).unwrap();
        assert_eq!(releases.len(), 1);
        let release = &releases[0];
        assert_eq!(release.ready_s, 160);
        assert_eq!(release.fault.as_deref(), Some("exception"));
        let stable = &release.edges[0];
        assert!(!stable.candidate);
        assert_eq!(stable.rows.len(), 1);
        assert_eq!(stable.rows[0].end_s, 120);
        assert_eq!(counted.replaced, 1);
    }

    #[test]
    fn rows_are_sorted_and_what_is_no_minute_is_refused() {
        let mut counted = Counted::default();
        let releases = releases("case", &case(), &mut counted).unwrap();
        let rows = &releases[0].edges[1].rows;
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].end_s, rows[0].success), (180, None));
        assert_eq!((rows[1].end_s, rows[1].success), (240, Some(0.25)));
        // No number, a rate above 1, and a row of three months later.
        assert_eq!(counted.refused, 3);
    }
}
