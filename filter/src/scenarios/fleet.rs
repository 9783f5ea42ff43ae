//! The fleet's verdict: asked for by the leader alone, and acted upon by all workers.

use super::*;
use crate::sync::inquiry::Reply;

const FLEET: &str = r#""fleet": {"cluster": "serve-verdict", "every": "10s", "memory": false},
    "baseline""#;

/// Two workers that steer, before a healthy candidate that they know.
fn proxy() -> Proxy {
    let mut proxy = Proxy::new("steer", 0);
    proxy.config = proxy.config.replacen("\"baseline\"", FLEET, 1);
    (0..2).for_each(|_| proxy.add_worker());
    for _ in 0..20 {
        traffic(&mut proxy, GOOD);
        proxy.tick();
    }
    proxy
}

fn traffic(proxy: &mut Proxy, answers: [Answer; 2]) {
    for number in 0..40 {
        proxy.exchange(number % 2, answers[number % 2]);
    }
}

fn answer(candidate: &str, verdict: &str, evidence: f64) -> String {
    format!(
        r#"{{"destination": "shop", "candidate": "{candidate}", "verdict": "{verdict}",
        "evidence": {evidence}, "threshold": 5.3, "age_seconds": 1.0, "proxies": 3}}"#
    )
}

/// Answers the newest question, and lets the answer reach all workers.
fn hear(proxy: &mut Proxy, status: Option<u16>, body: &str) {
    let before = proxy.host.calls().len();
    // Each failure makes the next question come later.
    let asked = (0..200).any(|_| {
        proxy.tick();
        proxy.host.calls().len() > before
    });
    assert!(asked, "nobody is asked");
    let token = proxy.host.calls().last().unwrap().token;
    for worker in &mut proxy.workers {
        worker.hear(&Reply {
            token,
            status,
            body: body.as_bytes().to_vec(),
            tag: None,
        });
    }
    (0..2).for_each(|_| proxy.tick());
}

/// Whether requests to the candidate are sent to the baseline, by every worker.
fn steers(proxy: &mut Proxy) -> bool {
    let steered = [0, 1].map(|worker| proxy.exchange(worker, GOOD[1]));
    assert_eq!(steered[0], steered[1]);
    steered[0]
}

#[test]
fn all_workers_steer_when_the_fleet_condemns_and_stop_when_it_clears() {
    let mut proxy = proxy();
    assert!(!steers(&mut proxy));
    hear(&mut proxy, Some(200), &answer("v2", "anomalous", 9.0));
    assert!(steers(&mut proxy));
    let labels = "destination=.=shop;.;version=.=v2;.;";
    let gauge = |proxy: &Proxy, name: &str| proxy.host.metric_value(&format!("{labels}{name}"));
    assert_eq!(gauge(&proxy, "serin_verdict"), Some(3));
    assert_eq!(gauge(&proxy, "serin_fleet_threshold"), Some(5_298));
    // Its own share of the chance, among ten proxies.
    assert_eq!(gauge(&proxy, "serin_rollout_threshold"), Some(7_600));
    let told = |proxy: &Proxy, words: &str| {
        let log = proxy.host.log();
        log.iter().filter(|line| line.1.contains(words)).count()
    };
    assert_eq!(
        told(&proxy, "by the evidence of all proxies together"),
        1,
        "{:?}",
        proxy.host.log()
    );
    // Neither silence nor doubt lets the candidate go.
    hear(&mut proxy, None, "");
    hear(&mut proxy, Some(200), &answer("v2", "suspect", 4.0));
    assert!(steers(&mut proxy));
    for _ in 0..6 {
        assert!(steers(&mut proxy));
        hear(&mut proxy, Some(200), &answer("v2", "learning", 0.0));
    }
    assert!(!steers(&mut proxy));
    assert!(gauge(&proxy, "serin_verdict") < Some(3));
    assert!(proxy.host.metric_sum("serin_fleet_unanswered_total") >= 1);
}

#[test]
fn what_is_about_another_version_or_makes_no_sense_moves_nothing() {
    let mut proxy = proxy();
    for (status, body) in [
        (200, answer("v1", "anomalous", 9.0)),
        (200, answer("v3", "anomalous", 9.0)),
        (200, answer("v2", "anomalous", 5.0)),
        (500, answer("v2", "anomalous", 9.0)),
        (200, "nonsense".to_owned()),
    ] {
        hear(&mut proxy, Some(status), &body);
        assert!(!steers(&mut proxy), "{status} {body}");
    }
    for (reason, count) in [("refused", 1), ("unreadable", 4)] {
        let name = format!("reason=.={reason};.;serin_fleet_unanswered_total");
        assert_eq!(proxy.host.metric_value(&name), Some(count), "{reason}");
    }
}

#[test]
fn a_name_that_no_label_can_hold_is_asked_about_as_its_label_is() {
    let mut proxy = Proxy::new("steer", 0);
    proxy.config = proxy.config.replacen("\"baseline\"", FLEET, 1);
    proxy.config = proxy.config.replace("\"v2\"", "\"v2;a=b\"");
    (0..2).for_each(|_| proxy.add_worker());
    for _ in 0..20 {
        traffic(&mut proxy, GOOD);
        proxy.tick();
    }
    let gauge = "destination=.=shop;.;version=.=v2,a~b;.;serin_verdict";
    assert!(proxy.host.metric_value(gauge) < Some(3));
    hear(&mut proxy, Some(200), &answer("v2,a~b", "anomalous", 9.0));
    let path = proxy.host.calls().last().unwrap().path.clone();
    assert!(path.contains("&candidate=v2%2Ca~b&"), "{path}");
    assert_eq!(proxy.host.metric_value(gauge), Some(3));
}

#[test]
fn nothing_is_steered_to_a_baseline_that_fails_whatever_the_fleet_says() {
    let mut proxy = proxy();
    hear(&mut proxy, Some(200), &answer("v2", "anomalous", 9.0));
    assert!(steers(&mut proxy));
    let failing = Answer {
        status: "500",
        ..GOOD[0]
    };
    for _ in 0..10 {
        traffic(&mut proxy, [failing, GOOD[1]]);
        proxy.tick();
    }
    assert!(!steers(&mut proxy));
}

#[test]
fn without_the_setting_nobody_is_asked() {
    let mut proxy = Proxy::new("steer", 2);
    for _ in 0..20 {
        traffic(&mut proxy, GOOD);
        proxy.tick();
    }
    assert!(proxy.host.calls().is_empty());
    for name in ["serin_fleet_threshold", "serin_rollout_id"] {
        assert_eq!(proxy.host.metric_sum(name), 0, "{name}");
    }
}
