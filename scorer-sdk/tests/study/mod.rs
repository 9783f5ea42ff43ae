//! Speed and error rates of the whole engine over many simulated rollouts.

mod correlated;
mod false_alarms;
mod looks;
mod low_traffic;
mod onset;
mod power;
mod real_traffic;
mod switch;
