//! The harness itself: Envoy, shop and load without any filter.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::time::{Duration, Instant};

use anyhow::Result;
use hyper::{Method, StatusCode};
use serde_json::json;
use serin_integration::envoy::Launch;
use serin_integration::load::{Load, LoadOptions, Mix, Tally};
use serin_integration::shop::{Regression, Route, Shop, Shops};
use serin_integration::topology::{AccessLog, SidecarProcess, Topology};
use serin_integration::{http, one_at_a_time};

/// Longest wait for what has to come.
const LONGEST: Duration = Duration::from_secs(180);

async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Waits until `come` is true.
async fn wait_until(what: &str, come: impl Fn() -> bool) {
    let start = Instant::now();
    while !come() {
        assert!(start.elapsed() < LONGEST, "no {what} within {LONGEST:?}");
        pause(0.05).await;
    }
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
async fn traffic_splits_by_weight_and_the_books_of_shop_load_and_envoy_agree() -> Result<()> {
    let _turn = one_at_a_time().await;
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
    let load = Load::start(LoadOptions::new(topology.address(), 600.0))?;
    pause(4.0).await;
    // However late this is: arrivals that were due have been sent.
    let expected = 600.0 * start.elapsed().as_secs_f64();
    let tally = load.stop().await;

    let sent = tally.sent as f64 / expected;
    assert!(
        (0.83..1.17).contains(&sent),
        "{sent} of {expected}: {tally:?}"
    );
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
    assert!(tally.errors() < 25, "{tally:?}");
    assert!((5..50).contains(&tally.class(4)), "{tally:?}");

    for shop in [&shops.v1, &shops.v2] {
        let seen = tally.version(shop.version());
        let books = shop.books();
        for route in Route::ALL {
            let answered = seen.by_route.get(&route).copied().unwrap_or(0);
            assert_eq!(
                books[&route].received,
                answered,
                "{} {route}",
                shop.version()
            );
        }
        assert_eq!(
            books.values().map(|book| book.errors).sum::<u64>(),
            seen.errors
        );
        assert!(shop.last_request(Route::Product).is_some());
        assert!(shop.last_request(Route::Health).is_none());
    }
    let counted = topology
        .front
        .counter("http.front.downstream_rq_completed")
        .await?;
    assert_eq!(counted, Some(tally.sent));
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
    let _turn = one_at_a_time().await;
    let shops = Shops::start(2).await?;
    let mut topology = Topology::builder("harness-reload", &shops)
        .weights(100, 0)
        .start()
        .await?;
    let load = Load::start(LoadOptions::new(topology.address(), 400.0).seed(3))?;
    pause(1.0).await;
    let all_on_v1 = load.snapshot();
    assert_eq!(all_on_v1.version("v2").answered, 0);

    topology.set_weights(0, 100).await?;
    // What was on its way to v1 is answered by then.
    pause(2.0).await;
    let before = load.snapshot();
    wait_until("requests on v2", || {
        since(&before, &load.snapshot()).1 > 200
    })
    .await;
    let (v1, v2) = since(&before, &load.snapshot());
    assert!(
        v1 == 0 && v2 > 200,
        "after the change {v1} on v1, {v2} on v2"
    );

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
        pause(1.5).await;
        let start = Instant::now();
        loop {
            let answer = http::get(topology.address(), "/health").await?;
            if answer.headers().contains_key(name) {
                break;
            }
            let headers = answer.headers();
            assert!(start.elapsed() < LONGEST, "{name} in {headers:?}");
            pause(0.1).await;
        }
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
    let _turn = one_at_a_time().await;
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
    let _turn = one_at_a_time().await;
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
    assert_eq!(version(&[("x-serin-steer", "v1")]).await?, "v1");
    assert_eq!(version(&[("x-serin-steer", "v2")]).await?, "v2");
    let steered = |shop: &serin_integration::shop::Shop| shop.books()[&Route::Health].steered;
    assert_eq!((steered(&shops.v1), steered(&shops.v2)), (1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_and_load_keep_up_with_1500_requests_per_second() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(8).await?;
    // Others may need the machine just now: it is enough to keep up once.
    let mut tally = Tally::default();
    for _ in 0..5 {
        let start = Instant::now();
        let load = Load::start(LoadOptions::new(shops.v1.address(), 1_500.0))?;
        pause(2.0).await;
        let seconds = start.elapsed().as_secs_f64();
        tally = load.stop().await;
        let kept_up = tally.sent as f64 > 1_350.0 * seconds;
        if kept_up && (tally.failed, tally.held_back) == (0, 0) {
            return Ok(());
        }
    }
    panic!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_rule_sends_the_users_who_try_releases_to_v2_and_nobody_else() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(8).await?;
    let mut topology = Topology::builder("harness-beta", &shops)
        .weights(50, 50)
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 500.0).beta_share(0.2);
    let load = Load::start(options)?;
    pause(1.5).await;
    let by_weight = share_of_v2(&load.snapshot());
    assert!((0.4..0.6).contains(&by_weight), "{by_weight}");
    topology.set_beta_rule(true).await?;
    pause(1.0).await;
    let before = load.snapshot();
    pause(2.0).await;
    let (v1, v2) = since(&before, &load.stop().await);
    // 200 users, each of them with a chance of 20 %: one standard deviation is 2.8 %.
    let share = v2 as f64 / (v1 + v2) as f64;
    assert!((0.1..0.32).contains(&share), "{v1} on v1, {v2} on v2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_one_version_share_its_requests_and_each_has_its_own_speed() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(9).await?;
    let (second, slow) = (Shop::start("v1", 10).await?, Shop::start("v1", 11).await?);
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
    pause(3.0).await;
    let tally = load.stop().await;
    for shop in [&shops.v1, &second, &slow] {
        let share = shop.received() as f64 / tally.sent as f64;
        assert!((0.28..0.38).contains(&share), "{share}");
    }
    // Its median is 400 ms; the others take that long only where the machine stands still.
    let mut late = 0;
    while let Ok(request) = finished.try_recv() {
        late += u64::from(request.elapsed > Duration::from_millis(300));
    }
    let share = late as f64 / slow.received() as f64;
    assert!((0.5..0.95).contains(&share), "{share}");
    Ok(())
}

async fn refusals_are_answered_by_v1(name: &str, process: SidecarProcess) -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(5).await?;
    let topology = Topology::builder(name, &shops)
        .weights(50, 50)
        .sidecar(process, vec![])
        .start()
        .await?;
    shops.v2.set_refusing(true);
    let options = LoadOptions::new(topology.address(), 200.0).mix(Mix::only(Route::Health));
    let load = Load::start(options)?;
    wait_until("answers", || load.snapshot().answered > 350).await;
    let tally = load.stop().await;
    assert!(tally.sent > 300, "{tally:?}");
    assert_eq!(tally.class(2), tally.sent, "{tally:?}");
    assert_eq!(tally.version("v1").answered, tally.sent, "{tally:?}");
    let refused = shops.v2.books()[&Route::Health].errors;
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
    let _turn = one_at_a_time().await;
    let shops = Shops::start(6).await?;
    let topology = Topology::builder("harness-no-retry", &shops)
        .weights(50, 50)
        .sidecar(SidecarProcess::Own, vec![])
        .start()
        .await?;
    shops.v1.set_regression(Regression::Errors);
    let options = LoadOptions::new(topology.address(), 300.0).mix(Mix::only(Route::Checkout));
    let load = Load::start(options)?;
    wait_until("errors of v1", || load.snapshot().errors() > 15).await;
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
    let _turn = one_at_a_time().await;
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
    wait_until("timeouts", || load.snapshot().timeouts > 20).await;
    load.set_rate(0.0);
    wait_until("end of all requests", || load.snapshot().under_way() == 0).await;
    pause(0.5).await;
    let hanging = load.snapshot();
    let share = hanging.timeouts as f64 / hanging.sent as f64;
    assert!((0.03..0.2).contains(&share), "{hanging:?}");
    assert_eq!(hanging.lost(), hanging.timeouts + hanging.errors());

    pause(0.5).await;
    assert_eq!(load.snapshot().sent, hanging.sent, "rate 0 pauses");
    load.set_mix(Mix::only(Route::Home));
    load.set_rate(500.0);
    let start = Instant::now();
    pause(1.0).await;
    let expected = 500.0 * start.elapsed().as_secs_f64();
    let tally = load.stop().await;
    let home = tally.version("v2").by_route[&Route::Home];
    let share = home as f64 / expected;
    assert!(
        (0.7..1.3).contains(&share),
        "{share} of {expected}: {tally:?}"
    );
    assert_eq!(tally.timeouts, hanging.timeouts);
    Ok(())
}
