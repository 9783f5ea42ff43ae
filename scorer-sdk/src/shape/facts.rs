//! What is left of a body: paths and types, no values.

use super::paths::{Node, Paths, Step};
use super::scan;
use super::{Kinds, LeftOut};
use core::fmt::Write;

/// Top-level keys in the name of a whole shape.
const NAMED_KEYS: usize = 8;

/// How far a body could be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// To its end.
    Whole,
    /// It has no content.
    Empty,
    /// Up to a limit, of bytes or of nesting. What was seen is right, but more may have followed.
    Truncated,
    /// Not JSON, or JSON that ends in the middle. What was seen until then is not to be judged.
    Malformed,
    /// Compressed, and broken or without its end. What was seen until then is not to be judged.
    Damaged,
}

/// The shape of one body.
#[derive(Debug)]
pub struct ShapeFacts {
    pub(super) paths: Paths,
    seen: Seen,
    bytes: u64,
    documents: u32,
    hash: u64,
}

/// One distinct path of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathFact {
    /// Index of the path in its body's list, for [`ShapeFacts::write_path`]. A path comes after
    /// its parent.
    pub index: u16,
    /// Index of the object or array around it; the root is its own.
    pub parent: u16,
    /// Stands for the path, without types: the same in every worker, on every platform.
    pub hash: u64,
    /// Types of the values that were found there.
    pub kinds: Kinds,
    /// Whether every object at the parent's path had this key. Always true of what is no key of its
    /// own: elements, and the keys of maps.
    pub everywhere: bool,
}

impl ShapeFacts {
    pub(super) fn new(paths: Paths, seen: Seen, bytes: u64, documents: u32) -> Self {
        let pair = |node: &Node, kind| scan::mix(node.hash.wrapping_add(kind as u64 + 1));
        // A sum does not depend on the order.
        let hash = paths
            .nodes()
            .iter()
            .flat_map(|node| node.kinds.iter().map(move |kind| pair(node, kind)))
            .fold(0, u64::wrapping_add);
        Self {
            paths,
            seen,
            bytes,
            documents,
            hash,
        }
    }

    /// How far the body could be looked at.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Whether the paths may be judged: not if the body is malformed or damaged.
    #[must_use]
    pub fn may_be_judged(&self) -> bool {
        !matches!(self.seen, Seen::Malformed | Seen::Damaged)
    }

    /// Why the shape is not known as a whole; `None` where it is.
    #[must_use]
    pub fn left_out(&self) -> Option<LeftOut> {
        match self.seen {
            Seen::Malformed => Some(LeftOut::Malformed),
            Seen::Damaged => Some(LeftOut::Damaged),
            Seen::Truncated => Some(LeftOut::TooLarge),
            Seen::Whole | Seen::Empty if self.is_full() => Some(LeftOut::TooLarge),
            Seen::Whole | Seen::Empty => None,
        }
    }

    /// Whether there were more paths than are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.paths.is_full()
    }

    /// Bytes that were looked at.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Documents that were found: more than one only where there is one a line.
    #[must_use]
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// Stands for the set of distinct (path, type) pairs, whatever their order and number; the same
    /// in every worker, on every platform. 0 for the empty set.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The distinct paths, each after its parent.
    pub fn paths(&self) -> impl Iterator<Item = PathFact> + '_ {
        // Where the body was cut, one object may be without its last keys.
        let cut = u32::from(self.seen == Seen::Truncated);
        (0..)
            .zip(self.paths.nodes())
            .filter(|(_, node)| !node.kinds.is_empty())
            .map(move |(index, node)| PathFact {
                index,
                parent: node.parent,
                hash: node.hash,
                kinds: node.kinds,
                everywhere: node.step != Step::Key
                    || self
                        .paths
                        .nodes()
                        .get(usize::from(node.parent))
                        .is_none_or(|parent| node.times.saturating_add(cut) >= parent.objects),
            })
    }

    /// Step and key of a path.
    pub(super) fn step(&self, index: u16) -> Option<(Step, &[u8])> {
        let node = self.paths.nodes().get(usize::from(index))?;
        Some((node.step, self.paths.key_of(node)))
    }

    /// Appends a path as text: `$.items[].price`, `$.users{*}.name`, `$["a b"]`.
    pub fn write_path(&self, index: u16, text: &mut String) {
        let Some(node) = self.paths.nodes().get(usize::from(index)) else {
            return;
        };
        if node.step != Step::Root {
            self.write_path(node.parent, text);
        }
        write_step(node.step, self.paths.key_of(node), text);
    }

    /// Appends a short name of the whole shape that no other shape has: its first keys, how many
    /// paths there are, and the hash.
    pub fn describe(&self, text: &mut String) {
        let nodes = self.paths.nodes();
        let root = nodes.first();
        // Keys of the root, or of the elements of the root.
        let is_top = |node: &Node| {
            let around = nodes.get(usize::from(node.parent));
            let in_elements =
                around.is_some_and(|around| around.step == Step::Element && around.parent == 0);
            matches!(node.step, Step::Key | Step::AnyKey) && (node.parent == 0 || in_elements)
        };
        let mut keys: Vec<String> = (0..)
            .zip(nodes)
            .filter(|(_, node)| !node.kinds.is_empty() && is_top(node))
            .map(|(index, _)| {
                let mut path = String::new();
                self.write_path(index, &mut path);
                path.split_off(1)
            })
            .collect();
        crate::order::sort(&mut keys);
        let more = keys.len() > NAMED_KEYS;
        keys.truncate(NAMED_KEYS);
        let kinds: Vec<&str> = root
            .into_iter()
            .flat_map(|root| root.kinds.iter())
            .map(super::Kind::name)
            .collect();
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "{} {}{} ({} paths, {:016x})",
            kinds.join("|"),
            keys.join(" "),
            if more { " …" } else { "" },
            self.paths().count(),
            self.hash,
        );
    }
}

/// Appends one step. A key that is not plain is quoted as in JSON, commas in it are escaped, so that
/// paths can stand in a list that commas part.
pub(super) fn write_step(step: Step, key: &[u8], text: &mut String) {
    match step {
        Step::Root => text.push('$'),
        Step::Element => text.push_str("[]"),
        Step::AnyKey => text.push_str("{*}"),
        Step::Key => {
            let key = String::from_utf8_lossy(key);
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@' | ':');
            if !key.is_empty() && key.chars().all(plain) {
                text.push('.');
                text.push_str(&key);
                return;
            }
            text.push_str("[\"");
            for c in key.chars() {
                match c {
                    '"' | '\\' => text.extend(['\\', c]),
                    ',' => text.push_str("\\u002c"),
                    c if c.is_control() => {
                        let _ = write!(text, "\\u{:04x}", c as u32);
                    }
                    c => text.push(c),
                }
            }
            text.push_str("\"]");
        }
    }
}
