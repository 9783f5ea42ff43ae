//! A proxy that goes on with another one's memory: the same roles, the same verdicts, no evidence, and
//! no more false alarms. The counts are printed: run with `--nocapture` to see them.

use scorer_sdk::memory::{Envelope, MAX_BYTES, MAX_WRITTEN_BYTES, Memory, Unsealed};
use scorer_sdk::simulation::{Harm, Outage, Rollout, Scenario, Service, Share};
use scorer_sdk::{Decision, Plan, Verdict};
use std::sync::Arc;
use std::time::Duration;

const RUNS: u64 = 100;

/// Versions are found and not named.
fn plan(config: &str) -> Arc<Plan> {
    Arc::new(Plan::from_json(config).unwrap())
}

fn finds() -> Arc<Plan> {
    plan(r#"{"mode": "steer", "warm_up": "0s"}"#)
}

/// Half of the requests are the candidate's at first, and then this share.
fn shares(then: f64) -> Scenario {
    Scenario {
        share: Share::ByTime(vec![(0, 0.5), (60, then)]),
        ..Scenario::default()
    }
}

/// A rollout whose proxy is replaced after a minute, by one that comes two minutes later.
fn replaced(plan: &Arc<Plan>, scenario: Scenario, seed: u64, remembers: bool) -> Rollout {
    let mut rollout = Rollout::new(Arc::clone(plan), scenario, seed);
    (0..60).for_each(|_| rollout.advance());
    rollout.replace_proxy(Arc::clone(plan), 120, remembers, seed + 1_000_000);
    rollout
}

fn roles(decision: &Decision) -> (&str, &str) {
    (&decision.baseline, &decision.candidate)
}

#[test]
fn a_replaced_proxy_keeps_baseline_and_candidate_the_right_way_round() {
    for (remembers, expected) in [(true, ("v1", "v2")), (false, ("v2", "v1"))] {
        let mut rollout = replaced(&finds(), shares(0.9), 1, remembers);
        (0..3).for_each(|_| rollout.advance());
        let decision = rollout.tick();
        assert_eq!(roles(&decision), expected);
        assert!(decision.candidate_exchanges > 0);
    }
}

#[test]
fn a_condemned_version_stays_condemned_with_what_was_found_and_without_evidence() {
    let plan = finds();
    let mut scenario = shares(0.9);
    scenario.candidate.harm = Harm::errors(50.0);
    let mut rollout = Rollout::new(Arc::clone(&plan), scenario, 2);
    let end = rollout.run(100_000);
    assert!(end.is_anomalous());
    let before = rollout.tick();
    rollout.replace_proxy(plan, 120, true, 3);
    let after = rollout.tick();
    assert_eq!(after.verdict, Verdict::Anomalous);
    assert_eq!(roles(&after), roles(&before));
    assert_eq!(after.condemned_versions, ["v2"]);
    assert_eq!(after.steer_share, 1.0);
    assert_eq!(after.found, before.found);
    assert_eq!(
        (
            after.verdict_ms,
            after.started_ms,
            after.exchanges_at_verdict
        ),
        (
            before.verdict_ms,
            before.started_ms,
            before.exchanges_at_verdict
        )
    );
    assert!(after.evidence <= 0.0, "{}", after.evidence);
    assert_eq!(after.judged_exchanges, 0);
}

#[test]
fn a_probation_comes_when_it_would_have_come() {
    let plan = plan(
        r#"{"mode": "steer", "warm_up": "0s",
        "steer": {"probation": {"after": "5m", "share": 0.2}}}"#,
    );
    let mut scenario = shares(0.9);
    scenario.candidate.harm = Harm::errors(50.0);
    let mut rollout = Rollout::new(Arc::clone(&plan), scenario, 4);
    assert!(rollout.run(100_000).is_anomalous());
    rollout.replace_proxy(plan, 120, true, 5);
    assert_eq!(rollout.tick().steer_share, 1.0);
    let ticks = (0..400)
        .take_while(|_| rollout.tick().steer_share == 1.0)
        .count();
    assert!((150..=190).contains(&ticks), "{ticks}");
}

/// How many of the runs were anomalous, and how many ever suspect.
fn alarms(plan: &Arc<Plan>, scenario: &Scenario, remembers: bool) -> [usize; 2] {
    let mut alarms = [0; 2];
    for seed in 0..RUNS {
        let mut rollout = replaced(plan, scenario.clone(), 10 + seed, remembers);
        let served = rollout.traffic().candidate_requests();
        let end = rollout.run(served + 6_000);
        alarms[0] += usize::from(end.is_anomalous());
        alarms[1] += usize::from(end.was_suspect);
    }
    println!(
        "remembers: {remembers}: {} anomalous and {} suspect of {RUNS}",
        alarms[0], alarms[1]
    );
    alarms
}

#[test]
fn a_replaced_proxy_raises_no_false_alarms_though_all_is_slower_and_fails_more_often_than_it_remembers()
 {
    let mut scenario = shares(0.5);
    scenario.shared_change.outages = vec![Outage {
        ticks: 70..100_000,
        error_odds: 3.0,
        slower: 1.5,
    }];
    let plan = finds();
    let [anomalous, suspect] = alarms(&plan, &scenario, true);
    // One in a hundred is promised.
    assert!(anomalous <= 3, "{anomalous}");
    let [_, without] = alarms(&plan, &scenario, false);
    assert!(suspect <= without + 5, "{suspect} and {without}");
}

#[test]
fn a_release_in_between_is_not_blamed_on_the_candidate() {
    // v2 has taken over while there was no proxy, and all is slower than v1 was.
    let mut scenario = shares(1.0);
    scenario.shared_change.outages = vec![Outage {
        ticks: 70..100_000,
        error_odds: 3.0,
        slower: 2.0,
    }];
    let plan = finds();
    for seed in 0..20 {
        let mut rollout = replaced(&plan, scenario.clone(), 500 + seed, true);
        for _ in 0..120 {
            let decision = rollout.tick();
            assert!(decision.verdict < Verdict::Suspect, "{seed}: {decision:?}");
        }
        // The memory's baseline has no traffic, and is no baseline.
        assert_eq!(roles(&rollout.tick()), ("v2", ""));
    }
}

/// A memory of a service with so many routes.
fn memory(routes: usize) -> Memory {
    let scenario = Scenario {
        service: Service::with_routes(routes),
        learning: 40 * routes as u64,
        ..Scenario::default()
    };
    let plan = plan(r#"{"warm_up": "0s", "routes": {"max": 1500}}"#);
    let mut rollout = Rollout::new(plan, scenario, 6);
    let name = rollout.tick().destination;
    rollout.engine().judge().memory(&name).unwrap()
}

fn sealed(memory: &Memory) -> Vec<u8> {
    let envelope = Envelope {
        plugin: "serin".to_owned(),
        destination: "shop".to_owned(),
        layout: 1,
        written: Duration::from_secs(1_700_000_000),
    };
    envelope.seal(|writer| memory.encode(writer))
}

fn unsealed(bytes: &[u8]) -> Result<Memory, Unsealed> {
    let (_, reader) = Envelope::open(bytes)?;
    Memory::decode(reader).map_err(Unsealed::Unreadable)
}

#[test]
fn a_memory_is_read_as_it_was_written() {
    let memory = memory(20);
    assert!(memory.routes.len() >= 4 && memory.routes[0].weight() > 0.0);
    let bytes = sealed(&memory);
    assert_eq!(unsealed(&bytes).unwrap(), memory);
    assert_eq!(sealed(&unsealed(&bytes).unwrap()), bytes);
    println!("{} routes: {} bytes", memory.routes.len(), bytes.len());
}

#[test]
fn the_least_busy_routes_are_left_out_and_counted_where_there_is_no_room() {
    let mut memory = memory(6);
    let routes = memory.routes.clone();
    memory.routes = (0..1_000)
        .flat_map(|number| {
            routes.iter().cloned().map(move |mut route| {
                route.key.path = format!("/{number}{}", route.key.path);
                route
            })
        })
        .take(1_999)
        .collect();
    let bytes = sealed(&memory);
    println!("{} routes: {} bytes", memory.routes.len(), bytes.len());
    assert!(bytes.len() <= MAX_WRITTEN_BYTES + 1_000 && bytes.len() < MAX_BYTES);
    let read = unsealed(&bytes).unwrap();
    assert!(read.left_out > 0);
    assert_eq!(
        read.routes.len() + read.left_out as usize,
        memory.routes.len()
    );
    assert_eq!(read.routes, memory.routes[..read.routes.len()]);
}

#[test]
fn content_that_was_damaged_before_it_was_sealed_is_refused_or_read_and_never_more_than_that() {
    let memory = memory(6);
    let whole = sealed(&memory);
    let (_, reader) = Envelope::open(&whole).unwrap();
    let content = &whole[whole.len() - reader.left()..];
    let mut random = fastrand::Rng::with_seed(7);
    let mut refused = 0;
    for _ in 0..2_000 {
        let mut content = content.to_vec();
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..content.len());
            content[place] = random.u8(..);
        }
        content.truncate(random.usize(content.len() / 2..=content.len()));
        let bytes = Envelope::default().seal(|writer| writer.bytes(&content));
        refused += usize::from(unsealed(&bytes).is_err());
    }
    assert!(refused > 1_000, "{refused}");
}
