//! A canary that answers 200 with the same body in the same time, and makes other calls behind it:
//! in the mesh of `serin_integration::mesh`.

use super::common::{MODULE, config, said_anomalous, wait_for_judged, why_anomalous, with};
use anyhow::Result;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::mesh::Mesh;
use serin_integration::shop::{Call, N_PLUS_ONE};
use serin_integration::{http, turn};

const TRACKER: Call = Call {
    service: "tracker",
    path: "/visit",
};

/// A mesh in which enough of both versions was judged, and the canary now makes these calls.
async fn changed(name: &str, canary: &'static [Call]) -> Result<(Mesh, Load)> {
    changed_under(name, canary, |options| options).await
}

/// [`changed`] under another load than the usual one.
async fn changed_under(
    name: &str,
    canary: &'static [Call],
    load: impl FnOnce(LoadOptions) -> LoadOptions,
) -> Result<(Mesh, Load)> {
    let compare = with(config("observe"), json!({"signals": {"fan_out": true}}));
    let mesh = Mesh::builder(name, MODULE, &compare)
        .weights(70, 30)
        .start()
        .await?;
    // The report is for the gateway alone.
    let seen = http::get(mesh.address(), "/").await?;
    assert!(
        seen.headers()
            .keys()
            .all(|name| !name.as_str().starts_with("x-serin"))
    );
    let load = Load::start(load(LoadOptions::new(mesh.address(), 80.0).seed(3)))?;
    // The sidecars report when both of their listeners know of each other, three ticks later; then
    // the calls of enough requests have to be learned.
    wait_for_judged(&mesh.gateway, 300.0).await?;
    mesh.v2.shop.set_calls(canary);
    Ok((mesh, load))
}

async fn caught(name: &str, canary: &'static [Call], words: &[&str]) -> Result<()> {
    let _turn = turn::beside_another().await;
    let (mesh, _load) = changed(&format!("fan-out-{name}"), canary).await?;
    let why = why_anomalous(&mesh.gateway).await?;
    for word in words {
        assert!(why.contains(word), "{name} was explained with: {why}");
    }
    println!("{name}: {why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_each_item_is_caught_and_named() -> Result<()> {
    caught("n-plus-one", N_PLUS_ONE, &["stock GET /items"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_authorisation_is_caught_and_named() -> Result<()> {
    caught("skipped-auth", &[Call::STOCK], &["auth GET /check"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_never_called_is_caught_and_named() -> Result<()> {
    let calls = &[Call::AUTH, Call::STOCK, TRACKER];
    caught("tracker", calls, &["tracker GET /visit"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_calls_in_another_order_are_no_regression() -> Result<()> {
    let _turn = turn::alone().await;
    let calls = &[Call::STOCK, Call::AUTH];
    let (mesh, load) = changed("fan-out-order", calls).await?;
    load.wait_for_answers(1_000).await?;
    assert_eq!(said_anomalous(&mesh.gateway), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampling_decision_that_all_requests_share_does_not_mix_their_calls() -> Result<()> {
    let _turn = turn::alone().await;
    let not_sampled = |options: LoadOptions| options.header("b3", "0");
    let calls = &[Call::STOCK, Call::AUTH];
    let (mesh, load) = changed_under("fan-out-b3", calls, not_sampled).await?;
    // Calls under one name would count for each other's requests.
    load.wait_for_answers(1_000).await?;
    assert_eq!(said_anomalous(&mesh.gateway), None);
    mesh.v2.shop.set_calls(N_PLUS_ONE);
    let why = why_anomalous(&mesh.gateway).await?;
    assert!(why.contains("stock GET /items"), "{why}");
    Ok(())
}
