//! The answer to one request: status, time, length and headers.

use super::crowd::Request;
use super::harm::Harm;
use super::pods::PodState;
use super::random::{at_odds, normals};
use super::scenario::Scenario;
use super::service::Route;
use super::shared_change::Bursts;
use fastrand::Rng;

/// What an answer depends on beside its route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions<'a> {
    pub(super) request: &'a Request,
    pub(super) pod: PodState,
    /// Stalls of pods, where there are any.
    pub(super) bursts: Option<&'a Bursts>,
    /// What the version does worse here and now.
    pub(super) harm: Option<&'a Harm>,
    /// Factors on odds of failure and on durations that both versions have.
    pub(super) shared: (f64, f64),
    /// Seconds in which a fresh pod's cache fills.
    pub(super) cache_fills: f64,
    /// Whether it fails for the cause of the attempt before.
    pub(super) same_cause: bool,
}

/// What was drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) failed: bool,
    pub(super) status: u16,
    pub(super) duration_us: f64,
    pub(super) lasted_us: f64,
    pub(super) request_bytes: f64,
    pub(super) response_bytes: f64,
    pub(super) other_content_type: bool,
    /// Which of the route's headers it carries.
    pub(super) headers: u64,
}

impl Answer {
    pub(super) fn draw(route: &Route, conditions: &Conditions<'_>, random: &mut Rng) -> Self {
        let Conditions {
            request,
            pod,
            harm,
            shared,
            ..
        } = *conditions;
        let (mut error_odds, mut slower) = (pod.error_odds, pod.slower);
        error_odds *= shared.0 * request.error_odds;
        slower *= shared.1 * request.slower;
        if let Some(bursts) = conditions.bursts
            && pod.stalled
            && random.f64() < bursts.share
        {
            error_odds *= bursts.error_odds;
            slower *= bursts.slower;
        }
        let mut size = request.size;
        if let Some(harm) = harm {
            error_odds *= harm.error_odds;
            slower *= harm.slower;
            size *= harm.size;
            if let Some(tail) = harm.tail
                && random.f64() < tail.share
            {
                slower *= tail.slower;
            }
        }
        let (failed, status) = status(route, conditions, error_odds, random);
        let (mut long, large) = normals(random);
        // The largest of a geometric number of draws has the odds ratio 1/p (Marshall, Olkin 1997).
        let again = harm.map_or(0.0, |harm| 1.0 - 1.0 / harm.slow_odds.max(1.0));
        while again > 0.0 && random.f64() < again {
            long = long.max(normals(random).0);
        }
        if let Some(cache) = route.cache {
            let empty = if conditions.cache_fills > 0.0 {
                (-pod.age.max(0.0) / conditions.cache_fills).exp()
            } else {
                0.0
            };
            if random.f64() < cache.misses + (1.0 - cache.misses) * empty {
                slower *= cache.slower;
            }
        }
        let usual_us = route.latency.median_us * slower * (route.latency.sigma * long).exp();
        let mut duration_us = usual_us + pod.wait_us;
        let mut lasted_us = duration_us;
        if let Some(lasting) = route.lasting
            && !failed
            && random.f64() < lasting.share
        {
            let z = normals(random).0;
            lasted_us += 1e6 * lasting.seconds * (lasting.sigma * z).exp();
            if !lasting.is_stream {
                duration_us = lasted_us;
            }
        }
        let spread = (route.size_spread * large).exp();
        let other = route.other_content_type.as_ref();
        let other_content_type = other.is_some_and(|(_, chance)| random.f64() < *chance);
        Self {
            failed,
            status,
            duration_us,
            lasted_us,
            request_bytes: route.request_bytes * request.size * spread,
            response_bytes: route.response_bytes * size * spread,
            other_content_type,
            headers: header_bits(route, harm, random),
        }
    }
}

/// Whether the request fails, and the status.
fn status(
    route: &Route,
    conditions: &Conditions<'_>,
    error_odds: f64,
    random: &mut Rng,
) -> (bool, u16) {
    if conditions.pod.fails {
        return (true, 500);
    }
    if let Some(status) = conditions.request.status {
        return (status >= 500, status);
    }
    if conditions.same_cause || random.f64() < at_odds(route.error_rate, error_odds) {
        return (true, 500);
    }
    let refused = random.f64() < route.refused_rate;
    (false, if refused { 404 } else { 200 })
}

/// Which of the route's first 64 headers an answer carries.
fn header_bits(route: &Route, harm: Option<&Harm>, random: &mut Rng) -> u64 {
    let lost = harm.and_then(|harm| harm.lost_header.as_ref());
    let mut bits = 0;
    for (bit, header) in (0_u64..64).zip(&route.headers) {
        let present = header.presence >= 1.0 || random.f64() < header.presence;
        if present && lost != Some(&header.name) {
            bits |= 1 << bit;
        }
    }
    bits
}

/// The sets of header names that were seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct HeaderSets {
    /// The names, with what they stand for: route and bits.
    sets: Vec<((usize, u64), Vec<String>)>,
}

impl HeaderSets {
    /// The index of a set of header names; a new set is added.
    pub(super) fn index(&mut self, scenario: &Scenario, route: usize, bits: u64) -> usize {
        let known = self.sets.iter().position(|(of, _)| *of == (route, bits));
        known.unwrap_or_else(|| {
            let headers = scenario.service.routes.get(route);
            let names = (0_u64..64)
                .zip(headers.into_iter().flat_map(|route| &route.headers))
                .filter(|(bit, _)| bits >> bit & 1 == 1)
                .map(|(_, header)| header.name.clone())
                .collect();
            self.sets.push(((route, bits), names));
            self.sets.len() - 1
        })
    }

    /// The names at an index.
    pub(super) fn names(&self, index: usize) -> Option<&Vec<String>> {
        self.sets.get(index).map(|(_, names)| names)
    }
}
