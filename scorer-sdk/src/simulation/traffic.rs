//! Exchanges of a scenario, tick by tick, for any judge.

use super::clients::{Clients, Session};
use super::deployment::Deployment;
use super::harm::Harm;
use super::random::{at_odds, normals, poisson};
use super::scenario::Scenario;
use super::service::Route;
use crate::exchange::Exchange;
use core::time::Duration;
use fastrand::Rng;

/// Requests in one tick while the baseline is alone, so that its past is learned quickly.
const LEARNING_TICK: u64 = 1_000;
/// When every simulation begins, since the Unix epoch.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// One simulated exchange: indices into the scenario's lists, and what was drawn. Small and owned;
/// [`Traffic::exchange`] makes the facts of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// When it ended, since the Unix epoch; records of a tick are in this order.
    pub at: Duration,
    /// Index of its route in the service.
    pub route: usize,
    /// Whether the candidate served it.
    pub candidate: bool,
    /// Which pod of that version.
    pub pod: usize,
    /// Hash of the client's session.
    pub session: u64,
    /// Response status.
    pub status: u16,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// Length of the request in bytes.
    pub request_bytes: u64,
    /// Length of the answer in bytes.
    pub response_bytes: u64,
    /// Whether it has the route's other content type.
    pub other_content_type: bool,
    /// Attempts that failed before this one.
    pub attempt: u32,
    /// Index of the answer's header names among those that were seen so far.
    header_set: usize,
}

/// What a request has before a version serves it.
#[derive(Debug, Clone, Copy)]
struct Request {
    route: usize,
    session: u64,
    error_odds: f64,
    slower: f64,
    /// The version that a sticky session is bound to.
    bound: Option<bool>,
}

/// One version's pods in this tick.
#[derive(Debug, Clone, Default)]
struct Arm {
    hosts: Vec<String>,
    /// Error odds and slowness of each pod.
    faults: Vec<(f64, f64)>,
    stalled: Vec<bool>,
    harmful: bool,
    requests: u64,
}

impl Arm {
    fn new(deployment: &Deployment, number: usize) -> Self {
        let pods = deployment.pods.max(1);
        let mut faults = vec![(1.0, 1.0); pods];
        for fault in &deployment.faults {
            if let Some(pod) = faults.get_mut(fault.pod) {
                *pod = (fault.error_odds, fault.slower);
            }
        }
        Self {
            hosts: (0..pods)
                .map(|pod| format!("10.{number}.{}.{}:8080", pod / 250, pod % 250 + 1))
                .collect(),
            faults,
            stalled: vec![false; pods],
            harmful: false,
            requests: 0,
        }
    }
}

/// The exchanges of a scenario.
#[derive(Debug, Clone)]
pub struct Traffic {
    scenario: Scenario,
    random: Rng,
    /// The phase of the swings at the start, in periods.
    phase: f64,
    now: Duration,
    tick: u64,
    learned: u64,
    arms: [Arm; 2],
    route_ends: Vec<f64>,
    sessions: Vec<Session>,
    /// Names behind [`Record::header_set`], with what they stand for: route and bits.
    header_sets: Vec<((usize, u64), Vec<String>)>,
    /// Of requests to the baseline and to the candidate.
    request_headers: [Vec<String>; 2],
    records: Vec<Record>,
    before_onset: u64,
}

impl Traffic {
    /// Traffic before its first tick. It begins with the scenario's `learning` requests, in ticks
    /// of a thousand, in which the baseline is alone.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut sum = 0.0;
        let mut route_ends: Vec<f64> = scenario
            .service
            .routes
            .iter()
            .map(|route| {
                sum += route.traffic;
                sum
            })
            .collect();
        route_ends.iter_mut().for_each(|end| *end /= sum);
        let sessions = match &scenario.clients {
            Clients::Independent => Vec::new(),
            Clients::Sessions(sessions) => (0..sessions.active.max(1))
                .map(|_| Session::draw(sessions, 0.0, &mut random))
                .collect(),
        };
        let usual: Vec<String> = ["accept", "user-agent", "x-request-id"]
            .map(str::to_owned)
            .into();
        let mut ruled = usual.clone();
        ruled.extend(scenario.header_rule.clone());
        Self {
            request_headers: [usual, ruled],
            phase: random.f64(),
            random,
            now: EPOCH,
            tick: 0,
            learned: 0,
            arms: [
                Arm::new(&scenario.baseline, 1),
                Arm::new(&scenario.candidate, 2),
            ],
            route_ends,
            sessions,
            header_sets: Vec::new(),
            records: Vec::new(),
            before_onset: 0,
            scenario,
        }
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The end of the last tick, since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Whether the baseline is still alone in the coming tick.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        self.learned < self.scenario.learning
    }

    /// Requests that the candidate has served.
    #[must_use]
    pub fn candidate_requests(&self) -> u64 {
        self.requests(true)
    }

    /// Requests that the candidate has served since its harm began.
    #[must_use]
    pub fn since_onset(&self) -> u64 {
        self.candidate_requests() - self.before_onset
    }

    /// Whether the candidate's harm has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let [_, candidate] = &self.arms;
        candidate.harmful
    }

    fn requests(&self, candidate: bool) -> u64 {
        let [baseline, other] = &self.arms;
        if candidate {
            other.requests
        } else {
            baseline.requests
        }
    }

    /// Lets one tick pass: what ended in it is then in [`Traffic::records`].
    pub fn advance(&mut self) {
        self.records.clear();
        if self.scenario.service.routes.is_empty() {
            self.now += self.scenario.load.tick;
            return;
        }
        let learning = self.is_learning();
        let requests = if learning {
            let requests = (self.scenario.learning - self.learned).min(LEARNING_TICK);
            self.learned += requests;
            requests
        } else {
            let load = &self.scenario.load;
            let swing = load.swing.map_or(1.0, |it| it.at(self.tick, self.phase));
            poisson(&mut self.random, load.requests * swing)
        };
        let share = if learning {
            0.0
        } else {
            let candidate_requests = self.candidate_requests();
            self.scenario.share.at(self.tick, candidate_requests)
        };
        self.stall(learning);
        let shared_change = self.scenario.shared_change.factors(self.tick, self.phase);
        for _ in 0..requests {
            self.serve(share, shared_change);
        }
        let step = self.scenario.load.tick.as_secs_f64() / (self.records.len() + 1) as f64;
        for (index, record) in self.records.iter_mut().enumerate() {
            record.at = self.now + Duration::from_secs_f64(step * (index + 1) as f64);
        }
        self.now += self.scenario.load.tick;
        if !learning {
            self.tick += 1;
        }
    }

    /// What ended in the last tick, in the order of time.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The facts of what ended in the last tick.
    pub fn exchanges(&self) -> impl Iterator<Item = Exchange<'_>> {
        self.records.iter().filter_map(|it| self.exchange(it))
    }

    /// The facts of a record of this traffic; `None` for another's.
    #[must_use]
    pub fn exchange(&self, record: &Record) -> Option<Exchange<'_>> {
        let route = self.scenario.service.routes.get(record.route)?;
        let deployment = if record.candidate {
            &self.scenario.candidate
        } else {
            &self.scenario.baseline
        };
        let (_, headers) = self.header_sets.get(record.header_set)?;
        Some(Exchange {
            destination: &self.scenario.service.name,
            route_name: "",
            method: &route.method,
            path: &route.path,
            version: &deployment.version,
            status: Some(record.status),
            duration_us: Some(record.duration_us),
            response_bytes: Some(record.response_bytes),
            content_type: match &route.other_content_type {
                Some((other, _)) if record.other_content_type => other,
                _ => &route.content_type,
            },
            header_names: Some(headers),
            upstream_host: self.host(record),
            session: Some(record.session),
            request_bytes: Some(record.request_bytes),
            request_header_names: Some(self.request_headers(record.candidate)),
            ..Exchange::default()
        })
    }

    /// The address of the pod that served a record; empty for another traffic's.
    #[must_use]
    pub fn host(&self, record: &Record) -> &str {
        let [baseline, candidate] = &self.arms;
        let arm = if record.candidate {
            candidate
        } else {
            baseline
        };
        arm.hosts.get(record.pod).map_or("", String::as_str)
    }

    fn request_headers(&self, candidate: bool) -> &Vec<String> {
        let [usual, ruled] = &self.request_headers;
        if candidate { ruled } else { usual }
    }

    /// Decides which pods stall in this tick.
    fn stall(&mut self, learning: bool) {
        let chance = self
            .scenario
            .shared_change
            .bursts
            .map_or(0.0, |it| it.chance);
        let harms = [&self.scenario.baseline.harm, &self.scenario.candidate.harm];
        for (arm, harm) in self.arms.iter_mut().zip(harms) {
            for stalled in &mut arm.stalled {
                *stalled = chance > 0.0 && self.random.f64() < chance;
            }
            arm.harmful = !learning && harm.has_begun(arm.requests, self.tick);
        }
    }

    /// One request with its retries.
    fn serve(&mut self, share: f64, shared_change: (f64, f64)) {
        let request = self.request(share);
        let mut same_cause = false;
        for attempt in 0..=self.scenario.retries.most {
            let candidate = request.bound.unwrap_or_else(|| self.random.f64() < share);
            let failed = self.answer(&request, candidate, attempt, same_cause, shared_change);
            if !failed {
                return;
            }
            same_cause = self.random.f64() < self.scenario.retries.same_cause;
        }
    }

    fn request(&mut self, share: f64) -> Request {
        let drawn = self.random.f64();
        let any_route = self
            .route_ends
            .partition_point(|end| *end < drawn)
            .min(self.route_ends.len() - 1);
        let Clients::Sessions(sessions) = &self.scenario.clients else {
            return Request {
                route: any_route,
                session: self.random.u64(..),
                error_odds: 1.0,
                slower: 1.0,
                bound: None,
            };
        };
        let index = self.random.usize(..self.sessions.len());
        let repeats = self.random.f64() < sessions.repeats;
        let fresh = Session::draw(sessions, share, &mut self.random);
        let session = match self.sessions.get_mut(index) {
            Some(session) => {
                if session.left == 0 {
                    *session = fresh;
                }
                session.left -= 1;
                let route = session.route.filter(|_| repeats).unwrap_or(any_route);
                session.route = Some(route);
                *session
            }
            None => fresh,
        };
        Request {
            route: session.route.unwrap_or(any_route),
            session: session.id,
            error_odds: session.error_odds,
            slower: session.slower,
            bound: sessions.sticky.then_some(session.candidate),
        }
    }

    /// Draws the answer to one attempt; whether it failed.
    fn answer(
        &mut self,
        request: &Request,
        candidate: bool,
        attempt: u32,
        same_cause: bool,
        (error_shared_change, slow_shared_change): (f64, f64),
    ) -> bool {
        let Self {
            scenario,
            random,
            arms: [baseline_arm, candidate_arm],
            ..
        } = self;
        let Some(route) = scenario.service.routes.get(request.route) else {
            return false;
        };
        let (arm, deployment) = if candidate {
            (candidate_arm, &scenario.candidate)
        } else {
            (baseline_arm, &scenario.baseline)
        };
        arm.requests += 1;
        if candidate && !arm.harmful {
            self.before_onset = arm.requests;
        }
        let harm =
            (arm.harmful && deployment.harm.concerns(request.route)).then_some(&deployment.harm);
        let pod = random.usize(..arm.hosts.len());
        let (mut error_odds, mut slower) = arm.faults.get(pod).copied().unwrap_or((1.0, 1.0));
        error_odds *= error_shared_change * request.error_odds;
        slower *= slow_shared_change * request.slower;
        if let Some(bursts) = &scenario.shared_change.bursts
            && arm.stalled.get(pod) == Some(&true)
            && random.f64() < bursts.share
        {
            error_odds *= bursts.error_odds;
            slower *= bursts.slower;
        }
        let mut size = 1.0;
        if let Some(harm) = harm {
            error_odds *= harm.error_odds;
            slower *= harm.slower;
            size = harm.size;
            if let Some(tail) = harm.tail
                && random.f64() < tail.share
            {
                slower *= tail.slower;
            }
        }
        let failed = same_cause || random.f64() < at_odds(route.error_rate, error_odds);
        let status = if failed {
            500
        } else if random.f64() < route.refused_rate {
            404
        } else {
            200
        };
        let (mut long, large) = normals(random);
        // The largest of a geometric number of draws has the odds ratio 1/p (Marshall, Olkin 1997).
        let again = harm.map_or(0.0, |harm| 1.0 - 1.0 / harm.slow_odds.max(1.0));
        while again > 0.0 && random.f64() < again {
            long = long.max(normals(random).0);
        }
        let duration = route.latency.median_us * slower * (route.latency.sigma * long).exp();
        let spread = (route.size_spread * large).exp();
        let other = route.other_content_type.as_ref();
        let other_content_type = other.is_some_and(|(_, chance)| random.f64() < *chance);
        let bits = header_bits(route, harm, random);
        let header_set = self.header_set(request.route, bits);
        let route = self.scenario.service.routes.get(request.route);
        let request_bytes = route.map_or(0.0, |route| route.request_bytes);
        let response_bytes = route.map_or(0.0, |route| route.response_bytes);
        self.records.push(Record {
            at: self.now,
            route: request.route,
            candidate,
            pod,
            session: request.session,
            status,
            duration_us: duration as u64,
            request_bytes: (request_bytes * spread) as u64,
            response_bytes: (response_bytes * size * spread) as u64,
            other_content_type,
            attempt,
            header_set,
        });
        failed
    }

    /// The index of a set of header names; a new set is added.
    fn header_set(&mut self, route: usize, bits: u64) -> usize {
        let known = self
            .header_sets
            .iter()
            .position(|(of, _)| *of == (route, bits));
        known.unwrap_or_else(|| {
            let headers = self.scenario.service.routes.get(route);
            let names = (0_u64..64)
                .zip(headers.into_iter().flat_map(|route| &route.headers))
                .filter(|(bit, _)| bits >> bit & 1 == 1)
                .map(|(_, header)| header.name.clone())
                .collect();
            self.header_sets.push(((route, bits), names));
            self.header_sets.len() - 1
        })
    }
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
