//! Versions against their own past.

mod cause;
mod level;
mod rate;
mod shared_change;
