//! The whole engine on simulated traffic.

mod behaviour;
mod body_shape;
mod differs;
mod placebo;
mod practical_size;
mod reasons;
mod rollout;
mod switch;
