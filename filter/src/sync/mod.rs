//! How the workers of one proxy come to one verdict, through the shared data of the proxy.
//!
//! Each worker ([`peers`]) puts what it counted into the [`mailbox`]. One of them holds the
//! [`lease`]: as the [`leader`] it merges all of that into the judge's state and writes the
//! [`publication`], which every worker reads. With `fleet` in the config the leader asks serve-verdict
//! what all proxies together think ([`inquiry`]) and what those before it have learned ([`memories`]).

pub mod inquiry;
pub mod known_answers;
pub mod leader;
pub mod lease;
pub mod mailbox;
pub mod memories;
pub mod peers;
pub mod publication;
pub mod secret;
mod slot;
pub mod templates;
pub mod worker_id;
