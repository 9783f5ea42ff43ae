//! Evaluation: Serin beside the canary judges that people use today, on the same traffic.
//!
//! [`minute`] is what a judge of metrics sees, [`peers`] are those judges, [`serin`] runs the
//! engine on the single requests, [`score`] counts who was right. [`changerca`] brings recordings
//! that others made. Time and seeds are arguments: the same command gives the same table.

pub mod api_traffic;
pub mod args;
mod bounded;
pub mod changerca;
pub mod commands;
pub mod judges;
pub mod looks;
pub mod minute;
pub mod nab;
pub mod peers;
pub mod progress;
pub mod rates;
pub mod real_traffic;
pub mod rows;
pub mod score;
pub mod serin;
pub mod strange;
pub mod traceanomaly;
