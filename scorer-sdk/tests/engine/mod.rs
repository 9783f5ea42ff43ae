//! The whole engine on simulated traffic.

mod after_verdict;
mod behaviour;
mod body_shape;
mod differs;
mod ids_in_paths;
mod placebo;
mod practical_size;
mod reasons;
mod rollout;
mod shared_data;
mod switch;
