//! What the tests feed to the command.

pub(crate) mod host;
pub(crate) mod proxy;
pub(crate) mod rollout;
pub(crate) mod tls;
