//! Speed and error rates of the whole engine over many simulated rollouts.

mod correlated;
mod false_alarms;
mod looks;
mod low_traffic;
mod no_content;
mod power;
mod real_traffic;
mod switch;
