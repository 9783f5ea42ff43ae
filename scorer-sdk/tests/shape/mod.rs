//! The shapes of JSON bodies.

mod encoded;
mod evidence;
mod json;
mod limits;
mod presence;
