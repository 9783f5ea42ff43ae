//! What a proxy has learned of a destination and another one may go on with.
//!
//! A proxy that starts knows nothing: it takes the version with most traffic for the stable one, and
//! has no past to take cuts from. A memory gives it what the proxies before it knew:
//!
//! | it has | it does not have |
//! | --- | --- |
//! | which version is the baseline, which the candidate | evidence, or any count under comparison: it would be counted twice |
//! | which versions were condemned, with the rollout of the one that is | what hosts and sessions showed |
//! | what the baseline showed on each route, decayed | what the candidate showed |
//! | the factors of hour and weekday | the level of traffic: another proxy has another one |
//! | where the path trees have collapsed | the trees |
//!
//! [`Envelope`] says whose it is, and whether it is whole; serve-verdict reads that much of it and no
//! more. [`Memory`] is what is inside. The judge puts it together and takes it in
//! (`judge/recall.rs`).

mod content;
mod envelope;
mod question;
mod roles;
mod route;

pub use content::Memory;
pub use envelope::{Envelope, Unsealed};
pub use question::path;
pub use roles::{Candidate, Roles};
pub use route::RememberedRoute;

use core::time::Duration;

/// Longest memory that anybody reads, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// A memory is not written longer than this, in bytes, as long as its parts beside the routes allow
/// it: the least busy routes are left out.
pub const MAX_WRITTEN_BYTES: usize = 256 << 10;
/// A proxy judges nothing for so long while it waits for a memory.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// An older memory says nothing about which versions there are, nor how they behave.
pub const OLDEST: Duration = Duration::from_secs(86_400);
