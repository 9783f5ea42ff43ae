//! Healthy rollouts whose paths have ids: templates are learned, names collapse and routes take the
//! place of others while the versions are compared, and nobody is blamed for it.

use fastrand::Rng;
use scorer_sdk::judge::verdict::Verdict;
use scorer_sdk::simulation::law::binomial_bound;
use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::false_alarms::{CANDIDATE_REQUESTS, healthy};
use scorer_sdk::simulation::{Scenario, Traffic, plan};
use scorer_sdk::{Engine, Exchange};

/// Rollouts of each kind.
const RUNS: Runs = Runs {
    runs: 24,
    seed: 94_000,
    threads: 1,
};

/// An id that looks like one, or a name that no rule knows.
fn id(random: &mut Rng) -> String {
    const SYLLABLES: [&str; 8] = ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to"];
    if random.bool() {
        return (0..6).map(|_| SYLLABLES[random.usize(..8)]).collect();
    }
    let letters = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (0..20)
        .map(|_| char::from(letters[random.usize(..32)]))
        .collect()
}

/// Whether a rollout is called anomalous. Each path of the scenario is a collection, and each client
/// asks for a thing of its own; some ask for the collection, and some for names that come again.
fn is_blamed(config: &str, scenario: Scenario, seed: u64) -> bool {
    let mut engine = Engine::new(plan(config).unwrap(), seed);
    let mut traffic = Traffic::new(scenario, seed);
    let mut random = Rng::with_seed(seed);
    while traffic.candidate_requests() < CANDIDATE_REQUESTS {
        traffic.advance();
        for exchange in traffic.exchanges() {
            let path = match random.u8(..20) {
                0 => exchange.path.to_owned(),
                1 => format!("{}/of-kind-{}", exchange.path, random.u8(..10)),
                2..5 => format!("{}/{}/lines", exchange.path, id(&mut random)),
                _ => format!("{}/{}", exchange.path, id(&mut random)),
            };
            engine.observe(&Exchange {
                path: &path,
                ..exchange
            });
        }
        let decisions = engine.tick(traffic.now());
        if decisions
            .iter()
            .any(|decision| decision.verdict == Verdict::Anomalous)
        {
            return true;
        }
    }
    false
}

fn left_alone(name: &str, config: &str, learning: u64) {
    let kinds = healthy(&plan("{}").unwrap());
    let kind = kinds.into_iter().find(|it| it.name == name).unwrap();
    let scenario = Scenario {
        learning,
        ..kind.scenario
    };
    let alarms = RUNS.count(|seed| is_blamed(config, scenario.clone(), seed));
    let bound = binomial_bound(RUNS.runs, 0.01);
    println!(
        "{name}, {config}, after {learning}: {alarms} alarms of {}",
        RUNS.runs
    );
    assert!(alarms <= bound, "{name}: {alarms} alarms, at most {bound}");
}

#[test]
fn a_healthy_rollout_with_ids_in_its_paths_is_left_alone_from_a_cold_start() {
    left_alone("nothing happens", "{}", 0);
}

#[test]
fn a_healthy_rollout_is_left_alone_while_its_routes_fight_for_places() {
    let few = r#"{"routes": {"max": 12}}"#;
    left_alone("error rate and latency swing, and a shared outage", few, 0);
}

#[test]
fn a_candidate_that_is_just_tolerated_is_left_alone_with_ids_in_its_paths() {
    left_alone("errors exactly at the tolerance", "{}", 4_000);
}
