//! The whole engine on simulated traffic.

mod behaviour;
mod body_shape;
mod placebo;
mod rollout;
mod switch;
