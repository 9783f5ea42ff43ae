//! Simulated rollouts: measure how often a judge, or your own signal, is wrong and how fast it is.
//!
//! A [`Scenario`] says what happens: a [`Service`] with its routes, two [`Deployment`]s with pods,
//! their faults and what they go through ([`PodLife`]), the candidate's share over time, the
//! [`SharedChange`] that hits both, the [`Clients`], and any [`LoneClient`] unlike all others.
//! [`Traffic`] turns it into exchanges, tick by tick, for any judge; a
//! [`Rollout`] hands them to an [`Engine`](crate::Engine) and gives its decisions. All randomness
//! comes from a seed and time is counted, not read: the same seed gives the same run.
//!
//! ```
//! use scorer_sdk::Verdict;
//! use scorer_sdk::simulation::{Harm, Rollout, Scenario, Share, plan};
//!
//! # fn main() -> Result<(), scorer_sdk::config::ConfigError> {
//! // A tenth of the requests goes to a candidate that turns bad after its first 500: the odds of
//! // a failure are ten times stable's.
//! let mut scenario = Scenario::default();
//! scenario.share = Share::Constant(0.1);
//! scenario.candidate.harm = Harm::errors(10.0).after_requests(500);
//!
//! let mut rollout = Rollout::new(plan("{}")?, scenario, 1);
//! let end = rollout.run(20_000);
//! assert_eq!(end.decision.verdict, Verdict::Anomalous);
//! println!("found after {} bad requests", end.since_onset);
//! # Ok(())
//! # }
//! ```
//!
//! For a signal of one's own make the plan with [`Plan::with_signals`](crate::Plan::with_signals)
//! and name the versions `v1` and `v2` in it, or leave the names out. For another judge, or to
//! record what passes:
//!
//! ```
//! use scorer_sdk::simulation::{Scenario, Traffic};
//!
//! let mut traffic = Traffic::new(Scenario::default(), 1);
//! let mut failures = 0;
//! for _ in 0..60 {
//!     traffic.advance();
//!     failures += traffic.exchanges().filter(|it| it.status >= Some(500)).count();
//! }
//! assert!(failures > 0);
//! ```
//!
//! [`law`] has the bounds and limits to hold results against, [`study`] whole tables of runs.

mod answer;
mod clients;
mod crowd;
mod deployment;
mod harm;
pub mod law;
mod lone_client;
mod pod_life;
mod pods;
mod random;
mod record;
mod rollout;
mod sampler;
mod scenario;
mod service;
mod share;
mod shared_change;
pub mod study;
mod traffic;

pub use clients::{Clients, HeavyRoute, Retries, Sessions, Users};
pub use deployment::{Deployment, PodFault};
pub use harm::{Harm, Onset, Tail};
pub use lone_client::{LoneClient, Reaches, When};
pub use pod_life::{ColdStart, Failures, Pauses, PodLife, Scaling};
pub use record::Record;
pub use rollout::{End, Rollout, plan};
pub use sampler::Sampler;
pub use scenario::{LateProxy, Load, Reported, Scenario};
pub use service::{Cache, Header, Lasting, Latency, Route, Service};
pub use share::Share;
pub use shared_change::{Bursts, Outage, SharedChange, Swing};
pub use traffic::Traffic;
