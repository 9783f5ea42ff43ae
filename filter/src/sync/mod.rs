//! How the workers of one proxy come to one verdict, through the shared data of the proxy.
//!
//! Each worker puts what it counted into the [`mailbox`]. One of them, the [`leader`], merges all of
//! it into the judge's state and writes the [`publication`], which every worker reads.

pub mod leader;
pub mod mailbox;
pub mod publication;
pub mod secret;
pub mod worker_id;
