//! The simulation kit does what its scenarios say.

use scorer_sdk::simulation::{
    Clients, ColdStart, Deployment, Failures, Lasting, LateProxy, LoneClient, Pauses, PodLife,
    Reaches, Record, Reported, Retries, Scaling, Scenario, Share, Traffic, Users, When,
};
use std::collections::{BTreeMap, BTreeSet};

/// Healthy traffic that is reported when it ends: two pods of each version, half of it for the
/// candidate.
fn scenario() -> Scenario {
    let mut scenario = Scenario {
        baseline: Deployment::new("v1", 2),
        candidate: Deployment::new("v2", 2),
        share: Share::Constant(0.5),
        learning: 0,
        ..Scenario::default()
    };
    scenario.load.requests = 50.0;
    scenario.load.reported = Reported::AtItsEnd;
    scenario
}

/// What is reported in so many ticks, by tick.
fn ticks(scenario: Scenario, ticks: usize) -> Vec<Vec<Record>> {
    let mut traffic = Traffic::new(scenario, 7);
    (0..ticks)
        .map(|_| {
            traffic.advance();
            traffic.records().to_vec()
        })
        .collect()
}

fn records(scenario: Scenario, count: usize) -> Vec<Record> {
    ticks(scenario, count).concat()
}

fn both(mut scenario: Scenario, life: PodLife) -> Scenario {
    scenario.baseline.life = life.clone();
    scenario.candidate.life = life;
    scenario
}

fn mean_us<'a>(records: impl IntoIterator<Item = &'a Record>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for record in records {
        sum += record.duration_us as f64;
        count += 1.0;
    }
    sum / count
}

#[test]
fn a_stream_is_reported_when_it_ends_with_the_version_it_began_on() {
    let mut scenario = scenario();
    scenario.share = Share::ByTime(vec![(0, 1.0), (100, 0.0)]);
    for route in &mut scenario.service.routes {
        route.error_rate = 0.0;
        route.lasting = Some(Lasting {
            share: 1.0,
            seconds: 60.0,
            sigma: 0.0,
            is_stream: true,
        });
    }
    let ticks = ticks(scenario, 200);
    assert!(ticks[..60].iter().all(Vec::is_empty), "nothing has ended");
    // What ends from second 110 to 150 began while all requests went to the candidate.
    assert!(ticks[110..150].concat().iter().all(|it| it.candidate));
    assert!(ticks[170..].concat().iter().all(|it| !it.candidate));
    for record in ticks.concat() {
        assert!((60_000_000..62_000_000).contains(&record.lasted_us));
        assert!(record.duration_us < 2_000_000, "only up to its first byte");
    }
}

#[test]
fn a_fresh_pod_warms_up_and_stable_is_warm() {
    let cold_start = Some(ColdStart {
        slower: 3.0,
        time_constant: 60.0,
    });
    let life = PodLife {
        cold_start,
        ..PodLife::default()
    };
    let records = records(both(scenario(), life), 600);
    let first = records.first().unwrap().at;
    let of = |candidate, from: u64, to: u64| {
        mean_us(records.iter().filter(|it| {
            let age = (it.at - first).as_secs();
            it.candidate == candidate && (from..to).contains(&age)
        }))
    };
    let stable = of(false, 0, 600);
    assert!((2.6..3.1).contains(&(of(true, 0, 10) / stable)));
    assert!((1.6..2.3).contains(&(of(true, 50, 70) / stable)));
    assert!((0.95..1.05).contains(&(of(true, 400, 600) / stable)));
}

#[test]
fn a_pod_fails_everything_for_a_while_and_its_siblings_do_not() {
    let life = PodLife {
        failures: Some(Failures {
            every: 200.0,
            lasts: 5.0,
        }),
        ..PodLife::default()
    };
    let mut scenario = both(scenario(), life);
    for route in &mut scenario.service.routes {
        route.error_rate = 0.0;
    }
    let failed = records(scenario, 1_000)
        .into_iter()
        .filter(|it| it.status == 500);
    let mut spells: BTreeMap<(bool, usize), BTreeSet<u64>> = BTreeMap::new();
    for record in failed {
        let pod = (record.candidate, record.pod);
        spells.entry(pod).or_default().insert(record.at.as_secs());
    }
    assert_eq!(spells.len(), 4, "each pod of both versions has failed");
    for seconds in spells.values() {
        // About five spells of five seconds, which touch six ticks each at most.
        assert!((5..=100).contains(&seconds.len()), "{seconds:?}");
    }
}

#[test]
fn a_request_in_a_pause_waits_for_its_end() {
    let life = PodLife {
        pauses: Some(Pauses {
            every: 20.0,
            shortest: 0.5,
            longest: 0.5,
        }),
        ..PodLife::default()
    };
    let records = records(both(scenario(), life), 400);
    let long = |it: &&Record| it.duration_us > 300_000;
    let waited = records.iter().filter(long).count() as f64;
    // 0.5 of 20.5 seconds are a pause, in two fifths of which more than 0.3 s are left.
    let share = waited / records.len() as f64;
    assert!((0.005..0.015).contains(&share), "{share}");
    assert!(records.iter().all(|it| it.duration_us < 1_000_000));
}

#[test]
fn pods_that_are_replaced_serve_no_more_and_fresh_ones_do() {
    let mut scenario = scenario();
    scenario.baseline.life.replaced = Some(50..60);
    let of_stable = |records: Vec<Record>| -> BTreeSet<usize> {
        let stable = records.into_iter().filter(|it| !it.candidate);
        stable.map(|it| it.pod).collect()
    };
    let ticks = ticks(scenario, 200);
    assert_eq!(of_stable(ticks[..49].concat()), [0, 1].into());
    assert_eq!(of_stable(ticks[63..].concat()), [2, 3].into());
}

#[test]
fn autoscaling_stays_within_its_bounds() {
    let mut scenario = scenario();
    scenario.baseline.life.scaling = Some(Scaling {
        least: 1,
        most: 4,
        every: 10.0,
    });
    let mut seen = BTreeSet::new();
    for records in ticks(scenario, 1_000) {
        let stable = records.iter().filter(|it| !it.candidate);
        let pods: BTreeSet<usize> = stable.map(|it| it.pod).collect();
        // In a tick with a change, requests in flight end at a pod that has gone.
        assert!((1..=5).contains(&pods.len()), "{pods:?}");
        seen.extend(pods);
    }
    assert!(seen.len() > 20, "pods come and go: {}", seen.len());
}

fn with_users(users: Users) -> Scenario {
    Scenario {
        clients: Clients::Users(users),
        ..scenario()
    }
}

#[test]
fn sticky_users_keep_their_version_when_the_share_rises_and_are_unequal() {
    let mut scenario = with_users(Users {
        count: 100,
        ..Users::default()
    });
    scenario.share = Share::ByTime(vec![(0, 0.2), (100, 0.6)]);
    let ticks = ticks(scenario, 200);
    let users = |records: &[Record], candidate| -> BTreeSet<u64> {
        let of = records.iter().filter(|it| it.candidate == candidate);
        of.map(|it| it.session).collect()
    };
    let (early, late) = (ticks[..100].concat(), ticks[102..].concat());
    assert!(users(&early, true).is_disjoint(&users(&early, false)));
    assert!(users(&late, true).is_disjoint(&users(&late, false)));
    assert!(users(&early, true).is_disjoint(&users(&late, false)));
    assert!(users(&late, true).len() > users(&early, true).len());
    let mut activity: BTreeMap<u64, usize> = BTreeMap::new();
    for record in &early {
        *activity.entry(record.session).or_default() += 1;
    }
    let busiest = activity.values().max().unwrap();
    assert!(20 * busiest > early.len(), "five times the mean at least");
}

#[test]
fn a_connection_leads_to_one_pod_and_is_a_session() {
    let records = records(
        with_users(Users {
            count: 50,
            sticky: false,
            connection: Some(60.0),
            ..Users::default()
        }),
        300,
    );
    let mut pods: BTreeMap<u64, BTreeSet<(bool, usize)>> = BTreeMap::new();
    for record in &records {
        let pod = (record.candidate, record.pod);
        pods.entry(record.session).or_default().insert(pod);
    }
    assert!(pods.len() > 100, "connections end: {}", pods.len());
    assert!(pods.values().all(|pods| pods.len() == 1));
}

#[test]
fn attempts_of_one_request_share_its_number_and_its_pod() {
    let mut scenario = scenario();
    scenario.retries = Retries {
        most: 2,
        same_cause: 1.0,
        same_pod: true,
    };
    let mut attempts: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    let mut traffic = Traffic::new(scenario, 7);
    for _ in 0..200 {
        traffic.advance();
        for record in traffic.records() {
            let exchange = traffic.exchange(record).unwrap();
            assert_eq!(exchange.request, Some(record.request));
            attempts.entry(record.request).or_default().push(*record);
        }
    }
    let retried: Vec<_> = attempts.values().filter(|it| it.len() > 1).collect();
    assert!(!retried.is_empty());
    for records in retried {
        let pod = |it: &Record| (it.candidate, it.pod);
        assert!(records.iter().all(|it| pod(it) == pod(&records[0])));
        assert!(records.is_sorted_by_key(|it| it.attempt));
    }
}

#[test]
fn bursts_of_a_lone_client_have_one_session_each_and_one_pod() {
    let mut scenario = scenario();
    scenario.lone_clients.push(LoneClient {
        per_second: 20.0,
        when: When::Bursts {
            every: 20.0,
            lasts: 3.0,
        },
        one_pod: true,
        status: Some(418),
        ..LoneClient::default()
    });
    let mut bursts: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    for record in records(scenario, 600) {
        if record.status == 418 {
            bursts.entry(record.session).or_default().push(record);
        }
    }
    assert!((15..45).contains(&bursts.len()), "{}", bursts.len());
    for records in bursts.values() {
        let pod = |it: &Record| (it.candidate, it.pod);
        assert!(records.iter().all(|it| pod(it) == pod(&records[0])));
        let lasted = records[records.len() - 1].at - records[0].at;
        assert!(lasted.as_secs_f64() < 4.0, "{lasted:?}");
    }
}

#[test]
fn an_attacker_reaches_the_candidate_alone_on_its_sessions() {
    let mut scenario = scenario();
    scenario.alone = 20;
    scenario.lone_clients.push(LoneClient {
        per_second: 10.0,
        when: When::Ticks(10..20),
        reaches: Reaches::Candidate,
        sessions: 4,
        status: Some(418),
        ..LoneClient::default()
    });
    let all = ticks(scenario, 100);
    let of = |ticks: &[Vec<Record>]| -> Vec<Record> {
        let all = ticks.concat();
        all.into_iter().filter(|it| it.status == 418).collect()
    };
    assert!(of(&all[..30]).is_empty() && of(&all[43..]).is_empty());
    let attack = of(&all);
    assert!((60..150).contains(&attack.len()), "{}", attack.len());
    assert!(attack.iter().all(|it| it.candidate));
    let sessions: BTreeSet<u64> = attack.iter().map(|it| it.session).collect();
    assert_eq!(sessions.len(), 4);
}

#[test]
fn a_late_proxy_delays_a_share_of_the_exchanges_and_loses_none() {
    let mut scenario = scenario();
    scenario.load.late_proxy = Some(LateProxy {
        share: 0.5,
        ticks: 3,
    });
    let mut traffic = Traffic::new(scenario, 7);
    let (mut late, mut all) = (0.0, 0.0);
    let mut numbers = BTreeSet::new();
    for _ in 0..100 {
        traffic.advance();
        for record in traffic.records() {
            let delay = (traffic.now() - record.at).as_secs_f64();
            assert!((0.0..=1.0).contains(&delay) || (3.0..=4.0).contains(&delay));
            late += f64::from(u8::from(delay >= 3.0));
            all += 1.0;
            numbers.insert(record.request);
        }
    }
    let share = late / all;
    assert!((0.4..0.6).contains(&share), "{share}");
    // All but those of the last ticks have come, each once.
    assert_eq!(numbers.len() as f64, all);
    let last = *numbers.last().unwrap() as usize;
    assert!(numbers.len() > last - 250, "{} of {last}", numbers.len());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let life = PodLife {
        speed_spread: 0.3,
        ..PodLife::default()
    };
    let run = || records(both(with_users(Users::default()), life.clone()), 50);
    assert_eq!(run(), run());
}
