//! Bounds of what is looked at and kept, and the keys that are data.

use crate::route::classify;

/// Most paths that [`Limits::max_paths`] may allow.
pub const MAX_PATHS: usize = 1024;

/// Bounds of the observation of one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body that are looked at; what comes after them is not, and the facts say so.
    pub max_bytes: u64,
    /// Distinct paths of one body, at most [`MAX_PATHS`]; further ones are left out, and the facts
    /// say so.
    pub max_paths: usize,
    /// Objects and arrays inside of each other whose content is told apart.
    pub max_depth: usize,
    /// Longest key in bytes; a longer one counts as data.
    pub max_key_bytes: usize,
    /// Distinct keys of an object above which it counts as a map: its keys are data.
    pub max_keys: u16,
    /// Distinct keys whose values are objects or arrays above which an object counts as a map.
    pub max_nested_keys: u16,
    /// Keys that are data.
    pub masks: Masks,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024,
            max_paths: 512,
            max_depth: 16,
            max_key_bytes: 64,
            max_keys: 128,
            max_nested_keys: 24,
            masks: Masks::default(),
        }
    }
}

/// Keys that are data, by the owner's word: they stand as `{*}` in paths.
///
/// Integers, uuids, long hexadecimal numbers, dates and e-mail addresses need not be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks {
    keys: Vec<String>,
    prefixes: Vec<String>,
    parents: Vec<String>,
}

impl Masks {
    /// Masks from a config list: `alice` is a key, `user-*` all keys that begin so, and `users{*}`
    /// all keys of objects found under the key `users`, directly or in an array.
    pub fn new<Text: AsRef<str>>(list: impl IntoIterator<Item = Text>) -> Self {
        let mut masks = Self::default();
        for entry in list {
            let entry = entry.as_ref();
            if let Some(parent) = entry.strip_suffix("{*}") {
                masks.parents.push(parent.to_owned());
            } else if let Some(prefix) = entry.strip_suffix('*') {
                masks.prefixes.push(prefix.to_owned());
            } else {
                masks.keys.push(entry.to_owned());
            }
        }
        masks
    }

    /// Whether `key`, of an object under the key `parent`, is data.
    pub(super) fn is_data(&self, key: &[u8], parent: &[u8]) -> bool {
        let in_list = |list: &[String]| list.iter().any(|known| known.as_bytes() == key);
        in_list(&self.keys)
            || self
                .prefixes
                .iter()
                .any(|prefix| key.starts_with(prefix.as_bytes()))
            || self.parents.iter().any(|known| known.as_bytes() == parent)
            || core::str::from_utf8(key).is_ok_and(|key| classify(key).is_typed())
    }
}
