//! What `docker-compose.yaml` starts, run here: its command lines with other addresses, and its
//! health checks against the programs that they are for.

use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry;
use serde_json::Value;
use serin_integration::envoy::{Launch, free_port};
use serin_integration::{turn, wait_until};
use std::process::{Child, Command, Stdio};

use super::compose::{compose, services, words};
use super::health::HealthCheck;
use super::plain_envoy::{COMPOSE, address, at, bootstrap, local};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a service with words of its command line replaced, each of which is in it once.
fn run(service: &Value, replaced: &[(&str, String)]) -> Result<Running> {
    let words = words(&service["command"]);
    let program = match words[0] {
        "serin-shop" => env!("CARGO_BIN_EXE_serin-shop"),
        "serin-load" => env!("CARGO_BIN_EXE_serin-load"),
        other => anyhow::bail!("no program {other}"),
    };
    let mut arguments: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
    for (from, to) in replaced {
        let mut found = arguments.iter_mut().filter(|word| word == from);
        *found.next().with_context(|| format!("no {from}"))? = to.clone();
        ensure!(found.next().is_none(), "{from} is there twice");
    }
    let child = Command::new(program)
        .args(&arguments)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| program.to_owned())?;
    Ok(Running(child))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_compose_starts_gets_healthy_and_comes_to_a_verdict_when_it_runs_here() -> Result<()> {
    let _turn = turn::beside_another().await;
    let compose = compose()?;
    let services = services(&compose)?;
    let folder = tempfile::tempdir()?;
    let answered = folder.path().join("answered").display().to_string();
    let (stable, canary, front) = (free_port()?, free_port()?, free_port()?);
    let [stable_healthy, canary_healthy] =
        [("stable", stable), ("canary", canary)].map(|(name, port)| {
            let there = format!("127.0.0.1/{port}");
            HealthCheck::of(&services[name], &[("127.0.0.1/8000", there)])
        });
    let (stable_healthy, canary_healthy) = (stable_healthy?, canary_healthy?);
    let sign = [("/tmp/answered", answered.clone())];
    let load_healthy = HealthCheck::of(&services["load"], &sign)?;
    for check in [&stable_healthy, &canary_healthy, &load_healthy] {
        ensure!(!check.holds()?, "healthy before it is there");
    }
    let listens = |port| [("0.0.0.0:8000", local(port).to_string())];
    let _stable = run(&services["stable"], &listens(stable))?;
    let after = [("60s", "12s".to_owned())];
    let _canary = run(&services["canary"], &[listens(canary), after].concat())?;
    wait_until("healthy shops", async || {
        Ok(stable_healthy.holds()? && canary_healthy.holds()?)
    })
    .await?;
    let text = bootstrap(
        COMPOSE,
        &[
            (&address("0.0.0.0", 8080), at(local(front))),
            (&address("stable", 8000), at(local(stable))),
            (&address("canary", 8000), at(local(canary))),
        ],
    )?;
    let envoy = Launch::new("manifests-compose-run", text).start().await?;
    let admin = envoy.admin_address();
    let there = format!("{}/{}", admin.ip(), admin.port());
    let envoy_healthy = HealthCheck::of(&services["envoy"], &[("127.0.0.1/9901", there)])?;
    wait_until("healthy Envoy", async || envoy_healthy.holds()).await?;
    let target = ("envoy:8080", local(front).to_string());
    let rate = ("100", "200".to_owned());
    let [sign] = sign;
    let _load = run(&services["load"], &[target, rate, sign])?;
    wait_until("answers to the load", async || load_healthy.holds()).await?;
    envoy
        .wait_for_metrics("verdict and its effect", |metrics| {
            metrics.value(telemetry::VERDICT.name, &[("version", "v2")]) == Some(3.0)
                && metrics.value(telemetry::STEERED.name, &[]) > Some(0.0)
        })
        .await?;
    Ok(())
}
