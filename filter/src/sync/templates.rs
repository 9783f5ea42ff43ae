//! Where the path trees of a proxy's workers have collapsed: each worker adds its own, and collapses
//! where another has, so that all name the same paths the same way.

use crate::host::Host;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::route::Collapses;
use scorer_sdk::wire::codec::{Reader, Writer};

/// Tries to add to what the others have.
const TRIES: u32 = 3;

/// One worker's part in it.
#[derive(Debug, Default)]
pub struct Templates {
    /// The bytes that it has followed.
    followed: Vec<u8>,
    /// Collapses of its tree that the others know.
    told: u64,
}

impl Templates {
    /// Follows what the others have told under `key`, and tells what is new here.
    pub fn tick(&mut self, host: &impl Host, key: &str, tally: &mut Tally) {
        let bytes = host.shared(key).bytes;
        if bytes != self.followed {
            tally.follow_collapses(&read(&bytes));
            self.followed = bytes;
        }
        let collapses = tally.path_collapses();
        if collapses != self.told && add(host, key, &tally.where_collapsed()) {
            self.told = collapses;
        }
    }
}

/// What all workers have told under `key`.
#[must_use]
pub fn shared(host: &impl Host, key: &str) -> Collapses {
    read(&host.shared(key).bytes)
}

/// Adds to what all workers have told under `key`; whether it is there now.
pub fn add(host: &impl Host, key: &str, more: &Collapses) -> bool {
    (0..TRIES).any(|_| {
        let shared = host.shared(key);
        let mut known = read(&shared.bytes);
        if !known.merge(more) {
            return true;
        }
        let mut writer = Writer::new();
        known.encode(&mut writer);
        host.swap_shared(key, &writer.into_bytes(), shared.swap)
    })
}

/// What cannot be read is told anew by whoever collapses next.
fn read(bytes: &[u8]) -> Collapses {
    Collapses::decode(&mut Reader::new(bytes)).unwrap_or_default()
}
