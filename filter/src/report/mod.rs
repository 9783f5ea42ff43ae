//! What operators are told.

pub mod metrics;
