//! The memories of proxies: the newest of each plugin, destination and config.
//!
//! What is inside is for proxies to understand. Here a memory has to be whole, of this version, and
//! about what it is asked for or stored under. Its number and its bytes are bounded; the ones that were
//! written longest ago go first.

use super::answer::Reply;
use super::memory_store::{Listed, Store};
use anyhow::Result;
use scorer_sdk::memory::{Envelope, MAX_BYTES};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;

/// What the names of memories begin and end with; other objects of a place are left alone.
const PREFIX: &str = "memory-";
const SUFFIX: &str = ".serin";
/// How far a proxy's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(300);

/// Where memories are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOptions {
    /// A folder, or the URL of a bucket.
    pub place: String,
    /// Most memories.
    pub most: usize,
    /// Most bytes of all of them together.
    pub most_bytes: u64,
}

/// What a memory is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryKey {
    /// The plugin's name.
    pub plugin: String,
    /// The service.
    pub destination: String,
    /// A number made of the config.
    pub config: u64,
}

impl MemoryKey {
    /// The name of its object. Two that differ have the same one only if somebody looks for such a pair,
    /// and then neither reads the other's.
    fn name(&self) -> String {
        let hash = |seed: u64| {
            let parts = [
                self.plugin.as_bytes(),
                self.destination.as_bytes(),
                &self.config.to_le_bytes(),
            ];
            let bytes = parts
                .into_iter()
                .flat_map(|part| part.iter().chain(&[0xff]));
            // FNV-1a of 64 bits, twice.
            bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let (one, other) = (hash(0), hash(0x9e37_79b9_7f4a_7c15));
        format!("{PREFIX}{one:016x}{other:016x}{SUFFIX}")
    }

    fn is_of(&self, envelope: &Envelope) -> bool {
        self.plugin == envelope.plugin
            && self.destination == envelope.destination
            && self.config == envelope.layout
    }
}

/// The memories that are kept.
#[derive(Debug)]
pub struct Memories {
    store: Store,
    options: MemoryOptions,
    /// By name, when each was written and its length.
    kept: Mutex<BTreeMap<String, (u64, u64)>>,
}

impl Memories {
    /// Opens the place and looks what is there. Blocks.
    ///
    /// # Errors
    /// When the place cannot be opened.
    pub fn open(options: MemoryOptions, handle: Handle) -> Result<Self> {
        let store = Store::open(&options.place, handle)?;
        let kept = store
            .list()?
            .into_iter()
            .filter(|listed| listed.name.starts_with(PREFIX) && listed.name.ends_with(SUFFIX))
            .map(
                |Listed {
                     name,
                     bytes,
                     modified_ms,
                 }| (name, (modified_ms, bytes)),
            )
            .collect();
        let memories = Self {
            store,
            options,
            kept: Mutex::new(kept),
        };
        memories.make_room(None)?;
        Ok(memories)
    }

    /// The memory of this key. Blocks.
    ///
    /// # Errors
    /// The answer that says why there is none.
    pub fn get(&self, key: &MemoryKey) -> Result<Vec<u8>, Reply> {
        let found = self.store.get(&key.name(), MAX_BYTES);
        let bytes = found
            .map_err(|error| Reply::error(500, &format!("{error:#}")))?
            .ok_or_else(|| Reply::error(404, "there is no such memory"))?;
        match Envelope::open(&bytes) {
            Ok((envelope, _)) if key.is_of(&envelope) => Ok(bytes),
            Ok(_) => Err(Reply::error(500, "what is kept is another one's memory")),
            Err(error) => Err(Reply::error(500, &error.to_string())),
        }
    }

    /// Keeps a memory, unless a newer one of the key is kept. Blocks.
    ///
    /// # Errors
    /// The answer that says why it is not kept.
    pub fn put(&self, key: &MemoryKey, bytes: Vec<u8>) -> Result<(), Reply> {
        let (envelope, _) =
            Envelope::open(&bytes).map_err(|error| Reply::error(400, &error.to_string()))?;
        if !key.is_of(&envelope) {
            let reason = "the memory is about another plugin, destination or config";
            return Err(Reply::error(400, reason));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        if envelope.written > now.unwrap_or_default() + AHEAD {
            let reason = "the memory is of a time to come: set the clocks";
            return Err(Reply::error(400, reason));
        }
        let failed = |error: anyhow::Error| Reply::error(500, &format!("{error:#}"));
        let name = key.name();
        // What is damaged or another version's is replaced.
        let known = self.store.get(&name, MAX_BYTES).ok().flatten();
        let known = known.as_deref().and_then(|known| {
            let (envelope, _) = Envelope::open(known).ok()?;
            key.is_of(&envelope).then_some(envelope.written)
        });
        if known.is_some_and(|known| known > envelope.written) {
            return Err(Reply::error(409, "a newer memory is kept"));
        }
        let length = bytes.len() as u64;
        self.make_room(Some((&name, length))).map_err(failed)?;
        self.store.put(&name, bytes).map_err(failed)?;
        let written = u64::try_from(envelope.written.as_millis()).unwrap_or(u64::MAX);
        self.kept().insert(name, (written, length));
        Ok(())
    }

    /// Removes the oldest ones until there is room for one more, which has so many bytes.
    fn make_room(&self, next: Option<(&str, u64)>) -> Result<()> {
        loop {
            let oldest = {
                let kept = self.kept();
                let others = || {
                    kept.iter()
                        .filter(|(name, _)| next.is_none_or(|(next, _)| next != *name))
                };
                let bytes: u64 = others().map(|(_, (_, bytes))| bytes).sum();
                let (more, more_bytes) = next.map_or((0, 0), |(_, bytes)| (1, bytes));
                let fits = others().count() + more <= self.options.most
                    && bytes.saturating_add(more_bytes) <= self.options.most_bytes;
                if fits {
                    return Ok(());
                }
                let oldest = others().min_by_key(|(_, (written, _))| *written);
                oldest.map(|(name, _)| name.clone())
            };
            let Some(oldest) = oldest else {
                return Ok(());
            };
            self.store.remove(&oldest)?;
            self.kept().remove(&oldest);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (u64, u64)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(destination: &str) -> MemoryKey {
        MemoryKey {
            plugin: "istio-system.serin".to_owned(),
            destination: destination.to_owned(),
            config: 7,
        }
    }

    fn memory(destination: &str, written: u64, size: usize) -> Vec<u8> {
        let key = key(destination);
        let envelope = Envelope {
            plugin: key.plugin,
            destination: key.destination,
            layout: key.config,
            written: Duration::from_secs(written),
        };
        envelope.seal(|writer| writer.bytes(&vec![1; size]))
    }

    fn open(folder: &tempfile::TempDir, most: usize, most_bytes: u64, handle: &Handle) -> Memories {
        let options = MemoryOptions {
            place: folder.path().join("a/b").display().to_string(),
            most,
            most_bytes,
        };
        Memories::open(options, handle.clone()).unwrap()
    }

    /// A runtime, whose handle blocks outside of it.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn the_newest_is_kept_and_is_there_after_a_restart() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let memories = open(&folder, 10, 1 << 20, runtime.handle());
        assert_eq!(memories.get(&key("shop")).unwrap_err().status, 404);
        memories.put(&key("shop"), memory("shop", 20, 10)).unwrap();
        let older = memories.put(&key("shop"), memory("shop", 19, 20));
        assert_eq!(older.unwrap_err().status, 409);
        memories.put(&key("shop"), memory("shop", 20, 30)).unwrap();
        let again = open(&folder, 10, 1 << 20, runtime.handle());
        assert_eq!(again.get(&key("shop")).unwrap(), memory("shop", 20, 30));
        assert_eq!(again.get(&key("cart")).unwrap_err().status, 404);
        let older = again.put(&key("shop"), memory("shop", 19, 20));
        assert_eq!(older.unwrap_err().status, 409);
    }

    #[test]
    fn the_ones_written_longest_ago_make_room() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let memories = open(&folder, 3, 1 << 20, runtime.handle());
        for (number, name) in (1..).zip(["a", "b", "c", "d", "a", "e"]) {
            memories.put(&key(name), memory(name, number, 10)).unwrap();
        }
        let known = |memories: &Memories, name: &str| memories.get(&key(name)).is_ok();
        let kept = ["a", "b", "c", "d", "e"].map(|name| known(&memories, name));
        assert_eq!(kept, [true, false, false, true, true]);
        // Others' files are neither counted nor touched.
        let file = folder.path().join("a/b/README");
        std::fs::write(&file, "mine").unwrap();
        let smaller = open(&folder, 3, 400, runtime.handle());
        let large = memory("f", 9, 300);
        smaller.put(&key("f"), large).unwrap();
        assert!(known(&smaller, "f") && !known(&smaller, "a") && file.exists());
    }

    #[test]
    fn what_is_no_memory_or_another_ones_is_refused_with_its_reason() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let memories = open(&folder, 10, 1 << 20, runtime.handle());
        let mut damaged = memory("shop", 1, 10);
        damaged[30] ^= 1;
        let mut newer = memory("shop", 1, 10);
        newer[8] = 9;
        for (bytes, words) in [
            (b"PNG".to_vec(), "no memory"),
            (damaged, "damaged"),
            (newer, "version 9"),
            (memory("cart", 1, 10), "another plugin, destination"),
            (memory("shop", 1 << 40, 10), "a time to come"),
            (memory("shop", 1, MAX_BYTES), "more than"),
        ] {
            let refused = memories.put(&key("shop"), bytes).unwrap_err();
            assert_eq!(refused.status, 400);
            let reason = refused.body["error"].as_str().unwrap().to_owned();
            assert!(reason.contains(words), "{reason}");
        }
        // One that is damaged where it is kept is not handed out, and is replaced by the next one.
        memories.put(&key("shop"), memory("shop", 1, 10)).unwrap();
        let file = folder.path().join("a/b").join(key("shop").name());
        std::fs::write(&file, "rot").unwrap();
        assert_eq!(memories.get(&key("shop")).unwrap_err().status, 500);
        std::fs::write(&file, vec![0; MAX_BYTES + 1]).unwrap();
        assert_eq!(memories.get(&key("shop")).unwrap_err().status, 500);
        memories.put(&key("shop"), memory("shop", 1, 10)).unwrap();
        assert!(memories.get(&key("shop")).is_ok());
    }

    #[test]
    fn a_bucket_wants_a_command_that_knows_clouds() {
        let runtime = runtime();
        for place in ["s3://bucket/serin", "ftp://somewhere"] {
            let opened = Store::open(place, runtime.handle().clone());
            let is_known = cfg!(feature = "cloud") && place.starts_with("s3");
            assert_eq!(opened.is_ok(), is_known, "{opened:?}");
        }
    }
}
