//! Speed and error rates of the whole engine over many simulated rollouts.

mod correlated;
mod false_alarms;
mod ids_in_paths;
mod looks;
mod low_traffic;
mod no_content;
mod onset;
mod power;
mod real_traffic;
mod switch;
