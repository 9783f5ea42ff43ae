//! The bootstraps for an Envoy without Istio, in a real Envoy: as they are, but for the addresses.

use anyhow::{Result, ensure};
use scorer_sdk::telemetry;
use serin_integration::envoy::{Envoy, Launch, binary, free_port, run_dir, workspace};
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Regression, Shops};
use serin_integration::turn;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

const PLAIN: &str = "envoyfilter-manifests/plain-envoy/envoy.yaml";
pub(super) const COMPOSE: &str = "integration/compose/envoy.yaml";

/// A bootstrap with pieces replaced, each of which is in it once.
pub(super) fn bootstrap(path: &str, replaced: &[(&str, String)]) -> Result<String> {
    let mut text = fs::read_to_string(workspace().join(path))?;
    let module = workspace().join("target/serin.wasm");
    ensure!(module.is_file(), "no filter; run `make wasm`");
    let module = ("/etc/envoy/serin.wasm", module.display().to_string());
    for (from, to) in replaced.iter().chain([&module]) {
        ensure!(text.matches(from).count() == 1, "{path}: {from}");
        text = text.replace(from, to);
    }
    // A busy machine may stand still for longer than that.
    Ok(text.replace("connect_timeout: 1s", "connect_timeout: 10s"))
}

pub(super) fn address(host: &str, port: u16) -> String {
    format!("address: {host}, port_value: {port}}}")
}

pub(super) fn at(socket: SocketAddr) -> String {
    address(&socket.ip().to_string(), socket.port())
}

pub(super) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn a_real_envoy_accepts_the_bootstrap_of_compose_and_the_module_its_config() -> Result<()> {
    let _turn = turn::busy();
    let text = bootstrap(COMPOSE, &[])?;
    let folder = run_dir("manifests-compose");
    fs::create_dir_all(&folder)?;
    let path = folder.join("envoy.yaml");
    fs::write(&path, text)?;
    let checked = Command::new(binary()?)
        .args(["--mode", "validate", "-c"])
        .arg(&path)
        .output()?;
    let log = String::from_utf8_lossy(&checked.stderr);
    ensure!(checked.status.success(), "{log}");
    ensure!(
        log.contains("steer as comparer, baseline v1, candidate v2"),
        "{log}"
    );
    Ok(())
}

/// The plain bootstrap before two shops, in a mode, with the share of 50% that the admin interface gives
/// to v2.
async fn plain(name: &str, mode: &str, shops: &Shops) -> Result<(Envoy, SocketAddr)> {
    let front = local(free_port()?);
    let text = bootstrap(
        PLAIN,
        &[
            (&address("127.0.0.1", 8080), at(front)),
            (&address("127.0.0.1", 8081), at(shops.v1.address())),
            (&address("127.0.0.1", 8082), at(shops.v2.address())),
            (
                "\"mode\": \"observe\",",
                format!(r#""mode": "{mode}", "warm_up": "1s", "surprise": {{"epoch": "1s"}},"#),
            ),
        ],
    )?;
    let envoy = Launch::new(name, text).start().await?;
    envoy
        .admin_post("/runtime_modify?weights.shop-v1=50&weights.shop-v2=50")
        .await?;
    Ok((envoy, front))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_bootstrap_sends_what_v2_refuses_to_v1_and_nobody_notices() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(51).await?;
    shops.v2.set_refusing(true);
    let (_envoy, front) = plain("manifests-rescue", "observe", &shops).await?;
    // What comes at once, where the machine has stood still, has to stay within the retry budget.
    let load = Load::start(LoadOptions::new(front, 30.0).seed(52))?;
    load.wait_for_answers(200).await?;
    let tally = load.stop().await;
    let v1 = tally.version("v1");
    ensure!(shops.v2.received() > 50, "v2 was hardly asked");
    ensure!(
        v1.answered == tally.sent && tally.lost() == v1.errors,
        "{tally:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_bootstrap_steers_away_from_v2_once_a_verdict_stands() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(53).await?;
    let (envoy, front) = plain("manifests-steer", "steer", &shops).await?;
    let load = Load::start(LoadOptions::new(front, 200.0).seed(54))?;
    envoy
        .wait_for_metrics("judged exchanges", |metrics| {
            let seen = metrics.value(telemetry::JUDGED_EXCHANGES.name, &[("version", "v2")]);
            seen > Some(300.0)
        })
        .await?;
    // Envoy's own buckets have no such bound; it merges histograms every five seconds.
    envoy
        .wait_for_metrics("surprise in buckets of its own", |metrics| {
            let bound = [("version", "v1"), ("le", "75")];
            metrics.value("serin_surprise_bucket", &bound).is_some()
        })
        .await?;
    shops.v2.set_regression(Regression::Errors);
    envoy
        .wait_for_metrics("steered requests", |metrics| {
            metrics.value(telemetry::STEERED.name, &[]) > Some(50.0)
        })
        .await?;
    load.wait_until_left_alone(&shops.v2).await
}
