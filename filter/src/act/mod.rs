//! What a worker does about a verdict.

pub mod guard;
