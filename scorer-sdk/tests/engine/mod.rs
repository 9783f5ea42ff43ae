//! The whole engine on simulated traffic.

mod after_verdict;
mod behaviour;
mod body_shape;
mod differs;
mod placebo;
mod practical_size;
mod rollout;
mod switch;
