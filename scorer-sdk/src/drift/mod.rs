//! Drift: each arm against its own past, and the cause of a change.
//!
//! A comparison of two versions cannot show what changed for both. So Serin also compares each arm
//! with its own past, without the effects of the hour and the weekday.
//!
//! | file | formula | source |
//! | --- | --- | --- |
//! | [`EDetector`] | `R_k ← (R_k + 1)·e_k`, drift where `mean_k R_k ≥ A` | Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", arXiv 2203.03532 |
//! | [`LevelDrift`] | `e = κ·p^(κ−1)` on the rank `p` of an innovation among past ones | calibrators: Vovk and Wang, "E-values: calibration, combination and applications", 2021; ranks: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005 |
//! | [`RateDrift`] | binomial likelihood ratio of the odds `g·ρ·o` against `ρ·o`, tempered by the dispersion | quasi-likelihood: Wedderburn 1974 |
//! | [`Season`] | median deviation of the hour and of the weekday, shrunk by its reliability | James and Stein 1961 |
//! | [`attribute`] | `D(P‖Q) = D(route mix) + Σ π_r·D(within route r)`, each less its mean under no change | chain rule of relative entropy; bias: Miller 1955 |
//! | [`Cause`] | which arms drift, whether the candidate was found anomalous | design |
//! | [`Watch`] | these series for one destination, in windows | design |
//! | [`AgainstPast`] | a version that is alone, against the other's past, at a margin that weather earns | moments: DerSimonian and Laird 1986 |
//! | [`SharedChange`] | the report on them | design |
//!
//! # What is promised
//! The **average run length**: while a series only does what it has always done, the mean number
//! of ticks until drift is reported is at least the `average_run_length` of [`Settings`]. That is
//! weaker than the promise of a verdict: over a long time drift will be reported of a series that
//! has none. So drift informs and never acts. For one run length over `n` series together, give
//! each of them `n` times as much.
//!
//! It holds for a level whose innovations are exchangeable, and for a rate whose counts scatter as
//! they did. Real series change in more ways: asked for 10,000 rows on the 58 of NAB, a report
//! outside the labelled windows came every 800 (`serin-eval nab`).
//!
//! Everything here is bounded: a [`LevelDrift`] holds at most 20 KiB, a [`RateDrift`] 4 KiB.

mod against_past;
mod alarm;
mod arm;
mod attribution;
mod cause;
mod detector;
mod level;
mod measure;
mod odds;
mod rate;
mod report;
mod routes;
mod season;
mod seasons;
mod shared_change;
mod watch;

pub use against_past::{AgainstPast, Seen, odds_ratio};
pub use attribution::{Attribution, Part, RouteTokens, Term, TokenCounts, attribute};
pub use cause::{Cause, Known};
pub use detector::{EDetector, Leader};
pub use level::LevelDrift;
pub use measure::{Measure, Whose};
pub use rate::RateDrift;
pub use report::{Direction, Drift, Settings};
pub use season::{Scale, Season};
pub use seasons::Seasons;
pub use shared_change::{Series, SharedChange};
pub use watch::{Tick, Watch};
