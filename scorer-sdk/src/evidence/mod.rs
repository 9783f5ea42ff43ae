//! Evidence: e-values, kept as natural logs.
//!
//! An **e-value** is a non-negative random number whose mean is at most 1 under the null hypothesis.
//! An **e-process** is a product of e-values, one per block. By Ville's inequality, it ever reaches
//! `1/α` with probability at most `α`, however long it runs and however often anyone looks. A verdict
//! may therefore be read at any tick, and needs evidence of `ln(1/α)`.
//!
//! | file | formula | source |
//! | --- | --- | --- |
//! | [`Law`] | `P(x \| c, s, t; OR) ∝ C(c,x)·C(s,t−x)·OR^x` | Fisher's noncentral hypergeometric law; A. Fog, "Sampling methods for Wallenius' and Fisher's noncentral hypergeometric distributions", 2008 |
//! | [`HarmTest`] | mean over `g` of `Π P(x; g·ρ)/P(x; ρ)`, null `OR ≤ ρ` | monotone likelihood ratio; Ville 1939 |
//! | [`ChangeTest`] | `Π (θ_a/p0)^c·(θ_b/p0)^s`, `p0 = (C·θ_a + S·θ_b)/(C+S)` | Turner, Ly, Grünwald, arXiv 2106.02693 |
//! | [`Onset`] | `M ← (M + w_n)·factor`, `Σ w_n = 1`, total `M + Σ` (weights not yet given out) | mixture over starting times |
//! | [`OddsRatioInterval`] | all `θ` with `L(θ) ≥ ln mean_g exp L(g) − ln(1/α)` | inversion of the same mixture |
//! | [`Contrast`] | `U = Σ (x − c·t/n)`, `V`, `W`; `|U| ≤ √((V+η)·(2·ln(1/α) + ln((V+η)/η)))` at all looks | Mantel and Haenszel 1959; Robbins' normal mixture; Waudby-Smith et al., arXiv 2103.06476 |
//! | [`QuantileShift`] | the factors at which the contrast of two quantiles is not ruled out | inversion of [`Contrast`] at shifted cuts |
//! | [`log_weighted_mean`], [`e_bh`] | `Σ w_i·e_i`; the largest `k` with `w_(k)·e_(k) ≥ 1/(α·k)` | Wang and Ramdas, "False discovery rate control with e-values", 2022 |
//!
//! Given the margins of a block (how many exchanges of each arm, how many of both in the
//! category), the base rate drops out of Fisher's law: a surge, a slow shared dependency or a
//! moving traffic weight changes the margins and not the evidence.

mod change;
mod combine;
mod contrast;
mod harm;
mod interval;
mod mixture;
mod noncentral;
mod onset;
mod shift;

pub use change::{ChangeTest, TokenBlock, TokenPast, change_shares};
pub use combine::{WeightedEvidence, e_bh, log_add_exp, log_weighted_mean, route_weight};
pub use contrast::{Contrast, Contrasted, Spread, block_weight};
pub use harm::{ALTERNATIVES, BLOCK_GAIN_LIMIT, BURSTY_BLOCK_GAIN_LIMIT, HarmTest};
pub use interval::{Interval, Likelihoods, OddsRatioInterval};
pub use noncentral::{Block, Law, reference_log_probability};
pub use onset::{Onset, Schedule, Starts};
pub use shift::{Factor, QuantileShift};
