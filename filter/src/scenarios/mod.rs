//! Workers of a fake proxy together: exactly-once counting, the lease, steering, refusing.

mod behaviour;
mod clock;
mod damage;
mod fleet;
mod glances;
mod limits;
mod memory;
mod reloads;
mod surprise;
mod traces;

use crate::report::series;
use crate::stream::life::Stream;
use crate::testing::FakeHost;
use crate::worker::Worker;
use core::time::Duration;
use scorer_sdk::Plan;
use std::sync::Arc;

const CONFIG: &str = r#"{"mode": "MODE", "baseline": "v1", "candidate": "v2", "warm_up": "0s",
    "versions": {"from": "clusters",
    "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#;

struct Proxy {
    host: FakeHost,
    workers: Vec<Worker<FakeHost>>,
    config: String,
}

/// What a fake exchange is like.
#[derive(Clone, Copy)]
struct Answer {
    version: &'static str,
    status: &'static str,
}

const GOOD: [Answer; 2] = [
    Answer {
        version: "v1",
        status: "200",
    },
    Answer {
        version: "v2",
        status: "200",
    },
];
const BAD: [Answer; 2] = [
    Answer {
        version: "v1",
        status: "200",
    },
    Answer {
        version: "v2",
        status: "500",
    },
];

/// A worker in a virtual machine of its own.
fn worker(host: &FakeHost, plan: Arc<Plan>, plugin: &str, root_id: u32) -> Worker<FakeHost> {
    Worker::new(
        host.clone(),
        plan,
        plugin,
        root_id,
        series::Shared::default(),
    )
}

impl Proxy {
    fn new(mode: &str, workers: usize) -> Self {
        let host = FakeHost::default();
        host.pass(Duration::from_secs(1_700_000_000));
        let config = CONFIG.replace("MODE", mode);
        let mut proxy = Self {
            host,
            workers: Vec::new(),
            config,
        };
        (0..workers).for_each(|_| proxy.add_worker());
        proxy
    }

    fn add_worker(&mut self) {
        // All in one moment, as Envoy's workers are.
        let plan = Arc::new(Plan::from_json(&self.config).unwrap());
        self.workers.push(worker(&self.host, plan, "test", 2));
    }

    fn request(&self, headers: &[(&str, &str)]) {
        let mut world = self.host.0.borrow_mut();
        world.request = [
            (":method", "GET"),
            (":path", "/api/items/7"),
            (":authority", "shop"),
        ]
        .iter()
        .chain(headers)
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    }

    fn respond(&self, answer: Answer) {
        let mut world = self.host.0.borrow_mut();
        world.properties.insert(
            "xds.cluster_name".into(),
            format!("shop-{}", answer.version).into_bytes(),
        );
        world.response = [(":status", answer.status), ("content-type", "text/plain")]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
    }

    /// One exchange on a worker; whether it was sent with the steering header.
    fn exchange(&mut self, worker: usize, answer: Answer) -> bool {
        self.request(&[]);
        self.respond(answer);
        let mut stream = Stream::new(1);
        assert!(self.workers[worker].on_request(&mut stream, true));
        let steered = self
            .host
            .0
            .borrow()
            .request
            .iter()
            .any(|header| header.0 == "x-serin-steer");
        self.host.pass(Duration::from_millis(1));
        stream.passed(0, true);
        assert!(self.workers[worker].on_response(&mut stream));
        self.workers[worker].on_log(&mut stream);
        steered
    }

    fn tick(&mut self) {
        self.host.pass(Duration::from_secs(1));
        for worker in &mut self.workers {
            worker.tick();
        }
    }

    fn traffic(&mut self, ticks: usize, each: usize, answers: [Answer; 2]) {
        for _ in 0..ticks {
            for number in 0..each {
                let worker = number % self.workers.len();
                self.exchange(worker, answers[usize::from(number % 5 == 0)]);
            }
            self.tick();
        }
    }

    fn merged(&self) -> u64 {
        self.host
            .metric_value("role=.=comparer;.;serin_merged_exchanges")
            .unwrap_or(0)
    }

    fn verdict(&self) -> Option<u64> {
        self.host
            .metric_value("destination=.=shop;.;version=.=v2;.;serin_verdict")
    }
}

#[test]
fn every_exchange_is_merged_exactly_once_with_eight_workers() {
    let mut proxy = Proxy::new("observe", 8);
    proxy.traffic(20, 203, GOOD);
    (0..4).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 20 * 203);
    assert_eq!(proxy.host.metric_sum("serin_exchanges_total"), 20 * 203);
    assert_eq!(proxy.verdict(), Some(1));
}

#[test]
fn workers_that_start_in_the_same_millisecond_do_not_overwrite_each_other() {
    // All see an empty mailbox at once: each one's first writes go over the others'.
    for workers in 2..6 {
        let mut proxy = Proxy::new("observe", workers);
        proxy.traffic(1, 100, GOOD);
        let empty = proxy.host.0.borrow().shared.clone();
        proxy.traffic(1, 100, GOOD);
        // The first worker's view of a moment ago wins over what the others wrote since.
        proxy.host.0.borrow_mut().shared = empty;
        proxy.traffic(3, 100, GOOD);
        (0..6).for_each(|_| proxy.tick());
        assert_eq!(proxy.merged(), 500, "{workers} workers");
    }
}

#[test]
fn a_lost_worker_costs_only_what_it_had_not_published() {
    let mut proxy = Proxy::new("observe", 4);
    proxy.traffic(6, 40, GOOD);
    // Ten exchanges since the last tick die with it.
    (0..10).for_each(|_| {
        proxy.exchange(3, GOOD[0]);
    });
    drop(proxy.workers.remove(3));
    proxy.traffic(6, 40, GOOD);
    (0..8).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 12 * 40);
}

#[test]
fn another_takes_over_when_the_leader_is_lost() {
    let mut proxy = Proxy::new("observe", 3);
    proxy.traffic(6, 30, GOOD);
    let before = proxy.merged();
    assert!(before > 0);
    // Whoever leads is among them.
    let survivor = proxy.workers.pop().unwrap();
    proxy.workers.clear();
    proxy.workers.push(survivor);
    proxy.traffic(12, 30, GOOD);
    (0..8).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 18 * 30);
}

#[test]
fn a_new_config_takes_over_and_the_old_one_hands_in_what_it_has() {
    let mut proxy = Proxy::new("observe", 2);
    proxy.traffic(5, 50, GOOD);
    proxy.request(&[]);
    let mut late = Stream::new(9);
    assert!(proxy.workers[0].on_request(&mut late, true));
    (0..7).for_each(|_| {
        proxy.exchange(1, GOOD[1]);
    });
    let mut old = std::mem::take(&mut proxy.workers);
    proxy.add_worker();
    proxy.add_worker();
    proxy.traffic(2, 50, GOOD);
    old.iter_mut().for_each(Worker::close);
    // A request that began under the old config ends after it is gone.
    proxy.respond(GOOD[0]);
    assert!(old[0].on_response(&mut late));
    old[0].on_log(&mut late);
    drop(old);
    proxy.traffic(4, 50, GOOD);
    (0..6).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 11 * 50 + 7 + 1);
}

#[test]
fn after_a_verdict_every_request_to_the_canary_is_steered_and_before_it_none() {
    let mut proxy = Proxy::new("steer", 2);
    proxy.traffic(8, 100, GOOD);
    assert!(!proxy.exchange(0, GOOD[1]));
    proxy.traffic(12, 100, BAD);
    proxy.tick();
    assert_eq!(proxy.verdict(), Some(3));
    for worker in 0..2 {
        assert!(proxy.exchange(worker, GOOD[1]));
        assert!(!proxy.exchange(worker, GOOD[0]), "it goes to stable anyway");
    }
    proxy.tick();
    assert!(proxy.host.metric_sum("serin_steered_total") >= 2);
}

#[test]
fn a_forged_header_does_not_undo_steering() {
    let mut proxy = Proxy::new("steer", 1);
    proxy.traffic(8, 100, GOOD);
    proxy.traffic(12, 100, BAD);
    proxy.tick();
    assert_eq!(proxy.verdict(), Some(3));
    proxy.request(&[("x-serin-steer", "v1")]);
    // The proxy still knows the route that the forged header chose.
    proxy.respond(GOOD[0]);
    assert!(proxy.workers[0].on_request(&mut Stream::new(1), true));
    let world = proxy.host.0.borrow();
    let steered = ("x-serin-steer".to_owned(), b"v1".to_vec());
    assert_eq!(world.request.last(), Some(&steered));
}

#[test]
fn observing_steers_nothing() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.traffic(5, 100, GOOD);
    proxy.traffic(15, 100, BAD);
    assert_eq!(proxy.verdict(), Some(3));
    assert!(!proxy.exchange(0, GOOD[0]));
}

#[test]
fn forged_headers_go_and_upgrades_are_not_counted() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.request(&[
        ("x-serin-steer", "v1"),
        ("x-other", "stays"),
        ("upgrade", "websocket"),
    ]);
    let mut stream = Stream::new(1);
    assert!(proxy.workers[0].on_request(&mut stream, true));
    let names: Vec<String> = proxy
        .host
        .0
        .borrow()
        .request
        .iter()
        .map(|header| header.0.clone())
        .collect();
    assert!(!names.contains(&"x-serin-steer".to_owned()) && names.contains(&"x-other".to_owned()));
    proxy.workers[0].on_log(&mut stream);
    (0..4).for_each(|_| proxy.tick());
    assert_eq!(proxy.host.metric_sum("serin_exchanges_total"), 0);
}

#[test]
fn an_answer_of_the_proxy_itself_belongs_to_no_version_and_is_counted_apart() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.respond(Answer {
        version: "v1",
        status: "429",
    });
    proxy.host.0.borrow_mut().properties.clear();
    proxy.request(&[]);
    let mut stream = Stream::new(1);
    assert!(proxy.workers[0].on_request(&mut stream, true));
    assert!(proxy.workers[0].on_response(&mut stream));
    proxy.workers[0].on_log(&mut stream);
    proxy.tick();
    assert_eq!(proxy.host.metric_sum("serin_exchanges_total"), 0);
    assert_eq!(proxy.host.metric_sum("serin_unattributed_total"), 1);
}

#[test]
fn requests_that_never_end_are_counted_as_slow_once() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.traffic(10, 100, GOOD);
    let mut hanging = Vec::new();
    for _ in 0..40 {
        proxy.request(&[]);
        proxy.respond(GOOD[1]);
        let mut stream = Stream::new(7);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        hanging.push(stream);
    }
    proxy.traffic(4, 100, GOOD);
    let slow = |version: &str| {
        let name = format!(
            "destination=.=shop;.;route=.=GET /api/items/{{int}};.;version=.={version};.;category=.=slow_p99;.;serin_category_total"
        );
        proxy.host.metric_value(&name).unwrap_or(0)
    };
    // The fake proxy names the same cluster for all streams: that of the last exchange.
    assert_eq!((slow("v1"), slow("v2")), (40, 0));
}

#[test]
fn bytes_in_the_mailbox_that_nobody_understands_do_no_harm() {
    let mut proxy = Proxy::new("steer", 2);
    proxy.traffic(5, 100, GOOD);
    let keys: Vec<String> = proxy.host.0.borrow().shared.keys().cloned().collect();
    for (number, key) in keys.iter().enumerate() {
        let junk = vec![number as u8 + 1; 37 * (number + 1)];
        proxy
            .host
            .0
            .borrow_mut()
            .shared
            .insert(key.clone(), (junk, 999 + number as u32));
    }
    proxy.traffic(20, 100, BAD);
    assert_eq!(proxy.verdict(), Some(3));
}

#[test]
fn what_a_short_lived_worker_hands_in_at_its_end_is_merged_once() {
    let mut proxy = Proxy::new("observe", 2);
    proxy.traffic(5, 40, GOOD);
    // The config goes before the worker had a tick, and so before it had a slot.
    proxy.add_worker();
    (0..9).for_each(|_| {
        proxy.exchange(2, GOOD[0]);
    });
    proxy.workers[2].close();
    proxy.workers.pop();
    // And one that had a single tick.
    proxy.add_worker();
    proxy.exchange(2, GOOD[0]);
    proxy.tick();
    proxy.exchange(2, GOOD[0]);
    proxy.workers[2].close();
    proxy.workers.pop();
    proxy.traffic(10, 40, GOOD);
    (0..8).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), 15 * 40 + 9 + 2);
}

#[test]
fn verdicts_are_seen_although_the_cap_on_series_is_reached() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.config = proxy
        .config
        .replace("\"mode\"", "\"max_series\": 50, \"mode\"");
    proxy.workers.clear();
    proxy.add_worker();
    for number in 0..40 {
        for answer in GOOD.into_iter().cycle().take(40) {
            proxy.request(&[]);
            proxy.host.0.borrow_mut().request[1].1 = format!("/route{number}").into_bytes();
            proxy.respond(answer);
            let mut stream = Stream::new(1);
            assert!(proxy.workers[0].on_request(&mut stream, true));
            assert!(proxy.workers[0].on_response(&mut stream));
            proxy.workers[0].on_log(&mut stream);
        }
        if number % 10 == 9 {
            proxy.tick();
        }
    }
    proxy.traffic(20, 100, BAD);
    assert_eq!(proxy.verdict(), Some(3));
    assert!(
        proxy
            .host
            .metric_value("table=.=series;.;serin_overflow_total")
            .unwrap()
            > 0
    );
}

const GUARD: &str = r#"{"mode": "reject", "candidate": "v2", "warm_up": "0s",
    "reject": {"share": 1.0, "reference": {"serin_snapshot": 1, "destination": "shop",
    "version": "v1", "exchanges": 5000, "routes": [{"method": "GET", "path": "/api/items/{int}",
    "exchanges": 5000, "signals": {"outcome": [[200, 4990], [500, 10]]}}]}}}"#;

#[test]
fn a_guard_refuses_what_it_condemns_in_the_callers_own_form_and_counts_it_apart() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.config = GUARD.to_owned();
    proxy.workers.clear();
    proxy.add_worker();
    let attempt = |proxy: &mut Proxy, headers: &[(&str, &str)]| {
        proxy.request(headers);
        proxy.host.0.borrow_mut().refused = None;
        proxy.workers[0].on_request(&mut Stream::new(1), true)
    };
    let first = [("x-envoy-attempt-count", "1")];
    let grpc = [
        ("x-envoy-attempt-count", "1"),
        ("content-type", "application/grpc"),
    ];
    proxy.traffic(5, 40, GOOD);
    assert!(attempt(&mut proxy, &first), "nothing speaks against it yet");
    proxy.traffic(10, 40, BAD);
    assert!(!attempt(&mut proxy, &first));
    let refusal = |proxy: &Proxy| proxy.host.0.borrow().refused.clone();
    let reason = "GET /api/items/{int};error".to_owned();
    assert_eq!(refusal(&proxy), Some((reason.clone(), false)));
    assert!(!attempt(&mut proxy, &grpc));
    assert_eq!(refusal(&proxy), Some((reason, true)));
    // Who does not say that it will ask again, or asks for the last time, is let through.
    assert!(attempt(&mut proxy, &[]));
    assert!(attempt(&mut proxy, &[("x-envoy-attempt-count", "2")]));
    let counted = proxy.host.metric_sum("serin_exchanges_total");
    proxy.tick();
    assert_eq!(proxy.host.metric_sum("serin_exchanges_total"), counted);
    assert_eq!(proxy.host.metric_sum("serin_rejected_total"), 2);
}

#[test]
fn versions_are_told_apart_by_istios_workload_metadata_where_the_cluster_is_one() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#.to_owned();
    proxy.workers.clear();
    proxy.add_worker();
    for number in 0..200 {
        let answer = GOOD[usize::from(number % 4 == 0)];
        proxy.request(&[]);
        proxy.respond(answer);
        let workload = format!("reviews-abc;shop;reviews;{};cluster", answer.version);
        {
            let properties = &mut proxy.host.0.borrow_mut().properties;
            properties.insert(
                "xds.cluster_name".into(),
                b"outbound|9080||reviews.shop".to_vec(),
            );
            properties.insert(
                "xds.upstream_host_metadata.filter_metadata.istio.workload".into(),
                workload.into_bytes(),
            );
        }
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        assert!(proxy.workers[0].on_response(&mut stream));
        proxy.workers[0].on_log(&mut stream);
    }
    proxy.tick();
    let counted = |version: &str| {
        let route = "destination=.=reviews.shop:9080;.;route=.=GET /api/items/{int};.;version=.=";
        proxy
            .host
            .metric_value(&format!("{route}{version};.;serin_exchanges_total"))
    };
    assert_eq!((counted("v1"), counted("v2")), (Some(150), Some(50)));
}

const TWO_RELEASES: &str = r#"{"baseline": "v1", "warm_up": "0s",
    "versions": {"from": "clusters", "destinations": {"shop":
    {"v1": ["shop-v1"], "v2": ["shop-v2"], "v3": ["shop-v3"]}}}}"#;

#[test]
fn the_evidence_of_a_candidate_that_was_replaced_falls_silent() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.config = TWO_RELEASES.to_owned();
    proxy.workers.clear();
    proxy.add_worker();
    let evidence = |proxy: &Proxy, version: &str| {
        let world = proxy.host.0.borrow();
        let version = format!("version=.={version};.;");
        world
            .metrics
            .iter()
            .filter(|metric| metric.0.contains("serin_evidence_") && metric.0.contains(&version))
            .map(|metric| metric.1)
            .sum::<u64>()
    };
    proxy.traffic(5, 100, GOOD);
    proxy.traffic(15, 100, BAD);
    assert!(evidence(&proxy, "v2") > 0);
    let next = Answer {
        version: "v3",
        status: "500",
    };
    proxy.traffic(15, 100, [GOOD[0], next]);
    assert_eq!(evidence(&proxy, "v2"), 0);
    assert!(evidence(&proxy, "v3") > 0);
}

#[test]
fn a_guard_removes_serins_headers_from_what_the_application_says_and_leaves_its_own() {
    let answered = |config: &str, refused: bool| {
        let mut proxy = Proxy::new("observe", 1);
        proxy.config = config.to_owned();
        proxy.workers.clear();
        proxy.add_worker();
        if refused {
            proxy.traffic(5, 40, GOOD);
            proxy.traffic(10, 40, BAD);
        }
        proxy.request(&[("x-envoy-attempt-count", "1")]);
        let mut stream = Stream::new(1);
        assert_eq!(proxy.workers[0].on_request(&mut stream, true), !refused);
        // Of the application, or, after a refusal, the guard's own answer that comes by.
        proxy.respond(GOOD[1]);
        for name in ["x-serin-reject", "x-serin-verdict", "vary"] {
            let header = (name.to_owned(), b"GET /;error".to_vec());
            proxy.host.0.borrow_mut().response.push(header);
        }
        assert!(proxy.workers[0].on_response(&mut stream));
        let world = proxy.host.0.borrow();
        let names = world.response.iter().map(|header| header.0.clone());
        names.skip(2).collect::<Vec<_>>()
    };
    let all = ["x-serin-reject", "x-serin-verdict", "vary"];
    assert_eq!(answered(GUARD, false), ["vary"]);
    assert_eq!(answered(GUARD, true), all);
    let comparer = CONFIG.replace("MODE", "observe");
    // Not a refusal: no guard has set it.
    assert_eq!(answered(&comparer, false), ["vary"]);
}
