//! Real Envoys, a small shop behind them, and load: what the live tests and the demo stand on.
//!
//! | module | question it answers |
//! | --- | --- |
//! | [`shop`] | what does a plausible application answer, and how does a bad version differ? |
//! | [`load`] | what do clients send, and what did they get back? |
//! | [`envoy`] | how does a real Envoy start, change its config, tell its numbers, stop? |
//! | [`topology`] | which Envoy config puts the filter between clients and two versions? |
//! | [`mesh`] | which ones put a sidecar beside each version, and services behind them? |
//! | [`istio`] | what does a real control plane give to real Envoys? |
//! | [`kubernetes`] | what do real controllers of rollouts do with a real API server? |
//! | [`metrics`] | what does a Prometheus page say? |
//! | [`spans`] | what does a proxy's tracer say of each request? |
//! | [`process`] | how much memory does a process take? |
//! | [`turn`] | which tests may run beside each other? |
//!
//! Everything stays on 127.0.0.1. A live test takes its [`turn`] first, because two Envoys
//! under load disturb each other on a small machine:
//!
//! ```no_run
//! use scorer_sdk::telemetry::EXCHANGES;
//! use serin_integration::{load::{Load, LoadOptions}, shop::{Regression, Shops}, turn};
//! use serin_integration::topology::{Topology, WasmFilter};
//! use std::time::Duration;
//!
//! # async fn example() -> anyhow::Result<()> {
//! let _turn = turn::beside_another().await;
//! let shops = Shops::start(7).await?;
//! let mut topology = Topology::builder("example", &shops)
//!     .weights(90, 10)
//!     .filter(WasmFilter::new("target/serin.wasm", &serde_json::json!({"mode": "observe"})))
//!     .start()
//!     .await?;
//! let load = Load::start(LoadOptions::new(topology.address(), 300.0))?;
//! shops.v2.set_regression(Regression::Errors);
//! topology.set_weights(50, 50).await?;
//! tokio::time::sleep(Duration::from_secs(5)).await;
//! let tally = load.stop().await;
//! println!("{} of {} lost", tally.lost(), tally.sent);
//! println!("{:?}", topology.front.metrics().await?.value(EXCHANGES.name, &[("version", "v2")]));
//! # Ok(())
//! # }
//! ```

pub mod envoy;
pub mod http;
pub mod istio;
pub mod kubernetes;
pub mod load;
pub mod mesh;
pub mod metrics;
pub mod process;
pub mod shop;
pub mod spans;
pub mod topology;
pub mod turn;

mod child;
mod wait;

pub use wait::{LONGEST, wait_until};
