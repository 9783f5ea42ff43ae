//! Memories: a replaced proxy goes on where the one before it stopped.

use super::*;
use crate::sync::inquiry::Reply;
use crate::testing::Call;

/// Versions are found and not named, as where a memory is worth most.
const CONFIG: &str = r#"{"mode": "steer", "warm_up": "0s",
    "fleet": {"cluster": "serve-verdict", "every": "5m", "proxies": 1},
    "versions": {"from": "clusters",
    "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#;

/// A proxy that has just started, at this time.
fn started(now: Duration) -> Proxy {
    let mut proxy = Proxy::new("steer", 0);
    proxy.host.0.borrow_mut().now = now;
    proxy.config = CONFIG.to_owned();
    (0..2).for_each(|_| proxy.add_worker());
    proxy
}

/// A second in which most requests are for the candidate.
fn second(proxy: &mut Proxy, answers: [Answer; 2]) {
    for number in 0..40 {
        proxy.exchange(number % 2, answers[usize::from(number % 10 != 0)]);
    }
    proxy.tick();
}

fn calls(proxy: &Proxy, about: &str, puts: bool) -> Vec<Call> {
    let calls = proxy.host.calls();
    let is_it = |call: &Call| call.path.starts_with(about) && call.body.is_some() == puts;
    calls.into_iter().filter(is_it).collect()
}

fn hear(proxy: &mut Proxy, call: &Call, status: Option<u16>, body: &[u8]) {
    for worker in &mut proxy.workers {
        worker.hear(&Reply {
            token: call.token,
            status,
            body: body.to_vec(),
            tag: None,
        });
    }
}

/// Answers the question for a memory that the proxy asks.
fn answer(proxy: &mut Proxy, answers: [Answer; 2], status: Option<u16>, body: &[u8]) {
    let asked = (0..10).any(|_| {
        second(proxy, answers);
        !calls(proxy, "/v1/memory", false).is_empty()
    });
    assert!(asked, "nobody asks");
    let call = calls(proxy, "/v1/memory", false).remove(0);
    hear(proxy, &call, status, body);
}

/// The memory of a proxy that has condemned v2, and the time when it was stored.
fn memory() -> (Vec<u8>, Duration) {
    let mut proxy = started(Duration::from_secs(1_700_000_000));
    let v1_first = [GOOD[0], GOOD[0]];
    answer(&mut proxy, v1_first, Some(404), b"");
    (0..60).for_each(|_| second(&mut proxy, v1_first));
    let stored = calls(&proxy, "/v1/memory", true);
    assert!(!stored.is_empty(), "no memory is stored");
    hear(&mut proxy, stored.last().unwrap(), Some(204), b"");
    let before = stored.len();
    // The verdict is stored at once.
    let condemned = (0..200).any(|_| {
        second(&mut proxy, BAD);
        proxy.exchange(0, BAD[1])
    });
    assert!(condemned);
    (0..3).for_each(|_| {
        for call in calls(&proxy, "/v1/memory", true).into_iter().skip(before) {
            hear(&mut proxy, &call, Some(204), b"");
        }
        second(&mut proxy, BAD);
    });
    let stored = calls(&proxy, "/v1/memory", true);
    assert!(stored.len() > before, "the verdict is not stored");
    assert!(proxy.host.metric_sum("serin_memory_stores_total") >= 2);
    (
        stored.last().unwrap().body.clone().unwrap(),
        proxy.host.0.borrow().now,
    )
}

fn steers(proxy: &mut Proxy) -> bool {
    proxy.exchange(0, BAD[1])
}

fn recalls(proxy: &Proxy, reason: &str) -> Option<u64> {
    let name = format!("reason=.={reason};.;serin_memory_recalls_total");
    proxy.host.metric_value(&name)
}

fn baseline(proxy: &Proxy) -> Option<String> {
    let log = proxy.host.log();
    let line = log.iter().rev().find(|line| line.1.contains("baseline"))?;
    Some(line.1.clone())
}

#[test]
fn a_replaced_proxy_steers_within_two_ticks_of_the_answer_though_most_requests_are_the_candidates()
{
    let (memory, now) = memory();
    let mut proxy = started(now + Duration::from_secs(30));
    answer(&mut proxy, BAD, Some(200), &memory);
    assert!(!steers(&mut proxy));
    (0..2).for_each(|_| second(&mut proxy, BAD));
    assert!(steers(&mut proxy), "{:?}", proxy.host.log());
    assert_eq!(recalls(&proxy, "taken"), Some(1));
    assert!(
        baseline(&proxy)
            .unwrap()
            .contains("baseline v1, candidate v2 condemned")
    );
    // It is asked for once.
    (0..20).for_each(|_| second(&mut proxy, BAD));
    assert_eq!(calls(&proxy, "/v1/memory", false).len(), 1);
    assert!(steers(&mut proxy));
}

#[test]
fn without_a_memory_the_candidate_is_taken_for_the_baseline_and_nothing_is_steered() {
    let (_, now) = memory();
    let mut proxy = started(now);
    answer(&mut proxy, BAD, Some(404), b"");
    (0..60).for_each(|_| second(&mut proxy, BAD));
    assert!(!steers(&mut proxy));
    assert_eq!(recalls(&proxy, "none"), Some(1));
    let log = proxy.host.log();
    let told = |line: &(log::Level, String)| line.1.contains("learns from nothing");
    assert!(!log.iter().any(told), "{log:?}");
}

#[test]
fn where_nobody_answers_it_judges_from_nothing_after_three_seconds() {
    let mut proxy = started(Duration::from_secs(1_700_000_000));
    (0..3).for_each(|_| second(&mut proxy, GOOD));
    assert_eq!(calls(&proxy, "/v1/memory", false).len(), 1);
    let verdicts = |proxy: &Proxy| proxy.host.metric_sum("serin_rollout_threshold");
    assert_eq!(verdicts(&proxy), 0, "it judges before an answer");
    (0..5).for_each(|_| second(&mut proxy, GOOD));
    assert!(verdicts(&proxy) > 0, "it does not judge");
    assert_eq!(recalls(&proxy, "late"), Some(1));
    // What may be wrong is not handed on.
    (0..60).for_each(|_| second(&mut proxy, GOOD));
    assert!(calls(&proxy, "/v1/memory", true).is_empty());
}

#[test]
fn nonsense_another_services_memory_and_a_refusal_teach_nothing() {
    let (memory, now) = memory();
    let mut damaged = memory.clone();
    damaged[200] ^= 1;
    let other = {
        // The checksum covers the name: another service's memory is one that somebody sealed for it.
        let (envelope, _) = scorer_sdk::memory::Envelope::open(&memory).unwrap();
        let envelope = scorer_sdk::memory::Envelope {
            destination: "cart".to_owned(),
            ..envelope
        };
        envelope.seal(|writer| scorer_sdk::memory::Memory::default().encode(writer))
    };
    for (status, body, reason) in [
        (200, damaged, "unreadable"),
        (200, other, "unreadable"),
        (200, b"<html>".to_vec(), "unreadable"),
        (500, memory, "refused"),
    ] {
        let mut proxy = started(now);
        answer(&mut proxy, BAD, Some(status), &body);
        (0..10).for_each(|_| second(&mut proxy, BAD));
        assert!(!steers(&mut proxy));
        assert_eq!(recalls(&proxy, reason), Some(1), "{reason}");
        let log = proxy.host.log();
        assert!(
            log.iter()
                .any(|line| line.1.contains("learns from nothing")),
            "{log:?}"
        );
    }
}

#[test]
fn a_baseline_that_gets_no_traffic_here_is_dropped() {
    let (memory, now) = memory();
    let mut proxy = started(now);
    let v2 = [GOOD[1], GOOD[1]];
    answer(&mut proxy, v2, Some(200), &memory);
    (0..20).for_each(|_| second(&mut proxy, v2));
    assert_eq!(recalls(&proxy, "taken"), None);
    assert_eq!(recalls(&proxy, "no_baseline"), None, "too soon");
    (0..20).for_each(|_| second(&mut proxy, v2));
    assert_eq!(recalls(&proxy, "no_baseline"), Some(1));
    assert!(!steers(&mut proxy));
}

#[test]
fn a_memory_can_be_switched_off() {
    let mut proxy = started(Duration::from_secs(1_700_000_000));
    proxy.workers.clear();
    proxy.config = CONFIG.replace(r#""proxies": 1"#, r#""memory": false"#);
    (0..2).for_each(|_| proxy.add_worker());
    (0..60).for_each(|_| second(&mut proxy, GOOD));
    assert!(calls(&proxy, "/v1/memory", false).is_empty());
    assert!(calls(&proxy, "/v1/memory", true).is_empty());
    assert_eq!(proxy.host.metric_sum("serin_memory_recalls_total"), 0);
}

#[test]
fn workers_name_the_same_path_the_same_way() {
    let mut proxy = started(Duration::from_secs(1_700_000_000));
    // One worker alone sees so many names that its tree collapses.
    for number in 0..60_u8 {
        let name: String = [number / 8, number % 8]
            .map(|letter| ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to"][usize::from(letter)])
            .concat();
        proxy.workers[0]
            .tally_mut()
            .route("shop", "", "GET", &format!("/users/{name}"));
    }
    let path = |proxy: &mut Proxy, worker: usize| {
        let tally = proxy.workers[worker].tally_mut();
        let index = tally.route("shop", "", "GET", "/users/somebody").unwrap();
        tally.key(index).unwrap().path.clone()
    };
    assert_eq!(path(&mut proxy, 0), "/users/{x}");
    (0..2).for_each(|_| proxy.tick());
    assert_eq!(path(&mut proxy, 1), "/users/{x}");
}
