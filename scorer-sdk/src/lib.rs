//! Serin's engine: facts and now in, decisions out.

pub mod codec;
pub mod evidence;
pub mod route;
