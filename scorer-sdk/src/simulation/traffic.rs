//! Exchanges of a scenario, tick by tick, for any judge.

use super::answer::{Answer, Conditions, HeaderSets};
use super::crowd::{Crowd, Request, Routing};
use super::lone_client::LoneState;
use super::pods::Pods;
use super::random::poisson;
use super::record::{InFlight, Record};
use super::scenario::{Reported, Scenario};
use crate::exchange::Exchange;
use core::time::Duration;
use fastrand::Rng;

/// Requests in one tick while the baseline's past is learned quickly.
const LEARNING_TICK: u64 = 1_000;
/// When every simulation begins, since the Unix epoch.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// Longest time from the beginning of an exchange to its end in seconds.
const LONGEST_S: f64 = 86_400.0;

/// The exchanges of a scenario.
#[derive(Debug, Clone)]
pub struct Traffic {
    scenario: Scenario,
    random: Rng,
    /// The phase of the swings at the start, in periods.
    phase: f64,
    now: Duration,
    /// Ticks that have passed, of all stages.
    ticks: u64,
    stage: Stage,
    pods: [Pods; 2],
    route_ends: Vec<f64>,
    crowd: Crowd,
    lone_clients: Vec<LoneState>,
    header_sets: HeaderSets,
    /// Of requests to the baseline and to the candidate.
    request_headers: [Vec<String>; 2],
    records: Vec<Record>,
    in_flight: InFlight,
    requests: u64,
    lone_requests: u64,
    before_onset: u64,
}

/// How far a simulation is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The baseline has answered so many of the scenario's `learning` requests.
    Learning(u64),
    /// So many of the ticks have passed in which it is alone.
    Alone(u64),
    /// So many ticks of the rollout have passed.
    Rollout(u64),
}

/// What is the same for all requests of a tick.
#[derive(Debug, Clone, Copy)]
struct Tick {
    /// Its beginning and its length, in seconds of the rollout.
    begin: f64,
    length: f64,
    /// Its number in the rollout; `None` while the baseline is alone.
    number: Option<u64>,
    share: f64,
    /// Factors on odds of failure and on durations that both versions have.
    shared: (f64, f64),
}

impl Traffic {
    /// Traffic before its first tick. It begins with the scenario's `learning` requests, in ticks
    /// of a thousand, and its `alone` ticks, in which the baseline is alone.
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
        let crowd = Crowd::new(&scenario.clients, &mut random);
        let usual: Vec<String> = ["accept", "user-agent", "x-request-id"]
            .map(str::to_owned)
            .into();
        let mut ruled = usual.clone();
        ruled.extend(scenario.header_rule.clone());
        let phase = random.f64();
        Self {
            pods: [
                Pods::new(&scenario.baseline, 1, false, &mut random),
                Pods::new(&scenario.candidate, 2, true, &mut random),
            ],
            lone_clients: scenario
                .lone_clients
                .iter()
                .map(|_| LoneState::new())
                .collect(),
            request_headers: [usual, ruled],
            phase,
            random,
            now: EPOCH,
            ticks: 0,
            stage: Stage::Learning(0).over(&scenario),
            route_ends,
            crowd,
            header_sets: HeaderSets::default(),
            records: Vec::new(),
            in_flight: InFlight::default(),
            requests: 0,
            lone_requests: 0,
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
        !matches!(self.stage, Stage::Rollout(_))
    }

    /// Ticks of the rollout that have passed.
    #[must_use]
    pub fn rollout_ticks(&self) -> u64 {
        match self.stage {
            Stage::Rollout(passed) => passed,
            _ => 0,
        }
    }

    /// Requests that the candidate has got.
    #[must_use]
    pub fn candidate_requests(&self) -> u64 {
        let [_, candidate] = &self.pods;
        candidate.requests
    }

    /// Requests of the scenario's lone clients.
    #[must_use]
    pub fn lone_requests(&self) -> u64 {
        self.lone_requests
    }

    /// Requests that the candidate has got since its harm began.
    #[must_use]
    pub fn since_onset(&self) -> u64 {
        self.candidate_requests() - self.before_onset
    }

    /// Whether the candidate's harm has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let [_, candidate] = &self.pods;
        candidate.harmful
    }

    /// Lets one tick pass: what is reported in it is then in [`Traffic::records`].
    pub fn advance(&mut self) {
        self.records.clear();
        if self.scenario.service.routes.is_empty() {
            self.now += self.scenario.load.tick;
            return;
        }
        let (requests, tick) = self.begin_tick();
        // One each, with the same time between them.
        let step = tick.length / (requests + 1) as f64;
        for number in 1..=requests {
            let begin = tick.begin + step * number as f64;
            let request = self.request(begin, tick.share);
            self.serve(request, tick);
        }
        for request in self.requests_of_lone_clients(tick) {
            self.lone_requests += 1;
            self.serve(request, tick);
        }
        self.end_tick();
    }

    /// Decides how many requests come in this tick and what they meet.
    fn begin_tick(&mut self) -> (u64, Tick) {
        let load = self.scenario.load;
        let length = load.tick.as_secs_f64();
        let (before, number) = match self.stage {
            // Quick learning is over an instant before the rest.
            Stage::Learning(_) => (self.scenario.alone, None),
            Stage::Alone(passed) => (self.scenario.alone.saturating_sub(passed), None),
            Stage::Rollout(passed) => (0, Some(passed)),
        };
        let passed = number.unwrap_or(0) as i64 - before as i64;
        // Nothing swings while the past is learned quickly.
        let swinging = match self.stage {
            Stage::Learning(_) => 0,
            _ => passed,
        };
        let requests = match &mut self.stage {
            Stage::Learning(learned) => {
                let requests = (self.scenario.learning - *learned).min(LEARNING_TICK);
                *learned += requests;
                requests
            }
            _ => {
                let swing = load.swing.map_or(1.0, |it| it.at(swinging, self.phase));
                poisson(&mut self.random, load.requests * swing)
            }
        };
        let candidate_requests = self.candidate_requests();
        let share = number.map_or(0.0, |number| {
            self.scenario.share.at(number, candidate_requests)
        });
        let tick = Tick {
            begin: passed as f64 * length,
            length,
            number,
            share,
            shared: self.scenario.shared_change.factors(swinging, self.phase),
        };
        let bursts = self.scenario.shared_change.bursts;
        let stalls = bursts.map_or(0.0, |it| it.chance);
        let deployments = [&self.scenario.baseline, &self.scenario.candidate];
        for (pods, deployment) in self.pods.iter_mut().zip(deployments) {
            pods.begin_tick(deployment, tick.begin, number, stalls, &mut self.random);
            let harm = &deployment.harm;
            pods.harmful = number.is_some_and(|number| harm.has_begun(pods.requests, number));
        }
        (requests, tick)
    }

    /// Reports what is due and goes on to the next tick.
    fn end_tick(&mut self) {
        let load = self.scenario.load;
        if load.reported == Reported::AtOnce {
            let step = load.tick.as_secs_f64() / (self.records.len() + 1) as f64;
            for (index, record) in self.records.iter_mut().enumerate() {
                record.at = self.now + Duration::from_secs_f64(step * (index + 1) as f64);
            }
        }
        self.in_flight.report(self.ticks, &mut self.records);
        self.ticks += 1;
        self.now += load.tick;
        self.stage = self.stage.next().over(&self.scenario);
    }

    /// What was reported in the last tick, in the order of time.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The facts of what was reported in the last tick.
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
        let retried = self.scenario.retries.most > 0;
        Some(Exchange {
            destination: &self.scenario.service.name,
            route_name: "",
            method: &route.method,
            path: &route.path,
            version: &deployment.version,
            status: Some(record.status),
            duration_us: Some(record.duration_us),
            lasted_us: Some(record.lasted_us),
            response_bytes: Some(record.response_bytes),
            content_type: match &route.other_content_type {
                Some((other, _)) if record.other_content_type => other,
                _ => &route.content_type,
            },
            header_names: Some(self.header_sets.names(record.header_set)?),
            upstream_host: self.host(record),
            session: Some(record.session),
            request: retried.then_some(record.request),
            request_bytes: Some(record.request_bytes),
            request_header_names: Some(self.request_headers(record.candidate)),
            ..Exchange::default()
        })
    }

    /// The address of the pod that served a record; empty for another traffic's.
    #[must_use]
    pub fn host(&self, record: &Record) -> &str {
        let [baseline, candidate] = &self.pods;
        let pods = if record.candidate {
            candidate
        } else {
            baseline
        };
        pods.host(record.pod)
    }

    fn request_headers(&self, candidate: bool) -> &Vec<String> {
        let [usual, ruled] = &self.request_headers;
        if candidate { ruled } else { usual }
    }

    /// The next request of the crowd.
    fn request(&mut self, begin: f64, share: f64) -> Request {
        let drawn = self.random.f64();
        let route = self
            .route_ends
            .partition_point(|end| *end < drawn)
            .min(self.route_ends.len() - 1);
        let routing = Routing {
            share,
            pods: &self.pods,
        };
        self.crowd.request(begin, route, routing, &mut self.random)
    }

    /// The requests of the clients unlike all others.
    fn requests_of_lone_clients(&mut self, tick: Tick) -> Vec<Request> {
        if matches!(self.stage, Stage::Learning(_)) {
            return Vec::new();
        }
        let routing = Routing {
            share: tick.share,
            pods: &self.pods,
        };
        let clients = self.scenario.lone_clients.iter();
        self.lone_clients
            .iter_mut()
            .zip(clients)
            .flat_map(|(state, client)| {
                let time = (tick.begin, tick.length);
                state.requests(client, time, tick.number, routing, &mut self.random)
            })
            .collect()
    }

    /// One request with its retries.
    fn serve(&mut self, mut request: Request, tick: Tick) {
        let retries = self.scenario.retries;
        self.requests += 1;
        let mut same_cause = false;
        for attempt in 0..=retries.most {
            let bound = request.bound;
            let candidate = bound.unwrap_or_else(|| self.random.f64() < tick.share);
            let Some((pod, answer)) = self.answer(&request, candidate, tick, attempt, same_cause)
            else {
                return;
            };
            if !answer.failed {
                return;
            }
            if retries.same_pod {
                request.bound = Some(candidate);
                request.pod = Some(pod);
            }
            request.begin += 1e-6 * answer.lasted_us;
            same_cause = self.random.f64() < retries.same_cause;
        }
    }

    /// Draws the answer to one attempt and keeps its record; gives the pod and the answer, `None`
    /// for a route that the service does not have.
    fn answer(
        &mut self,
        request: &Request,
        candidate: bool,
        tick: Tick,
        attempt: u32,
        same_cause: bool,
    ) -> Option<(usize, Answer)> {
        let Self {
            scenario,
            random,
            pods: [baseline, other],
            ..
        } = self;
        let route = scenario.service.routes.get(request.route)?;
        let (pods, deployment) = if candidate {
            (other, &scenario.candidate)
        } else {
            (baseline, &scenario.baseline)
        };
        pods.requests += 1;
        if candidate && !pods.harmful {
            self.before_onset = pods.requests;
        }
        let concerned = pods.harmful && deployment.harm.concerns(request.route);
        let kept = request.pod.filter(|pod| pods.is_live(*pod));
        let pod = kept.unwrap_or_else(|| pods.choose(random));
        let conditions = Conditions {
            request,
            pod: pods.state(deployment, pod, request.begin),
            bursts: scenario.shared_change.bursts.as_ref(),
            harm: concerned.then_some(&deployment.harm),
            shared: tick.shared,
            cache_fills: deployment.life.cache_fills,
            same_cause,
        };
        let answer = Answer::draw(route, &conditions, random);
        let header_set = self
            .header_sets
            .index(scenario, request.route, answer.headers);
        let lasted_s = (1e-6 * answer.lasted_us).min(LONGEST_S);
        // From the beginning of the tick: the rollout's zero may come later.
        let ended_s = (request.begin - tick.begin).max(0.0) + lasted_s;
        let record = Record {
            at: self.now + Duration::from_secs_f64(ended_s),
            route: request.route,
            candidate,
            pod,
            session: request.session,
            request: self.requests,
            status: answer.status,
            duration_us: answer.duration_us as u64,
            lasted_us: answer.lasted_us as u64,
            request_bytes: answer.request_bytes as u64,
            response_bytes: answer.response_bytes as u64,
            other_content_type: answer.other_content_type,
            attempt,
            header_set,
        };
        self.report(record, ended_s / tick.length);
        Some((pod, answer))
    }

    /// Keeps a record until it is to be reported; it ends after `ended` ticks, from this one's
    /// beginning.
    fn report(&mut self, record: Record, ended: f64) {
        let load = self.scenario.load;
        let mut wait = match load.reported {
            Reported::AtOnce => 0,
            Reported::AtItsEnd => ended as u64,
        };
        if let Some(proxy) = load.late_proxy
            && self.random.f64() < proxy.share
        {
            wait += proxy.ticks;
        }
        if wait == 0 {
            self.records.push(record);
        } else {
            self.in_flight.keep(self.ticks + wait, record);
        }
    }
}

impl Stage {
    /// This stage after one more tick; quick learning counts its requests itself.
    fn next(self) -> Self {
        match self {
            Self::Learning(learned) => Self::Learning(learned),
            Self::Alone(passed) => Self::Alone(passed + 1),
            Self::Rollout(passed) => Self::Rollout(passed + 1),
        }
    }

    /// The next stage where this one is over.
    fn over(self, scenario: &Scenario) -> Self {
        match self {
            Self::Learning(learned) if learned >= scenario.learning => {
                Self::Alone(0).over(scenario)
            }
            Self::Alone(passed) if passed >= scenario.alone => Self::Rollout(0),
            stage => stage,
        }
    }
}
