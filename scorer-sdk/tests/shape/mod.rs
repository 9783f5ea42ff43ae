//! The shapes of JSON bodies.

mod evidence;
mod json;
mod limits;
mod presence;
