//! Streams that outlast a change of the share end under another share than they began.

use super::common::{ANOMALOUS, HEALTHY, config, filter, verdict, wait_for_counted, watch};
use anyhow::Result;
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Route, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::Duration;

const RATE: f64 = 90.0;
/// No stream of the shop lasts so long.
const LONGEST_STREAM: Duration = Duration::from_secs(85);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_over_a_share_that_falls_are_healthy() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(281).await?;
    let mut topology = Topology::builder("streams", &shops)
        .weights(90, 10)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    // Each third request opens a stream, and hundreds of them are open at one time.
    let options = LoadOptions::new(topology.address(), RATE)
        .mix(Mix::default().with(Route::Events, 50))
        .clients(200)
        .max_in_flight(4_096)
        .timeout(Duration::from_secs(120));
    let load = Load::start(options.seed(282))?;
    wait_for_counted(&topology.front, "v2", 50.0).await?;
    let never = |metrics: &Metrics| verdict(metrics) == Some(ANOMALOUS);
    topology.set_weights(50, 50).await?;
    let half = wait_for_counted(&topology.front, "v2", 700.0);
    watch(&topology.front, half, never).await?;
    topology.set_weights(90, 10).await?;
    // It takes longer than the streams that began at 50%.
    let answers = (RATE * LONGEST_STREAM.as_secs_f64()) as u64;
    watch(&topology.front, load.wait_for_answers(answers), never).await?;
    let tally = load.snapshot();
    let streams = tally.version("v2").by_route[&Route::Events];
    let broken = tally.failed_by_route.get(&Route::Events).copied();
    let broken = broken.unwrap_or(0);
    assert!(
        streams > 100 && broken < 10,
        "{streams} of v2 have ended: {tally:?}"
    );
    let healthy = topology
        .front
        .wait_for_metrics("verdict healthy", |metrics| {
            verdict(metrics) == Some(HEALTHY)
        });
    healthy.await?;
    Ok(())
}
