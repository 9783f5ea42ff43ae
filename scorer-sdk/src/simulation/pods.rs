//! The pods of one version while a simulation runs.

use super::deployment::Deployment;
use super::random::{exponential, normals};
use fastrand::Rng;

/// When the first pods of the baseline were started, in seconds of the rollout: long ago.
const LONG_AGO: f64 = -1e9;

/// A time in which a pod is out of order, in seconds of the rollout.
#[derive(Debug, Clone, Copy)]
struct Spell {
    begin: f64,
    end: f64,
}

impl Spell {
    const NEVER: Self = Self {
        begin: f64::INFINITY,
        end: f64::INFINITY,
    };

    fn next(now: f64, every: f64, lasts: f64, random: &mut Rng) -> Self {
        let begin = now + exponential(random, every);
        Self {
            begin,
            end: begin + lasts,
        }
    }

    fn contains(&self, time: f64) -> bool {
        self.begin <= time && time < self.end
    }
}

#[derive(Debug, Clone)]
struct Pod {
    host: String,
    started: f64,
    error_odds: f64,
    slower: f64,
    stalled: bool,
    pause: Spell,
    failure: Spell,
}

/// What a pod adds to a request that it serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodState {
    pub(super) error_odds: f64,
    pub(super) slower: f64,
    /// Microseconds that the request waits before it is served.
    pub(super) wait_us: f64,
    pub(super) fails: bool,
    pub(super) stalled: bool,
    /// Seconds since the pod was started.
    pub(super) age: f64,
}

/// One version's pods, and what the version has served.
#[derive(Debug, Clone)]
pub(super) struct Pods {
    network: usize,
    /// When the version came, in seconds of the rollout.
    since: f64,
    /// Durations of all pods, in multiples.
    node: f64,
    /// All that ever ran, by their number.
    pods: Vec<Pod>,
    /// The numbers of those that run, the oldest first.
    live: Vec<usize>,
    /// How many of the first ones were replaced.
    replaced: usize,
    /// When the next pod comes or goes.
    next_scaling: f64,
    pub(super) harmful: bool,
    pub(super) requests: u64,
}

impl Pods {
    /// The pods of the version whose addresses are in network `network`; `fresh` ones start with
    /// the rollout.
    pub(super) fn new(
        deployment: &Deployment,
        network: usize,
        fresh: bool,
        random: &mut Rng,
    ) -> Self {
        let node = deployment.life.node;
        let node = node.map_or(1.0, |(least, most)| least + (most - least) * random.f64());
        let since = if fresh { 0.0 } else { LONG_AGO };
        let mut pods = Self {
            network,
            since,
            node,
            pods: Vec::new(),
            live: Vec::new(),
            replaced: 0,
            next_scaling: f64::NEG_INFINITY,
            harmful: false,
            requests: 0,
        };
        for _ in 0..deployment.pods.max(1) {
            pods.start(deployment, since, random);
        }
        for fault in &deployment.faults {
            if let Some(pod) = pods.pods.get_mut(fault.pod) {
                pod.error_odds = fault.error_odds;
                pod.slower *= fault.slower;
            }
        }
        pods
    }

    fn start(&mut self, deployment: &Deployment, started: f64, random: &mut Rng) {
        let number = self.pods.len();
        let spread = deployment.life.speed_spread;
        let speed = if spread > 0.0 {
            (spread * normals(random).0).exp()
        } else {
            1.0
        };
        self.live.push(number);
        self.pods.push(Pod {
            host: format!(
                "10.{}.{}.{}:8080",
                self.network,
                number / 250,
                number % 250 + 1
            ),
            started,
            error_odds: 1.0,
            slower: speed * self.node,
            stalled: false,
            pause: Spell::NEVER,
            failure: Spell::NEVER,
        });
    }

    /// Lets a tick begin at `now` seconds of the rollout. `tick` is its number, `None` while the
    /// baseline is alone; `stalls` is the chance of each pod to stall in it.
    pub(super) fn begin_tick(
        &mut self,
        deployment: &Deployment,
        now: f64,
        tick: Option<u64>,
        stalls: f64,
        random: &mut Rng,
    ) {
        self.scale(deployment, now, random);
        self.replace(deployment, now, tick, random);
        let life = &deployment.life;
        for number in &self.live {
            let Some(pod) = self.pods.get_mut(*number) else {
                continue;
            };
            pod.stalled = stalls > 0.0 && random.f64() < stalls;
            if let Some(pauses) = life.pauses
                && is_over(&pod.pause, now)
            {
                let lasts = pauses.shortest + (pauses.longest - pauses.shortest) * random.f64();
                pod.pause = Spell::next(now, pauses.every, lasts, random);
            }
            if let Some(failures) = life.failures
                && is_over(&pod.failure, now)
            {
                pod.failure = Spell::next(now, failures.every, failures.lasts, random);
            }
        }
    }

    /// Adds or removes a pod when it is time.
    fn scale(&mut self, deployment: &Deployment, now: f64, random: &mut Rng) {
        let Some(scaling) = deployment.life.scaling else {
            return;
        };
        if now < self.since {
            return;
        }
        if self.next_scaling == f64::NEG_INFINITY {
            self.next_scaling = now + exponential(random, scaling.every);
        }
        if now < self.next_scaling {
            return;
        }
        self.next_scaling = now + exponential(random, scaling.every);
        let pods = self.live.len();
        let grows = pods <= scaling.least || (pods < scaling.most && random.bool());
        if grows {
            self.start(deployment, now, random);
        } else if pods > 1 {
            let gone = random.usize(..pods);
            self.live.remove(gone);
        }
    }

    /// Replaces as many of the first pods as should have been by this tick.
    fn replace(&mut self, deployment: &Deployment, now: f64, tick: Option<u64>, random: &mut Rng) {
        let (Some(ticks), Some(tick)) = (&deployment.life.replaced, tick) else {
            return;
        };
        if tick < ticks.start || ticks.is_empty() {
            return;
        }
        let pods = deployment.pods.max(1);
        let passed = (tick - ticks.start + 1) as f64 / (ticks.end - ticks.start) as f64;
        let due = ((passed * pods as f64).ceil() as usize).min(pods);
        while self.replaced < due {
            self.start(deployment, now, random);
            self.live.remove(0);
            self.replaced += 1;
        }
    }

    /// The number of a pod that runs, at random.
    pub(super) fn choose(&self, random: &mut Rng) -> usize {
        let index = random.usize(..self.live.len());
        self.live.get(index).copied().unwrap_or(0)
    }

    /// Whether a pod still runs.
    pub(super) fn is_live(&self, number: usize) -> bool {
        self.live.contains(&number)
    }

    /// The address of a pod; empty for one that never ran.
    pub(super) fn host(&self, number: usize) -> &str {
        self.pods.get(number).map_or("", |pod| &pod.host)
    }

    /// What a pod adds to a request that reaches it at `time`.
    pub(super) fn state(&self, deployment: &Deployment, number: usize, time: f64) -> PodState {
        let Some(pod) = self.pods.get(number) else {
            return PodState {
                error_odds: 1.0,
                slower: 1.0,
                wait_us: 0.0,
                fails: false,
                stalled: false,
                age: f64::INFINITY,
            };
        };
        let age = time - pod.started;
        let cold = deployment.life.cold_start;
        PodState {
            error_odds: pod.error_odds,
            slower: pod.slower * cold.map_or(1.0, |cold| cold.factor(age)),
            wait_us: if pod.pause.contains(time) {
                1e6 * (pod.pause.end - time)
            } else {
                0.0
            },
            fails: pod.failure.contains(time),
            stalled: pod.stalled,
            age,
        }
    }
}

/// Whether a new spell has to be drawn: the last one has passed, or there was none.
fn is_over(spell: &Spell, now: f64) -> bool {
    spell.end <= now || spell.begin == f64::INFINITY
}
