//! How the workers of one proxy come to one verdict, through the shared data of the proxy.
//!
//! Each worker ([`peers`]) writes its counts into the [`mailbox`]. The worker that holds the [`lease`]
//! is the [`leader`]: it merges all counts into the judge's state and writes the [`publication`], which
//! every worker reads. With `fleet` in the config the leader asks serve-verdict for the verdict of all
//! proxies ([`inquiry`]) and for what earlier ones have learned ([`memories`]).

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
