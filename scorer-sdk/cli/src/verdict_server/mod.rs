//! What delivery tools are told: promote, wait or abort, from what Prometheus has of all proxies.
//!
//! [`prometheus`] asks one question of its API, [`judgement`] makes one decision of the answer,
//! [`flagger`] and [`answer`] say it in the words of those who ask, [`http`] serves it with bounds
//! on everything that comes from outside. All that is kept between two requests is which release
//! each asker rolls out, and when it was asked about ([`release`]).
//!
//! Proxies ask for the fleet's verdict ([`fleet`], [`fleet_question`]). Many ask often, so what Prometheus said a moment
//! ago is kept ([`fleet_cache`]), and what a proxy knows is not sent again ([`fleet_answer`]); a
//! token may be asked for ([`bearer`]). Who sends no request keeps nobody out ([`crowd`]).
//!
//! Proxies also hand over what they have learned, for those that come after them ([`memory`],
//! [`memory_http`]); [`memory_store`] puts it into a folder or a bucket.

pub mod answer;
pub mod bearer;
pub mod crowd;
pub mod flagger;
pub mod fleet;
pub mod fleet_answer;
pub mod fleet_cache;
pub mod fleet_question;
pub mod http;
pub mod judgement;
pub mod memory;
pub mod memory_http;
pub mod memory_store;
pub mod prometheus;
pub mod release;

use crate::fetch::Access;
use std::time::Duration;

/// How verdicts are found.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of Prometheus' API, such as `http://prometheus:9090`.
    pub prometheus: String,
    /// How it is asked: a tenant's header, a token, a certificate to trust.
    pub access: Access,
    /// Longest time for a question.
    pub timeout: Duration,
    /// Time in which a candidate must have had traffic to be promoted.
    pub window: Duration,
    /// File with the token without which the fleet's verdict is not told.
    pub fleet_token_file: Option<String>,
}
