//! The laws and the error rates of the sequential tests.

mod change;
mod combine;
mod harm;
mod interval;
mod law;
mod shift;
