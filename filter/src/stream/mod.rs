//! What a worker sees of each request and its response, and how it becomes an exchange.
//!
//! The [`observer`] reads headers, bodies and properties, follows each stream from its beginning to
//! its end, and counts it. [`crate::act`] decides what to do about a request.

pub mod body;
pub mod budget;
pub mod calls;
mod client;
mod decoding;
mod draw;
pub mod exchange;
pub mod fan_out;
pub mod glance;
mod ids;
pub mod in_flight;
pub mod life;
mod local_reply;
pub mod name_sets;
pub mod observer;
pub mod origin;
pub mod request;
pub mod response;
pub mod served;
pub mod surprise;
pub mod texts;
pub mod timing;
pub mod upstream;
