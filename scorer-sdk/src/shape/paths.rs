//! The distinct paths of one body, as a tree, with the types seen at each.
//!
//! A list of a thousand products comes by the same twenty paths a thousand times. So each path
//! remembers which key followed it last, and a key is first compared with that one; only where it
//! differs is it hashed and looked up, and only where it is new is anything allocated.

use super::limits::{Limits, MAX_PATHS};
use super::scan;
use super::tokens::Visitor;
use super::{Kind, Kinds};
use std::sync::Arc;

/// No path.
const NONE: u16 = u16::MAX;
/// In an object before its first key.
const BEFORE: u16 = u16::MAX - 1;

/// The last step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// `$`.
    Root,
    /// `.name`.
    Key,
    /// `[]`: any element.
    Element,
    /// `{*}`: any key that is data.
    AnyKey,
}

impl Step {
    /// The hash of a path that ends in this step.
    pub(super) fn hash(self, parent: u64, key: &[u8]) -> u64 {
        match self {
            Self::Root => 0x5e11_7a9e,
            Self::Key => scan::path_hash(parent, key),
            Self::Element => scan::mix(!parent),
            Self::AnyKey => scan::mix(parent.rotate_left(17).wrapping_add(1)),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) hash: u64,
    pub(super) parent: u16,
    pub(super) step: Step,
    pub(super) kinds: Kinds,
    /// How often the path came, and how often as an object.
    pub(super) times: u32,
    pub(super) objects: u32,
    text_start: u32,
    text_length: u16,
    /// Whether the key's bytes can stand in a body as they are.
    plain: bool,
    /// Whether all keys of this object are data.
    map: bool,
    keys: u16,
    nested_keys: u16,
    /// Which child came first, and which sibling followed, the last time.
    first: u16,
    next: u16,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The object or array.
    around: u16,
    /// Where its next value belongs, or [`BEFORE`], or [`NONE`] if that is not kept.
    at: u16,
}

/// The paths of one body.
#[derive(Debug)]
pub(super) struct Paths {
    limits: Arc<Limits>,
    nodes: Vec<Node>,
    text: Vec<u8>,
    /// Open addressing: nodes by their hash. Its length is a power of two, at least twice the
    /// number of nodes.
    slots: Vec<u16>,
    top: Frame,
    below: Vec<Frame>,
    /// Open objects and arrays whose content is not kept.
    skipped: u32,
    full: bool,
}

impl Paths {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        let mut paths = Self {
            nodes: Vec::with_capacity(32),
            text: Vec::with_capacity(256),
            slots: vec![NONE; 64],
            top: Frame { around: 0, at: 0 },
            below: Vec::with_capacity(8),
            skipped: 0,
            full: false,
            limits,
        };
        paths.insert(0, Step::Root, b"");
        paths
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The key of a path that ends in one.
    pub(super) fn key_of(&self, node: &Node) -> &[u8] {
        let start = node.text_start as usize;
        self.text
            .get(start..start + usize::from(node.text_length))
            .unwrap_or_default()
    }

    /// Whether paths were left out.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn node(&self, index: u16) -> Option<&Node> {
        self.nodes.get(usize::from(index))
    }

    fn node_mut(&mut self, index: u16) -> Option<&mut Node> {
        self.nodes.get_mut(usize::from(index))
    }

    fn find(&self, hash: u64) -> Option<u16> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let index = *self.slots.get(slot)?;
            if self.node(index)?.hash == hash {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn enter(&mut self, index: u16, hash: u64) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(found) = self.slots.get_mut(slot) {
            if *found == NONE {
                *found = index;
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a path that is not there; [`NONE`] when there are too many.
    fn insert(&mut self, parent: u16, step: Step, key: &[u8]) -> u16 {
        if self.nodes.len() >= self.limits.max_paths.clamp(1, MAX_PATHS) {
            self.full = true;
            return NONE;
        }
        let parent_hash = self.node(parent).map_or(0, |node| node.hash);
        let text_start = self.text.len() as u32;
        self.text.extend_from_slice(key);
        self.push(Node {
            hash: step.hash(parent_hash, key),
            parent,
            step,
            kinds: Kinds::default(),
            times: 0,
            objects: 0,
            text_start,
            text_length: key.len() as u16,
            plain: step == Step::Key && scan::plain(key) == key.len(),
            map: false,
            keys: 0,
            nested_keys: 0,
            first: NONE,
            next: NONE,
        })
    }

    fn push(&mut self, node: Node) -> u16 {
        let (index, hash) = (self.nodes.len() as u16, node.hash);
        self.nodes.push(node);
        if self.nodes.len() * 2 > self.slots.len() {
            self.slots = vec![NONE; self.slots.len() * 2];
            for index in 0..self.nodes.len() as u16 {
                let hash = self.node(index).map_or(0, |node| node.hash);
                self.enter(index, hash);
            }
        } else {
            self.enter(index, hash);
        }
        index
    }

    /// The child of `parent` by a step other than a key.
    fn child(&mut self, parent: u16, step: Step) -> u16 {
        let hash = step.hash(self.node(parent).map_or(0, |node| node.hash), b"");
        match self.find(hash) {
            Some(index) => index,
            None => self.insert(parent, step, b""),
        }
    }

    /// Makes the node at `index` the one that the next value belongs to, and remembers what it came
    /// after.
    fn go_to(&mut self, index: u16) {
        let Frame { around, at } = self.top;
        self.top.at = index;
        if at == BEFORE {
            if let Some(node) = self.node_mut(around) {
                node.first = index;
            }
        } else if let Some(node) = self.node_mut(at) {
            node.next = index;
        }
    }

    fn new_key(&mut self, key: &[u8]) -> u16 {
        let around = self.top.around;
        if self.limits.masks.is_data(key, self.parent_key()) {
            return self.child(around, Step::AnyKey);
        }
        let index = self.insert(around, Step::Key, key);
        if index == NONE {
            return NONE;
        }
        let limit = self.limits.max_keys;
        let Some(node) = self.node_mut(around) else {
            return NONE;
        };
        node.keys += 1;
        if node.keys > limit {
            self.collapse();
            return self.child(self.top.around, Step::AnyKey);
        }
        index
    }

    /// The key under which the innermost object is found, directly or in an array.
    fn parent_key(&self) -> &[u8] {
        let mut index = self.top.around;
        while let Some(node) = self.node(index) {
            match node.step {
                Step::Element => index = node.parent,
                _ => return self.key_of(node),
            }
        }
        b""
    }

    /// Turns objects with too many keys into maps: what was below their keys is merged below `{*}`.
    /// The merging may make maps of further objects.
    fn collapse(&mut self) {
        let (keys, nested) = (self.limits.max_keys, self.limits.max_nested_keys);
        loop {
            let mut again = false;
            for node in &mut self.nodes {
                node.map |= node.keys > keys || node.nested_keys > nested;
                again |= node.map && node.keys > 0;
            }
            if !again {
                return;
            }
            self.rebuild();
        }
    }

    /// Makes the tree anew, with one child for all keys of each map. Parents come before their
    /// children, so one pass does it.
    fn rebuild(&mut self) {
        let old = core::mem::take(&mut self.nodes);
        self.slots.fill(NONE);
        let mut moved: Vec<u16> = Vec::with_capacity(old.len());
        for node in &old {
            let parent = moved.get(usize::from(node.parent)).copied().unwrap_or(0);
            let around = self.node(parent);
            let (parent_hash, in_map) = around.map_or((0, false), |node| (node.hash, node.map));
            let step = match node.step {
                Step::Key if in_map => Step::AnyKey,
                step => step,
            };
            let hash = match step {
                Step::Key => step.hash(parent_hash, self.key_of(node)),
                _ => step.hash(parent_hash, b""),
            };
            let known = self.find(hash);
            let index = match known {
                Some(index) => index,
                None => self.push(Node {
                    hash,
                    parent,
                    step,
                    kinds: Kinds::default(),
                    times: 0,
                    objects: 0,
                    text_length: if step == Step::Key {
                        node.text_length
                    } else {
                        0
                    },
                    plain: node.plain && step == Step::Key,
                    map: false,
                    keys: 0,
                    nested_keys: 0,
                    first: NONE,
                    next: NONE,
                    ..node.clone()
                }),
            };
            moved.push(index);
            let had_nested = self.node(index).is_some_and(|node| node.kinds.has_nested());
            if let Some(merged) = self.node_mut(index) {
                merged.kinds = merged.kinds.with(node.kinds);
                merged.times = merged.times.saturating_add(node.times);
                merged.objects = merged.objects.saturating_add(node.objects);
                merged.map |= node.map;
            }
            if step == Step::Key {
                let nested = node.kinds.has_nested() && !had_nested;
                if let Some(around) = self.node_mut(parent) {
                    around.keys += u16::from(known.is_none());
                    around.nested_keys += u16::from(nested);
                }
            }
        }
        let follow = |index: &mut u16| {
            if let Some(to) = moved.get(usize::from(*index)) {
                *index = *to;
            }
        };
        for frame in self.below.iter_mut().chain([&mut self.top]) {
            follow(&mut frame.around);
            follow(&mut frame.at);
        }
    }
}

impl Visitor for Paths {
    #[inline(always)]
    fn value(&mut self, kind: Kind) {
        let nested = matches!(kind, Kind::Object | Kind::Array);
        if self.skipped > 0 {
            self.skipped += u32::from(nested);
            return;
        }
        let at = self.top.at;
        let Some(node) = self.nodes.get_mut(usize::from(at)) else {
            self.skipped += u32::from(nested);
            return;
        };
        node.times = node.times.saturating_add(1);
        if !nested {
            node.kinds = node.kinds.and(kind);
            return;
        }
        self.open(at, kind);
    }

    #[inline(always)]
    fn close(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if let Some(frame) = self.below.pop() {
            self.top = frame;
        }
    }

    #[inline(always)]
    fn expected_key(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.skipped > 0 {
            return None;
        }
        let guess = if self.top.at == BEFORE {
            self.node(self.top.around)?.first
        } else {
            self.node(self.top.at)?.next
        };
        let node = self.node(guess)?;
        if node.plain && scan::is_key(bytes, self.key_of(node)) {
            let length = usize::from(node.text_length);
            self.top.at = guess;
            return Some(length);
        }
        None
    }

    fn key(&mut self, key: &[u8]) {
        if self.skipped > 0 {
            return;
        }
        let Some(around) = self.node(self.top.around) else {
            return;
        };
        let index = if around.map {
            self.child(self.top.around, Step::AnyKey)
        } else {
            match self.find(Step::Key.hash(around.hash, key)) {
                Some(index) => index,
                None => self.new_key(key),
            }
        };
        self.go_to(index);
    }

    fn long_key(&mut self) {
        if self.skipped == 0 {
            let index = self.child(self.top.around, Step::AnyKey);
            self.go_to(index);
        }
    }
}

impl Paths {
    /// Opens an object or an array at the path `at`.
    fn open(&mut self, mut at: u16, kind: Kind) {
        let limit = self.limits.max_nested_keys;
        let Some(node) = self.node_mut(at) else {
            return;
        };
        let first_time = node.step == Step::Key && !node.kinds.has_nested();
        let parent = node.parent;
        node.kinds = node.kinds.and(kind);
        node.objects = node.objects.saturating_add(u32::from(kind == Kind::Object));
        if first_time && let Some(around) = self.node_mut(parent) {
            around.nested_keys += 1;
            if around.nested_keys > limit {
                self.collapse();
                at = self.top.at;
            }
        }
        if self.below.len() >= self.limits.max_depth {
            self.skipped = 1;
            return;
        }
        self.below.push(self.top);
        self.top = Frame {
            around: at,
            at: match kind {
                Kind::Array => self.element(at),
                _ => BEFORE,
            },
        };
    }

    /// The path of an array's elements.
    fn element(&mut self, array: u16) -> u16 {
        if let Some(first) = self.node(array).map(|node| node.first)
            && self
                .node(first)
                .is_some_and(|node| node.step == Step::Element)
        {
            return first;
        }
        let index = self.child(array, Step::Element);
        if let Some(node) = self.node_mut(array) {
            node.first = index;
        }
        index
    }
}
