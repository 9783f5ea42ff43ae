//! Requests drawn from the minutes' rates.
//!
//! The data has rates and no counts. So the requests of a pod's edge in a minute are drawn: their
//! number from Poisson's law around the given mean, their times evenly over the minute, and whether
//! each succeeds from the minute's success rate. A minute without a success rate has no request.
//!
//! Latency is no rate: the data has one measurement for each pod and minute, repeated across its
//! edges. Fifteen requests drawn from one number would be fifteen times the evidence that is there.
//! So one request carries the measurement as it is, at the end of the minute, on the first edge
//! that the pod was called on, and the others carry none.
//!
//! Each edge has a generator of its own, seeded with its name: what is drawn for one canary does
//! not hang on which others are there.

use super::rows::{Edge, MINUTE_S, Release};
use crate::minute::{Arm, Minute};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Poisson};
use std::collections::BTreeSet;

const MINUTE_US: u64 = 60_000_000;
/// Most minutes of a rollout: a week.
const MAX_MINUTES: usize = 7 * 24 * 60;

/// One request that was drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// Microseconds since the epoch at its end.
    pub end_us: u64,
    /// Seconds since the epoch at the end of the minute that it is of.
    pub minute_end_s: i64,
    /// Which version answered.
    pub arm: Arm,
    /// Index of its edge in [`Release::edges`].
    pub edge: usize,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it carries what was measured once for its pod and minute.
    pub measured: bool,
    /// Its latency in microseconds, where it carries the minute's measurement.
    pub latency_us: Option<u64>,
}

/// The requests of a release, in the order of their ends.
///
/// `per_minute` is the mean number of requests of a pod on an edge, and has to be positive.
/// `wanted` says which edges.
#[must_use]
pub fn requests(
    release: &Release,
    per_minute: f64,
    seed: u64,
    wanted: impl Fn(&Edge) -> bool,
) -> Vec<Request> {
    let Ok(number) = Poisson::new(per_minute) else {
        return Vec::new();
    };
    let mut requests = Vec::new();
    let mut measured = BTreeSet::new();
    for (index, edge) in release.edges.iter().enumerate() {
        if !wanted(edge) {
            continue;
        }
        let mut rng = SmallRng::seed_from_u64(seed_of(release, edge, seed));
        for row in &edge.rows {
            let Some(success) = row.success else {
                continue;
            };
            let end_us = u64::try_from(row.end_s).unwrap_or(0) * 1_000_000;
            let begin_us = end_us.saturating_sub(MINUTE_US);
            let count = number.sample(&mut rng) as u64;
            let mut carries = count > 0 && measured.insert((&edge.pod, row.end_s));
            for _ in 0..count {
                let measured = core::mem::take(&mut carries);
                let latency_us = row
                    .latency_ms
                    .filter(|_| measured)
                    .map(|latency_ms| (1_000.0 * latency_ms) as u64);
                let within = rng.random_range(0..MINUTE_US);
                requests.push(Request {
                    end_us: if measured {
                        end_us.saturating_sub(1)
                    } else {
                        begin_us + within
                    },
                    minute_end_s: row.end_s,
                    arm: edge.arm(),
                    edge: index,
                    failed: !rng.random_bool(success.clamp(0.0, 1.0)),
                    measured,
                    latency_us,
                });
            }
        }
    }
    requests.sort_by_key(|request| request.end_us);
    requests
}

/// The minutes from the one that ends at `first_end_s` to the last request's, as judges of metrics
/// see them. Rows of one minute may be written some seconds apart.
#[must_use]
pub fn minutes(requests: &[Request], first_end_s: i64) -> Vec<Minute> {
    let mut minutes: Vec<Minute> = Vec::new();
    for request in requests {
        let since_s = request.minute_end_s - first_end_s + MINUTE_S / 2;
        let Ok(index) = usize::try_from(since_s.div_euclid(MINUTE_S)) else {
            continue;
        };
        if index >= MAX_MINUTES {
            continue;
        }
        if minutes.len() <= index {
            minutes.resize(index + 1, Minute::default());
        }
        if let Some(minute) = minutes.get_mut(index) {
            minute
                .arm(request.arm)
                .add(request.failed, request.latency_us.map(|us| us as f64 / 1e3));
        }
    }
    minutes
}

/// FNV-1a over the names.
fn seed_of(release: &Release, edge: &Edge, seed: u64) -> u64 {
    let parts = [
        &release.case,
        &release.service,
        &edge.pod,
        &edge.source,
        &edge.destination,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let bytes = parts
        .into_iter()
        .flat_map(|part| part.bytes().chain([0]))
        .chain(seed.to_le_bytes());
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changerca::rows::Row;

    fn release(success: Option<f64>) -> Release {
        let rows = (1..=200)
            .map(|minute| Row {
                end_s: 60 * minute,
                success,
                latency_ms: Some(20.0),
            })
            .collect();
        Release {
            case: "case".to_owned(),
            service: "ad".to_owned(),
            fault: None,
            ready_s: 60,
            released: Default::default(),
            deleted: Default::default(),
            callers: Vec::new(),
            edges: vec![Edge {
                pod: "ad-v2-a".to_owned(),
                candidate: true,
                source: "frontend".to_owned(),
                destination: "ad".to_owned(),
                rows,
            }],
        }
    }

    #[test]
    fn what_is_drawn_has_the_rates_of_the_minutes() {
        let drawn = requests(&release(Some(0.9)), 15.0, 1, |_| true);
        let count = drawn.len() as f64;
        // Poisson: 3,000 with a standard deviation of 55.
        assert!((count - 3_000.0).abs() < 4.0 * 55.0, "{count}");
        let failed = drawn.iter().filter(|request| request.failed).count() as f64;
        assert!((failed / count - 0.1).abs() < 4.0 * 0.0055, "{failed}");
    }

    #[test]
    fn a_pods_latency_is_counted_once_a_minute() {
        let mut release = release(Some(1.0));
        let mut other = release.edges[0].clone();
        other.source = "checkout".to_owned();
        release.edges.push(other);
        let drawn = requests(&release, 15.0, 1, |_| true);
        let latencies: Vec<u64> = drawn.iter().filter_map(|one| one.latency_us).collect();
        assert_eq!(latencies, [20_000; 200]);
    }

    #[test]
    fn a_minute_without_a_rate_has_no_request() {
        assert!(requests(&release(None), 15.0, 1, |_| true).is_empty());
    }

    #[test]
    fn the_seed_decides() {
        let one = requests(&release(Some(0.9)), 15.0, 1, |_| true);
        assert_eq!(one, requests(&release(Some(0.9)), 15.0, 1, |_| true));
        assert_ne!(one, requests(&release(Some(0.9)), 15.0, 2, |_| true));
    }

    #[test]
    fn minutes_hold_every_request_once() {
        let drawn = requests(&release(Some(0.9)), 15.0, 1, |_| true);
        let minutes = minutes(&drawn, 60);
        let sum = Minute::sum(&minutes);
        assert_eq!(minutes.len(), 200);
        assert_eq!(sum.candidate.requests as usize, drawn.len());
        assert_eq!(sum.baseline.requests, 0);
    }
}
