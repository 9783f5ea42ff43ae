//! The health check of Prometheus in `docker-compose.yaml`, against a real one.

use super::server::{self, Prometheus, STEP, Settings};
use crate::manifests::compose::{compose, services};
use crate::manifests::health::HealthCheck;
use anyhow::{Result, ensure};
use serin_integration::{turn, wait_until};

#[tokio::test]
async fn prometheus_is_healthy_for_compose_while_it_runs() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::beside_another().await;
    let settings = Settings {
        folder: "prometheus-health",
        step: STEP,
        alertmanager: None,
        cluster: None,
        sidecars: None,
    };
    let mut prometheus = Prometheus::start_with(&binary, &[], &[], &settings).await?;
    let compose = compose()?;
    let there = prometheus.address().to_string();
    let replaced = [("127.0.0.1:9090", there)];
    let check = HealthCheck::of(&services(&compose)?["prometheus"], &replaced)?;
    wait_until("healthy Prometheus", async || check.holds()).await?;
    prometheus.stop();
    ensure!(!check.holds()?, "healthy after it has ended");
    Ok(())
}
