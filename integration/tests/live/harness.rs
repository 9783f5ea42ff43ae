//! The harness itself: Envoy, shop and load without any filter.

use scorer_sdk::telemetry;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use serde_json::json;
use serin_integration::envoy::Launch;
use serin_integration::load::{Load, LoadOptions, Mix, Tally, storm};
use serin_integration::shop::{EXPIRED, Regression, Route, Shop, Shops};
use serin_integration::topology::{AFFINE_TO_V2, AccessLog, SidecarProcess, Topology};
use serin_integration::{http, turn, wait_until};

async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Room for what comes at once when the machine has stood still for some seconds.
fn roomy(options: LoadOptions) -> LoadOptions {
    LoadOptions {
        max_in_flight: 4_096,
        ..options
    }
}

/// Waits until about `rate` requests a second have been sent since `start`, of which `before` were
/// sent earlier. The load makes up for a time in which the machine stood still.
async fn wait_for_rate(load: &Load, rate: f64, before: u64, start: Instant) -> Result<()> {
    wait_until("expected rate", async || {
        let sent = (load.snapshot().sent - before) as f64;
        let expected = rate * start.elapsed().as_secs_f64();
        Ok(expected > rate && (0.83..1.17).contains(&(sent / expected)))
    })
    .await
    .with_context(|| format!("{:?} in {:?}", load.snapshot(), start.elapsed()))
}

/// Share of the answers that v2 gave.
fn share_of_v2(tally: &Tally) -> f64 {
    tally.version("v2").answered as f64 / tally.answered as f64
}

fn since(before: &Tally, after: &Tally) -> (u64, u64) {
    let of = |version| after.version(version).answered - before.version(version).answered;
    (of("v1"), of("v2"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_splits_by_weight_and_the_counts_of_shop_load_and_envoy_agree() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(1).await?;
    let topology = Topology::builder("harness-weights", &shops)
        .weights(80, 20)
        .access_log(AccessLog {
            path: "access.log".to_owned(),
            format: json!({"path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%"}),
        })
        .start()
        .await?;

    let start = Instant::now();
    let load = Load::start(roomy(LoadOptions::new(topology.address(), 600.0)))?;
    load.wait_for_answers(2_400).await?;
    wait_for_rate(&load, 600.0, 0, start).await?;
    let tally = load.stop().await;
    assert_eq!(
        (tally.failed, tally.held_back, tally.under_way()),
        (0, 0, 0),
        "{tally:?}"
    );
    // Over 2,000 draws at 20 %, one standard deviation is 0.9 %.
    assert!(
        (0.16..0.24).contains(&share_of_v2(&tally)),
        "{}",
        share_of_v2(&tally)
    );
    // 0.3 % of 5xx and up to 1 % of 404 belong to a healthy shop.
    let share = |count: u64| count as f64 / tally.sent as f64;
    assert!(share(tally.errors()) < 0.01, "{tally:?}");
    assert!((0.001..0.02).contains(&share(tally.class(4))), "{tally:?}");

    for shop in [&shops.v1, &shops.v2] {
        let seen = tally.version(shop.version());
        let served = shop.served();
        for route in Route::ALL {
            let answered = seen.by_route.get(&route).copied().unwrap_or(0);
            assert_eq!(
                served[&route].received,
                answered,
                "{} {route}",
                shop.version()
            );
        }
        assert_eq!(
            served.values().map(|counts| counts.errors).sum::<u64>(),
            seen.errors
        );
        assert!(shop.last_request(Route::Product).is_some());
        assert!(shop.last_request(Route::Health).is_none());
    }
    // Envoy counts a request when its answer has left.
    let completed = "http.front.downstream_rq_completed";
    let stats = topology
        .front
        .wait_for("all requests counted", |stats| {
            stats.get(completed) >= Some(tally.sent)
        })
        .await?;
    assert_eq!(stats.get(completed), Some(tally.sent));
    let by_cluster = topology.front.metrics().await?.value(
        "envoy_cluster_upstream_rq_total",
        &[("envoy_cluster_name", "shop-v2")],
    );
    assert_eq!(by_cluster, Some(tally.version("v2").answered as f64));

    let log = topology.front.dir().join("access.log");
    topology.front.stop().await?;
    let lines = std::fs::read_to_string(log)?.lines().count() as u64;
    assert_eq!(lines, tally.sent);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_weights_and_listeners_under_load_lose_no_request() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(2).await?;
    let mut topology = Topology::builder("harness-reload", &shops)
        .weights(100, 0)
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 400.0).seed(3);
    let load = Load::start(roomy(options))?;
    load.wait_for_answers(400).await?;
    let all_on_v1 = load.snapshot();
    assert_eq!(all_on_v1.version("v2").answered, 0);

    topology.set_weights(0, 100).await?;
    // Once what was on its way to v1 is answered.
    wait_until("change of weights", async || {
        let before = load.snapshot();
        load.wait_for_answers(200).await?;
        let (v1, v2) = since(&before, &load.snapshot());
        Ok(v1 == 0 && v2 >= 200)
    })
    .await?;

    // The new filters differ, so Envoy really builds new chains and drains the old ones.
    for name in ["x-first", "x-second", "x-third"] {
        let filter = json!({
            "name": "mutation",
            "typed_config": {
                "@type": "type.googleapis.com/\
                    envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"response_mutations": [
                    {"append": {"header": {"key": name, "value": "1"}}}
                ]}
            }
        });
        topology.set_raw_filters(vec![filter]).await?;
        wait_until(name, async || {
            let answer = http::get(topology.address(), "/health").await?;
            Ok(answer.headers().contains_key(name))
        })
        .await?;
        load.wait_for_answers(600).await?;
    }
    let tally = load.stop().await;
    assert_eq!((tally.failed, tally.held_back), (0, 0), "{tally:?}");
    // Nothing but the shop's own errors: no answer came from the proxy itself.
    assert_eq!(tally.version("").answered, 0, "{tally:?}");
    assert!(tally.answered > 1_500, "{tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_listener_is_an_error_with_envoys_reason_and_the_old_one_serves_on() -> Result<()>
{
    let _turn = turn::beside_another().await;
    let shops = Shops::start(3).await?;
    let mut topology = Topology::builder("harness-reject", &shops).start().await?;
    let error = topology
        .set_raw_filters(vec![json!({"name": "no.such.filter"})])
        .await;
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("no.such.filter"), "{error}");
    assert_eq!(
        http::get(topology.address(), "/health").await?.status(),
        StatusCode::OK
    );

    let broken = Launch::new("harness-broken", "static_resources: {clusters: 7}")
        .start()
        .await;
    let error = format!("{:#}", broken.unwrap_err());
    assert!(error.contains("clusters"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steer_header_sends_a_request_to_v1_whatever_the_weights() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(4).await?;
    let topology = Topology::builder("harness-steer", &shops)
        .weights(0, 100)
        .start()
        .await?;
    let version = |headers: &'static [(&str, &str)]| {
        let address = topology.address();
        async move {
            let answer = http::request(address, Method::GET, "/health", headers, "").await?;
            anyhow::Ok(answer.headers()["x-shop-version"].to_str()?.to_owned())
        }
    };
    assert_eq!(version(&[]).await?, "v2");
    assert_eq!(
        version(&[(telemetry::STEER_HEADER.name, "v1")]).await?,
        "v1"
    );
    assert_eq!(
        version(&[(telemetry::STEER_HEADER.name, "v2")]).await?,
        "v2"
    );
    let steered = |shop: &serin_integration::shop::Shop| shop.served()[&Route::Health].steered;
    assert_eq!((steered(&shops.v1), steered(&shops.v2)), (1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_and_load_keep_up_with_hundreds_of_requests_per_second() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(8).await?;
    // What the machine can do while others need it, too: it is enough to keep up once.
    let mut tally = Tally::default();
    for rate in [1_500.0, 1_500.0, 1_000.0, 1_000.0, 500.0, 500.0, 250.0] {
        let start = Instant::now();
        let load = Load::start(LoadOptions::new(shops.v1.address(), rate))?;
        pause(2.0).await;
        let seconds = start.elapsed().as_secs_f64();
        tally = load.stop().await;
        let kept_up = tally.sent as f64 > 0.9 * rate * seconds;
        if kept_up && (tally.failed, tally.held_back) == (0, 0) {
            println!("kept up with {rate} per second");
            return Ok(());
        }
    }
    panic!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_rule_sends_the_users_who_try_releases_to_v2_and_nobody_else() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(8).await?;
    let mut topology = Topology::builder("harness-beta", &shops)
        .weights(50, 50)
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 500.0).beta_share(0.2);
    let load = Load::start(options)?;
    load.wait_for_answers(750).await?;
    let by_weight = share_of_v2(&load.snapshot());
    assert!((0.4..0.6).contains(&by_weight), "{by_weight}");
    topology.set_beta_rule(true).await?;
    // Those are on their way by the weights.
    load.wait_for_answers(500).await?;
    let before = load.snapshot();
    load.wait_for_answers(1_000).await?;
    let (v1, v2) = since(&before, &load.stop().await);
    // 200 users, each of them with a chance of 20 %: one standard deviation is 2.8 %.
    let share = v2 as f64 / (v1 + v2) as f64;
    assert!((0.1..0.32).contains(&share), "{v1} on v1, {v2} on v2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_comes_on_one_connection_and_affinity_keeps_it_on_v2() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(12).await?;
    let topology = Topology::builder("harness-storm", &shops)
        .weights(100, 0)
        .affinity()
        .start()
        .await?;
    let mut client = LoadOptions::new(topology.address(), 100.0).header("authorization", EXPIRED);
    let cookie = HeaderValue::from_static(AFFINE_TO_V2);
    client.headers.insert("cookie", cookie);
    let path = Route::Products.template();
    let connections = "http.front.downstream_cx_total";
    // The one that found the listener open may be accepted later than it was made.
    let stats = topology.front.wait_for("first connection", |stats| {
        stats.get(connections) >= Some(1)
    });
    let before = stats.await?.get(connections);
    let answers = storm(&client, path, 20).await?;
    assert_eq!(answers, BTreeMap::from([(401, 20)]));
    assert_eq!((shops.v1.received(), shops.v2.received()), (0, 20));
    let after = topology.front.stats().await?.get(connections);
    assert_eq!(after, before.map(|before| before + 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_have_connections_of_their_own() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(13).await?;
    let topology = Topology::builder("harness-clients", &shops).start().await?;
    let options = LoadOptions::new(topology.address(), 400.0).clients(50);
    let load = Load::start(options)?;
    // Sessions come and go, so that each client has one in time.
    topology
        .front
        .wait_for("connections", |stats| {
            stats.get("http.front.downstream_cx_active") >= Some(50)
        })
        .await?;
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_one_version_share_its_requests_and_each_has_its_own_speed() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(9).await?;
    // One of the hosts of v1's cluster, under a name by which its answers can be told.
    let (second, slow) = (Shop::start("v1", 10).await?, Shop::start("slow", 11).await?);
    slow.set_slowdown(100.0);
    let topology = Topology::builder("harness-pods", &shops)
        .more_v1(&[second.address(), slow.address()])
        .start()
        .await?;
    let (told, mut finished) = tokio::sync::mpsc::channel(4_096);
    let options = LoadOptions::new(topology.address(), 300.0)
        .mix(Mix::only(Route::Product))
        .tell(told);
    let load = Load::start(options)?;
    load.wait_for_answers(900).await?;
    let tally = load.stop().await;
    for shop in [&shops.v1, &second, &slow] {
        let share = shop.received() as f64 / tally.sent as f64;
        assert!((0.28..0.38).contains(&share), "{share}");
    }
    let mut elapsed = BTreeMap::<String, Vec<Duration>>::new();
    while let Ok(request) = finished.try_recv() {
        let version = request.version().unwrap_or_default().to_owned();
        elapsed.entry(version).or_default().push(request.elapsed);
    }
    let median = |version: &str| {
        let mut times = elapsed[version].clone();
        times.sort();
        times[times.len() / 2]
    };
    // 400 ms and 4 ms, and what the machine adds.
    let (slow, others) = (median("slow"), median("v1"));
    assert!(slow > Duration::from_millis(300), "{slow:?}");
    assert!(2 * others < slow, "{others:?} and {slow:?}");
    Ok(())
}

async fn refusals_are_answered_by_v1(name: &str, process: SidecarProcess) -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(5).await?;
    let topology = Topology::builder(name, &shops)
        .weights(50, 50)
        .sidecar(process, vec![])
        .start()
        .await?;
    shops.v2.set_refusing(true);
    let options = LoadOptions::new(topology.address(), 200.0).mix(Mix::only(Route::Health));
    let load = Load::start(options)?;
    load.wait_for_answers(350).await?;
    let tally = load.stop().await;
    assert!(tally.sent > 300, "{tally:?}");
    assert_eq!(tally.class(2), tally.sent, "{tally:?}");
    assert_eq!(tally.version("v1").answered, tally.sent, "{tally:?}");
    let refused = shops.v2.served()[&Route::Health].errors;
    let share = refused as f64 / tally.sent as f64;
    assert!(
        (0.35..0.65).contains(&share),
        "v2 refused {refused} of {}",
        tally.sent
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_v2_behind_its_own_sidecar_are_answered_by_v1() -> Result<()> {
    refusals_are_answered_by_v1("harness-rescue", SidecarProcess::Own).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_v2_behind_a_listener_of_the_front_are_answered_by_v1() -> Result<()> {
    refusals_are_answered_by_v1("harness-rescue-shared", SidecarProcess::Front).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stables_own_errors_are_not_retried_on_the_canary() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(6).await?;
    let topology = Topology::builder("harness-no-retry", &shops)
        .weights(50, 50)
        .sidecar(SidecarProcess::Own, vec![])
        .start()
        .await?;
    shops.v1.set_regression(Regression::Errors);
    let options = LoadOptions::new(topology.address(), 300.0).mix(Mix::only(Route::Checkout));
    let load = Load::start(options)?;
    wait_until("errors of v1", async || Ok(load.snapshot().errors() > 15)).await?;
    let tally = load.stop().await;
    assert!(tally.errors() > 10, "{tally:?}");
    // Every request reached one version once.
    assert_eq!(shops.v1.received(), tally.version("v1").answered);
    assert_eq!(shops.v2.received(), tally.version("v2").answered);
    assert_eq!(shops.v1.received() + shops.v2.received(), tally.sent);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_version_costs_timeouts_and_a_change_of_rate_and_mix_takes_effect() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(7).await?;
    let topology = Topology::builder("harness-hang", &shops)
        .weights(0, 100)
        .start()
        .await?;
    shops.v2.set_regression(Regression::Hang);
    let options = LoadOptions::new(topology.address(), 100.0)
        .mix(Mix::only(Route::Product))
        .timeout(Duration::from_secs(2));
    let load = Load::start(options)?;
    wait_until("timeouts", async || Ok(load.snapshot().timeouts > 20)).await?;
    load.set_rate(0.0);
    let is_over = async || Ok(load.snapshot().under_way() == 0);
    wait_until("end of all requests", is_over).await?;
    pause(0.5).await;
    let hanging = load.snapshot();
    let share = hanging.timeouts as f64 / hanging.sent as f64;
    assert!((0.03..0.2).contains(&share), "{hanging:?}");
    assert_eq!(hanging.lost(), hanging.timeouts + hanging.errors());

    pause(0.5).await;
    assert_eq!(load.snapshot().sent, hanging.sent, "rate 0 pauses");
    load.set_mix(Mix::only(Route::Home));
    load.set_rate(500.0);
    wait_for_rate(&load, 500.0, hanging.sent, Instant::now()).await?;
    let tally = load.stop().await;
    let home = tally.version("v2").by_route[&Route::Home];
    // Nothing hangs any more: but for what a machine that stood still made late.
    let sent = tally.sent - hanging.sent;
    assert!(20 * (sent - home) < sent, "{tally:?}");
    Ok(())
}
