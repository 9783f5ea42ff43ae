//! A blue/green switch, from 0 to 100% at once: how often is a healthy one called suspect for
//! weather, and how soon is a bad one?
//!
//! Half an hour of stable alone, then ten minutes of the new version alone; 60 requests a second
//! on twelve routes.

use super::Runs;
use super::false_alarms::twelve_routes;
use crate::config::Plan;
use crate::engine::Engine;
use crate::judge::verdict::Verdict;
use crate::simulation::law::median;
use crate::simulation::{Harm, Load, Outage, Scenario, Share, SharedChange, Swing, Traffic};
use fastrand::Rng;
use std::sync::Arc;

/// Seconds until the switch.
const BEFORE: u64 = 1_800;
/// Seconds after it.
const AFTER: u64 = 600;
/// Requests a second.
const REQUESTS: f64 = 60.0;

/// What the weather is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Rates stay as they are.
    Calm,
    /// Odds of failures swing fourfold and durations 1.7-fold, within minutes.
    Swings,
    /// The same over twenty minutes.
    SlowSwings,
    /// Odds of failures, durations and load as between night and day, the switch at a random hour.
    NightAndDay,
    /// Outages of half a minute at random times, one in six minutes, before and after.
    Outages,
    /// The same, and none before the switch.
    FirstOutages,
    /// A new version starts three times as slow and warms up with this time constant, in seconds.
    ColdStart(u32),
}

impl Weather {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Calm,
        Self::Swings,
        Self::SlowSwings,
        Self::NightAndDay,
        Self::Outages,
        Self::FirstOutages,
        Self::ColdStart(60),
        Self::ColdStart(300),
    ];

    /// For people: a switch in which …
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Calm => "nothing happens".to_owned(),
            Self::Swings => "errors (odds ×4) and latency (×1.7) swing within minutes".to_owned(),
            Self::SlowSwings => {
                "errors (odds ×3) and latency (×1.4) swing over twenty minutes".to_owned()
            }
            Self::NightAndDay => {
                "errors (odds ×3), latency (×1.4) and load (×2) follow the day".to_owned()
            }
            Self::Outages => "both fail (odds ×20) for 30 s at random, each six minutes".to_owned(),
            Self::FirstOutages => "the same, and never before the switch".to_owned(),
            Self::ColdStart(seconds) => {
                format!("the new version starts three times as slow, warm after {seconds} s")
            }
        }
    }

    fn scenario(self, seed: u64) -> Scenario {
        let mut scenario = Scenario {
            service: twelve_routes(),
            share: Share::ByTime(vec![(BEFORE, 1.0)]),
            load: Load {
                requests: REQUESTS,
                ..Load::default()
            },
            learning: 0,
            ..Scenario::default()
        };
        let swing = |factor: f64, period: f64| Some(Swing { factor, period });
        scenario.shared_change = match self {
            Self::Calm | Self::ColdStart(_) => SharedChange::default(),
            Self::Swings => SharedChange {
                errors: swing(4.0, 90.0),
                latency: swing(1.7, 130.0),
                ..SharedChange::default()
            },
            Self::SlowSwings => SharedChange {
                errors: swing(3.0, 1_200.0),
                latency: swing(1.4, 1_200.0),
                ..SharedChange::default()
            },
            Self::NightAndDay => {
                scenario.load.swing = swing(2.0, 86_400.0);
                SharedChange {
                    errors: swing(3.0, 86_400.0),
                    latency: swing(1.4, 86_400.0),
                    ..SharedChange::default()
                }
            }
            Self::Outages | Self::FirstOutages => {
                // Another stream of numbers than the traffic's.
                let mut random = Rng::with_seed(seed ^ 0x6f75_7461_6765);
                let outages = (0..(BEFORE + AFTER) / 360)
                    .map(|_| {
                        let from = random.u64(0..BEFORE + AFTER - 30);
                        Outage {
                            ticks: from..from + 30,
                            error_odds: 20.0,
                            slower: 1.0,
                        }
                    })
                    .filter(|outage| self == Self::Outages || outage.ticks.start >= BEFORE)
                    .collect();
                SharedChange {
                    outages,
                    ..SharedChange::default()
                }
            }
        };
        scenario
    }

    /// How many times as long an answer takes `seconds` after the switch.
    fn slowness(self, seconds: u64) -> f64 {
        match self {
            Self::ColdStart(constant) => {
                1.0 + 2.0 * (-(seconds as f64) / f64::from(constant.max(1))).exp()
            }
            _ => 1.0,
        }
    }
}

/// What came of one kind of switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// Those that were called suspect against the past.
    pub suspect: u64,
    /// Those that still were when ten minutes had passed.
    pub at_end: u64,
    /// Those that were called anomalous.
    pub anomalous: u64,
    /// Seconds until they were suspect, in the median; `u64::MAX` where most never were.
    pub seconds: u64,
    /// All of them.
    pub runs: u64,
}

/// Runs switches in this weather to a version with this harm.
#[must_use]
pub fn switches(plan: &Arc<Plan>, weather: Weather, harm: &Harm, runs: Runs) -> Switches {
    let found = runs.map(|seed| switch(plan, weather, harm, seed));
    let count = |is: fn(&Found) -> bool| found.iter().filter(|run| is(run)).count() as u64;
    Switches {
        suspect: count(|run| run.first < u64::MAX),
        at_end: count(|run| run.at_end),
        anomalous: count(|run| run.anomalous),
        seconds: median(found.iter().map(|run| run.first).collect()),
        runs: runs.runs,
    }
}

struct Found {
    /// Seconds after the switch until it was suspect; `u64::MAX` if it never was.
    first: u64,
    at_end: bool,
    anomalous: bool,
}

fn switch(plan: &Arc<Plan>, weather: Weather, harm: &Harm, seed: u64) -> Found {
    let mut scenario = weather.scenario(seed);
    scenario.candidate.harm = harm.clone();
    let mut traffic = Traffic::new(scenario, seed);
    let mut engine = Engine::new(Arc::clone(plan), seed);
    let mut found = Found {
        first: u64::MAX,
        at_end: false,
        anomalous: false,
    };
    for second in 0..BEFORE + AFTER {
        let since = second.checked_sub(BEFORE);
        traffic.advance();
        for record in traffic.records() {
            let mut record = *record;
            if let Some(since) = since {
                let duration = record.duration_us as f64 * weather.slowness(since);
                record.duration_us = duration as u64;
            }
            if let Some(exchange) = traffic.exchange(&record) {
                engine.observe(&exchange);
            }
        }
        engine.advance(traffic.now());
        let Some(since) = since else { continue };
        let decision = engine.judge().decisions().pop().unwrap_or_default();
        found.at_end = !decision.against_past.is_empty();
        if found.at_end {
            found.first = found.first.min(since);
        }
        found.anomalous |= decision.verdict == Verdict::Anomalous;
    }
    found
}
