//! What a worker sees of each request and its response, and how it becomes an exchange.
//!
//! Everything here reads: from headers, bodies and properties to the facts that the engine counts.
//! What to do about them is decided in [`crate::act`].

pub mod body;
pub mod fan_out;
pub mod in_flight;
pub mod name_sets;
pub mod origin;
pub mod request;
pub mod response;
pub mod surprise;
pub mod upstream;
