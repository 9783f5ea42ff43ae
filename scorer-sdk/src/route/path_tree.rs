//! Path templates learned from traffic, in a tree of bounded size.
//!
//! A path is matched against the configured templates first. Where none matches, it walks the
//! learned tree, segment by segment: a known literal child, else the child for the segment's class
//! ([`classify`]), else a new literal child, or, where the node has collapsed, the child `{x}`.
//!
//! # Collapse
//!
//! A node whose children are values rather than names (user names, slugs, tokens) grows without
//! end. It collapses when a further literal child would make more than `max_children` of them,
//! more than half seen only once, or `4 × max_children` whatever the counts. Children seen
//! at least [`KEEP_SEEN`] times stay; the others go, with all that is below them, and from then on
//! every unknown segment there is `{x}`, or `{id}` where ids were recognised before: what the rules
//! missed is an id as well. A node collapses once and for good.
//!
//! A flood of random paths in a tree's first seconds makes nodes collapse before their real names were
//! seen that often. A name therefore comes back when a few per cent of the paths at its node lead to it
//! ([`Returning`]), at most 16 at a node.
//!
//! Tenants are values that are all busy: `/acme/orders/1`, `/globex/orders/2`. Where more than half
//! of more than `max_children` children lead on by the same name, these children go however
//! often they were seen, and what is below stays apart: `/{x}/orders/{int}`, `/{x}/users/{int}`. They
//! do not come back.
//!
//! # Strangers
//!
//! A scanner that asks for thousands of random paths must not wreck the templates of the real
//! routes and must not grow memory. It makes the nodes that it probes collapse: the real routes
//! below them, asked for again and again, stay, and the scanner's paths become `{x}`. The nodes
//! that fall away are used again. What a tree holds is therefore bounded for good, whatever comes
//! in and for however long:
//!
//! - nodes: `max_nodes`; when they are used up, paths that would need more are `{other}`, counted
//!   by [`PathTree::overflowed`];
//! - children of one node: below `4 × max_children` literals and one per class;
//! - bytes of one template: `max_depth` segments of at most [`MAX_SEGMENT_BYTES`], and the tail.
//!
//! A real route that was seen fewer than [`KEEP_SEEN`] times when its siblings collapse is `{x}` with
//! them until it comes back, and a full tree learns nothing new: name the routes that matter in the
//! configuration.
//!
//! # Trust
//!
//! A template's text repeats what clients sent, byte for byte. Escape it where it is shown.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::collapses::{Collapse, Collapses};
use super::returning::Returning;
use super::segment::{
    MAX_SEGMENT_BYTES, MAX_SEGMENTS, Segment, Segments, classify, is_of_digest, unescape,
};
use super::template::TemplateSet;

/// A child seen this often since it was made survives the collapse of its parent.
pub const KEEP_SEEN: u32 = 8;

/// Text of the one template for paths that the tree has no room for.
pub const OTHER_TEXT: &str = "{other}";

/// Upper end of [`Limits::max_nodes`]: identifiers have 16 bits for the index.
const MOST_NODES: usize = 32_768;

/// Bounds of a [`PathTree`]. Values outside the stated range are moved into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most nodes, 0 to 32,768. A node is one segment of one prefix.
    pub max_nodes: usize,
    /// Most segments of a learned template, 1 to 16; a deeper path ends in `/**`.
    pub max_depth: usize,
    /// Literal children of one node above which it may collapse, 1 to 1,024.
    pub max_children: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_nodes: 4096,
            max_depth: 12,
            // Simulated: with 16, an API with 30 endpoints under one node keeps its own templates for
            // 46% of its traffic; with 32 for all of it.
            max_children: 32,
        }
    }
}

/// What a [`PathTree`] is built from.
#[derive(Clone, Debug, Default)]
pub struct PathConfig {
    /// Templates that come before anything learned; they never collapse.
    pub templates: TemplateSet,
    /// Bounds of what is learned.
    pub limits: Limits,
}

impl PathConfig {
    /// A template for `path` that does not depend on what was seen before: a configured one, else
    /// the first segment as it is, typed segments by their class, and `{x}` for every other. What is
    /// compared between processes of different age must not be learned.
    #[must_use]
    pub fn fixed_text(&self, path: &str) -> String {
        let segments = Segments::split(path);
        if let Some(text) = self
            .templates
            .find(&segments)
            .and_then(|at| self.templates.text(at))
        {
            return text.to_owned();
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut text = String::new();
        for (index, segment) in path
            .trim_start_matches('/')
            .split('/')
            .take(MAX_FIXED_SEGMENTS)
            .enumerate()
        {
            text.push('/');
            text.push_str(match classify(segment).placeholder() {
                // Of ids some are not recognised, and a set of calls must not depend on which.
                Some("{id}" | "{file}") => "{x}",
                Some(class) => class,
                None if index == 0 || segment.is_empty() => segment,
                None => "{x}",
            });
        }
        text
    }
}

/// Segments of a path that [`PathConfig::fixed_text`] writes.
const MAX_FIXED_SEGMENTS: usize = 8;

/// Names a template of one [`PathTree`]; meaningless in another tree or another process, where the
/// text is what counts.
///
/// Stable: one identifier never stands for two texts (of learned or configured templates). After a
/// collapse the identifiers of the templates that fell away read [`OTHER_TEXT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(u32);

impl TemplateId {
    /// The template for all paths that the tree has no room for.
    pub const OTHER: Self = Self(0);

    /// The identifier as a number: not dense, only unique.
    pub const fn get(self) -> u32 {
        self.0
    }

    fn new(index: usize, generation: u16) -> Self {
        // Indices stay below 2^16: MAX_TEMPLATES + MOST_NODES + 3.
        let index = u16::try_from(index).unwrap_or(0);
        Self(u32::from(generation) << 16 | u32::from(index))
    }

    #[inline]
    fn index(self) -> usize {
        usize::from(self.0 as u16)
    }

    fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

type NodeId = u32;

/// Parent of all paths that start with a slash.
const ROOT: NodeId = 0;
/// Parent of all other paths.
const BARE: NodeId = 1;
const ROOTS: usize = 2;
/// Stands for no child: no node has the root below it.
const NO_CHILD: NodeId = ROOT;
/// A node that has too many children is looked at for tenants each time that it has so many more.
const LOOK_EVERY: usize = 16;

#[derive(Debug)]
enum Label {
    Literal(Box<str>),
    Class(Segment),
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    label: Label,
    /// How many lives this slot had before: part of the identifiers it gives out.
    generation: u16,
    seen: u32,
    /// Literal children.
    literals: Vec<NodeId>,
    /// How many of them were seen exactly once.
    seen_once: usize,
    /// What unknown names are, once the node has collapsed.
    collapsed: Option<Segment>,
    /// Names that may come back, where the node has collapsed and its names are no tenants.
    returning: Option<Box<Returning>>,
    /// Children for classes, by [`Segment::slot`]; [`NO_CHILD`] where there is none.
    classes: [NodeId; Segment::CLASSES],
    /// Set once a path has ended here.
    text: Option<Box<str>>,
}

impl Node {
    fn new(parent: NodeId, label: Label, generation: u16) -> Self {
        Self {
            parent,
            label,
            generation,
            seen: 0,
            literals: Vec::new(),
            seen_once: 0,
            collapsed: None,
            returning: None,
            classes: [NO_CHILD; Segment::CLASSES],
            text: None,
        }
    }

    #[inline]
    fn is_literal(&self, parent: NodeId, segment: &str) -> bool {
        self.parent == parent && matches!(&self.label, Label::Literal(text) if **text == *segment)
    }

    /// The child for a class.
    #[inline]
    fn class(&self, class: Segment) -> Option<NodeId> {
        let child = *self.classes.get(class.slot()?)?;
        (child != NO_CHILD).then_some(child)
    }

    /// What a segment of a class counts as here.
    #[inline]
    fn counts_as(&self, class: Segment) -> Segment {
        match (class, self.collapsed) {
            (Segment::Literal, Some(value)) => value,
            (Segment::Id, Some(Segment::Any)) => Segment::Any,
            _ => class,
        }
    }

    /// Whether paths go on behind it.
    fn leads_on(&self) -> bool {
        !self.literals.is_empty() || self.classes.iter().any(|child| *child != NO_CHILD)
    }

    fn label_text(&self) -> &str {
        match &self.label {
            Label::Literal(text) => text,
            Label::Class(class) => class.placeholder().unwrap_or_default(),
        }
    }
}

/// Turns raw paths into templates, and learns which segments are values. See the module's page.
#[derive(Debug)]
pub struct PathTree {
    templates: TemplateSet,
    limits: Limits,
    hash: FixedState,
    nodes: Vec<Node>,
    /// Indices in `nodes` that may be used again.
    free: Vec<NodeId>,
    /// Literal nodes by parent and text.
    index: HashTable<NodeId>,
    /// A path with one spelling.
    spelled: String,
    overflowed: u64,
    collapses: u64,
    returned: u64,
}

impl PathTree {
    /// An empty tree. The seed should be unknown to clients, so that they cannot choose segments
    /// whose hashes collide; equal seeds and paths give equal trees.
    pub fn new(config: PathConfig, seed: u64) -> Self {
        let PathConfig { templates, limits } = config;
        let root = || Node::new(ROOT, Label::Literal("".into()), 0);
        Self {
            templates,
            limits: Limits {
                max_nodes: limits.max_nodes.min(MOST_NODES),
                max_depth: limits.max_depth.clamp(1, MAX_SEGMENTS),
                max_children: limits.max_children.clamp(1, 1024),
            },
            hash: FixedState::with_seed(seed),
            nodes: vec![root(), root()],
            free: Vec::new(),
            index: HashTable::new(),
            spelled: String::new(),
            overflowed: 0,
            collapses: 0,
            returned: 0,
        }
    }

    /// The template of a raw `:path`, learned if it is new.
    ///
    /// Query string and fragment are cut off, several slashes are one, and percent-encoding that
    /// says nothing (`%6F` for `o`, `%2f` for `%2F`) is undone; a trailing slash stays. A segment of
    /// more than 64 bytes or with an encoded slash is `{x}`. A path without a leading slash counts
    /// as one segment. Allocates only where a template is new.
    #[inline]
    pub fn resolve(&mut self, path: &str) -> TemplateId {
        let segments = Segments::split(path);
        if segments.escaped {
            return self.resolve_escaped(path, &segments);
        }
        self.resolve_segments(&segments)
    }

    #[inline]
    fn resolve_segments(&mut self, path: &Segments<'_>) -> TemplateId {
        if let Some(at) = self.templates.find(path) {
            return TemplateId::new(1 + at, 0);
        }
        match self.walk(path) {
            Some(id) => id,
            None => {
                self.overflowed = self.overflowed.saturating_add(1);
                TemplateId::OTHER
            }
        }
    }

    /// Where a path matches a template as it is spelled, that counts.
    #[inline(never)]
    fn resolve_escaped(&mut self, path: &str, segments: &Segments<'_>) -> TemplateId {
        let mut spelled = std::mem::take(&mut self.spelled);
        let is_other = !segments.bare
            && self.templates.find(segments).is_none()
            && unescape(path, &mut spelled);
        let id = if is_other {
            self.resolve_segments(&Segments::split(&spelled))
        } else {
            self.resolve_segments(segments)
        };
        self.spelled = spelled;
        id
    }

    /// Whether an identifier still has its template: not if it has fallen away in a collapse.
    pub fn stands(&self, id: TemplateId) -> bool {
        let node = id.index().checked_sub(1 + self.templates.len());
        node.is_none_or(|node| {
            self.nodes
                .get(node)
                .is_some_and(|node| node.generation == id.generation() && node.text.is_some())
        })
    }

    /// The text of a template, such as `/api/items/{int}`; [`OTHER_TEXT`] for an identifier whose
    /// template has fallen away in a collapse, or that this tree has not given out.
    pub fn text(&self, id: TemplateId) -> &str {
        let Some(index) = id.index().checked_sub(1) else {
            return OTHER_TEXT;
        };
        match index.checked_sub(self.templates.len()) {
            None => self.templates.text(index),
            Some(node) => self
                .nodes
                .get(node)
                .filter(|node| node.generation == id.generation())
                .and_then(|node| node.text.as_deref()),
        }
        .unwrap_or(OTHER_TEXT)
    }

    /// How many paths were `{other}` because the tree was full.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// How many nodes have collapsed.
    pub fn collapses(&self) -> u64 {
        self.collapses
    }

    /// How many names have come back.
    pub fn returned(&self) -> u64 {
        self.returned
    }

    /// Where it has collapsed.
    #[must_use]
    pub fn where_collapsed(&self) -> Collapses {
        let mut collapses = Collapses::default();
        for (id, node) in (0..).zip(&self.nodes) {
            let Some(value) = node.collapsed.filter(|_| id != BARE) else {
                continue;
            };
            let names = node.literals.iter().filter_map(|child| self.node(*child));
            let mut names: Vec<String> = names.map(|child| child.label_text().to_owned()).collect();
            crate::order::sort(&mut names);
            collapses.add(&Collapse {
                prefix: self.spell(id).into_string(),
                is_id: value == Segment::Id,
                names,
            });
        }
        collapses
    }

    /// Collapses where other trees have, so that all name the same paths the same way. What there is
    /// no room for stays as it is.
    pub fn follow(&mut self, others: &Collapses) {
        for collapse in others.iter() {
            self.follow_one(collapse);
        }
    }

    fn follow_one(&mut self, collapse: &Collapse) -> Option<()> {
        let segments = Segments::split(&collapse.prefix);
        let segments = match collapse.prefix.as_str() {
            "" => &[],
            _ => segments.as_slice(),
        };
        if segments.len() >= self.limits.max_depth {
            return None;
        }
        let mut at = ROOT;
        for segment in segments {
            at = match self.known_child(at, segment) {
                Some(child) => child,
                None if self.nodes() >= self.limits.max_nodes => return None,
                None => self.add_child(at, segment, classify(segment))?,
            };
        }
        if self.node(at)?.collapsed.is_none() {
            self.collapse(at);
        }
        self.node_mut(at)?.collapsed = Some(collapse.value());
        for name in &collapse.names {
            let is_new =
                classify(name) == Segment::Literal && self.known_literal(at, name).is_none();
            let has_room = self.nodes() < self.limits.max_nodes
                && self.node(at)?.literals.len() < 4 * self.limits.max_children;
            if is_new && has_room {
                let child = self.add_literal(at, name)?;
                self.node_mut(child)?.seen = KEEP_SEEN;
            }
        }
        Some(())
    }

    /// How many learned nodes there are now, at most [`Limits::max_nodes`].
    pub fn nodes(&self) -> usize {
        self.nodes
            .len()
            .saturating_sub(ROOTS)
            .saturating_sub(self.free.len())
    }

    /// Follows a path through the tree and adds what is missing; `None` where there is no room.
    #[inline]
    fn walk(&mut self, path: &Segments<'_>) -> Option<TemplateId> {
        let segments = path.as_slice();
        let depth = segments.len().min(self.limits.max_depth);
        let deeper = path.more || segments.len() > depth;
        let mut at = if path.bare { BARE } else { ROOT };
        for level in 0..depth {
            at = self.step(at, segments, level, depth - level + usize::from(deeper))?;
            self.count(at);
        }
        if deeper {
            at = self.class_child(at, Segment::Rest)?;
        }
        self.template(at)
    }

    /// The child that the segment at `level` leads to, made if there is none; `None` where there is no
    /// room for the nodes that are `missing` at most.
    #[inline]
    fn step(
        &mut self,
        at: NodeId,
        segments: &[&str],
        level: usize,
        missing: usize,
    ) -> Option<NodeId> {
        let segment = *segments.get(level)?;
        let is_of_digest = is_of_digest(segments, level);
        // Names are the common case, and a name that is known need not be classified. No literal
        // is ever made of a segment that has a class, so the order changes nothing else.
        if !is_of_digest
            && segment.len() <= MAX_SEGMENT_BYTES
            && let Some(known) = self.known_literal(at, segment)
        {
            return Some(known);
        }
        let class = if is_of_digest {
            Segment::Hex
        } else {
            classify(segment)
        };
        let node = self.node(at)?;
        if let Some(child) = node.class(node.counts_as(class)) {
            if class == Segment::Literal && node.returning.is_some() && self.comes_back(at, segment)
            {
                self.returned = self.returned.saturating_add(1);
                return self.add_literal(at, segment);
            }
            return Some(child);
        }
        // Before the check for room: a collapse makes some.
        if class == Segment::Literal && self.is_one_too_many(at) {
            self.collapse(at);
        }
        // All or nothing: half a path would only take room from others.
        if self.nodes().saturating_add(missing) > self.limits.max_nodes {
            return None;
        }
        self.add_child(at, segment, class)
    }

    /// The child that a segment leads to, where there is one already.
    fn known_child(&self, parent: NodeId, segment: &str) -> Option<NodeId> {
        if segment.len() <= MAX_SEGMENT_BYTES
            && let Some(id) = self.known_literal(parent, segment)
        {
            return Some(id);
        }
        let parent = self.node(parent)?;
        parent.class(parent.counts_as(classify(segment)))
    }

    /// The child of this name.
    #[inline]
    fn known_literal(&self, parent: NodeId, segment: &str) -> Option<NodeId> {
        let known = self.index.find(self.hash_of(parent, segment), |&id| {
            self.node(id)
                .is_some_and(|node| node.is_literal(parent, segment))
        });
        known.copied()
    }

    /// The child that a segment of a class leads to, made if there is none. Not for literals known
    /// already.
    fn add_child(&mut self, parent: NodeId, segment: &str, class: Segment) -> Option<NodeId> {
        let class = self.node(parent)?.counts_as(class);
        if class != Segment::Literal {
            return self.class_child(parent, class);
        }
        self.add_literal(parent, segment)
    }

    /// A new child of this name.
    fn add_literal(&mut self, parent: NodeId, segment: &str) -> Option<NodeId> {
        let child = self.allocate(parent, Label::Literal(segment.into()))?;
        self.node_mut(parent)?.literals.push(child);
        let (nodes, hash) = (&self.nodes, &self.hash);
        self.index
            .insert_unique(hash_of(hash, parent, segment), child, |&id| {
                nodes
                    .get(id as usize)
                    .map_or(0, |node| hash_of(hash, node.parent, node.label_text()))
            });
        Some(child)
    }

    /// Whether a name that has no child of its own, because its parent has collapsed, is to have one
    /// from now on.
    #[inline(never)]
    fn comes_back(&mut self, parent: NodeId, segment: &str) -> bool {
        // With all that may be below it.
        let has_room = self.nodes().saturating_add(self.limits.max_depth) < self.limits.max_nodes;
        if !has_room {
            return false;
        }
        let hash = self.hash_of(parent, segment);
        let most = 4 * self.limits.max_children;
        let node = self
            .node_mut(parent)
            .filter(|node| node.literals.len() < most);
        node.and_then(|node| node.returning.as_mut())
            .is_some_and(|returning| returning.comes_back(hash))
    }

    /// The child for a class, made if there is none.
    fn class_child(&mut self, parent: NodeId, class: Segment) -> Option<NodeId> {
        let slot = class.slot()?;
        if let Some(child) = self.node(parent)?.class(class) {
            return Some(child);
        }
        if self.nodes() >= self.limits.max_nodes {
            return None;
        }
        let child = self.allocate(parent, Label::Class(class))?;
        *self.node_mut(parent)?.classes.get_mut(slot)? = child;
        Some(child)
    }

    /// Whether one more literal child, seen once, makes this node collapse.
    #[inline(never)]
    fn is_one_too_many(&self, parent: NodeId) -> bool {
        let max = self.limits.max_children;
        let Some(node) = self.node(parent).filter(|node| node.collapsed.is_none()) else {
            return false;
        };
        let children = node.literals.len() + 1;
        let once = node.seen_once + 1;
        children >= 4 * max
            || (children > max
                && (once * 2 > children
                    || ((children - max) % LOOK_EVERY == 1 && self.common_name(node).is_some())))
    }

    /// The name by which more than half of a node's literal children lead on, if there is one.
    fn common_name(&self, node: &Node) -> Option<Box<str>> {
        let mut names: Vec<&str> = node
            .literals
            .iter()
            .filter_map(|id| self.node(*id))
            .flat_map(|child| self.names_on(child))
            .collect();
        crate::order::sort(&mut names);
        let most = names
            .chunk_by(|one, other| one == other)
            .max_by_key(|of_name| of_name.len())?;
        (most.len() * 2 > node.literals.len())
            .then(|| most.first().copied().unwrap_or_default().into())
    }

    /// The names of a node's children behind which paths go on.
    fn names_on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a str> {
        let children = node.literals.iter().filter_map(|id| self.node(*id));
        children
            .filter(|child| child.leads_on())
            .map(Node::label_text)
    }

    #[inline(never)]
    fn collapse(&mut self, parent: NodeId) {
        let Some(node) = self.node(parent) else {
            return;
        };
        let common = (node.literals.len() >= self.limits.max_children)
            .then(|| self.common_name(node))
            .flatten();
        let value = match node.class(Segment::Id) {
            Some(_) => Segment::Id,
            None => Segment::Any,
        };
        let (keep, mut drop): (Vec<_>, Vec<_>) = node.literals.iter().partition(|child| {
            self.node(**child).is_some_and(|child| {
                child.seen >= KEEP_SEEN
                    && !common
                        .as_deref()
                        .is_some_and(|name| self.names_on(child).any(|other| other == name))
            })
        });
        if let Some(node) = self.node_mut(parent) {
            node.collapsed = Some(value);
            node.returning = common.is_none().then(Box::default);
            node.seen_once = 0;
            node.literals = keep;
        }
        while let Some(id) = drop.pop() {
            self.release(id, &mut drop);
        }
        self.collapses = self.collapses.saturating_add(1);
    }

    /// Empties a slot, appends what was below it to `below`, and lets the slot be used again.
    fn release(&mut self, id: NodeId, below: &mut Vec<NodeId>) {
        let (nodes, hash) = (&self.nodes, &self.hash);
        if let Some(Node {
            parent,
            label: Label::Literal(text),
            ..
        }) = nodes.get(id as usize)
            && let Ok(entry) = self
                .index
                .find_entry(hash_of(hash, *parent, text), |&other| other == id)
        {
            entry.remove();
        }
        let Some(node) = self.node_mut(id) else {
            return;
        };
        below.append(&mut node.literals);
        below.extend(node.classes.iter().filter(|child| **child != NO_CHILD));
        // A new life needs a new generation only if the old one gave out an identifier. A slot
        // that has used up its generations is left empty for good: it still counts as a node.
        let next = match node.text {
            Some(_) => node.generation.checked_add(1),
            None => Some(node.generation),
        };
        let generation = next.unwrap_or(node.generation);
        *node = Node::new(ROOT, Label::Class(Segment::Any), generation);
        if next.is_some() {
            self.free.push(id);
        }
    }

    fn allocate(&mut self, parent: NodeId, label: Label) -> Option<NodeId> {
        if let Some(id) = self.free.pop() {
            let node = self.node_mut(id)?;
            *node = Node::new(parent, label, node.generation);
            return Some(id);
        }
        let id = NodeId::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node::new(parent, label, 0));
        Some(id)
    }

    /// Counts one more path through a node.
    #[inline]
    fn count(&mut self, id: NodeId) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let before = node.seen;
        node.seen = before.saturating_add(1);
        if before <= 1 && matches!(node.label, Label::Literal(_)) {
            let parent = node.parent;
            if let Some(parent) = self.node_mut(parent) {
                parent.seen_once = match before {
                    0 => parent.seen_once + 1,
                    _ => parent.seen_once.saturating_sub(1),
                };
            }
        }
    }

    /// The identifier of the template that ends at a node.
    fn template(&mut self, id: NodeId) -> Option<TemplateId> {
        if self.node(id)?.text.is_none() {
            let text = self.spell(id);
            self.node_mut(id)?.text = Some(text);
        }
        let index = 1 + self.templates.len() + id as usize;
        Some(TemplateId::new(index, self.node(id)?.generation))
    }

    fn spell(&self, id: NodeId) -> Box<str> {
        let mut labels = Vec::with_capacity(MAX_SEGMENTS + 1);
        let mut at = id;
        while at != ROOT && at != BARE {
            let Some(node) = self.node(at) else {
                break;
            };
            labels.push(node.label_text());
            at = node.parent;
        }
        let mut text = String::new();
        for (index, label) in labels.iter().rev().enumerate() {
            if at == ROOT || index > 0 {
                text.push('/');
            }
            text.push_str(label);
        }
        text.into()
    }

    #[inline]
    fn hash_of(&self, parent: NodeId, segment: &str) -> u64 {
        hash_of(&self.hash, parent, segment)
    }

    #[inline]
    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    #[inline]
    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }
}

#[inline]
fn hash_of(hash: &FixedState, parent: NodeId, segment: &str) -> u64 {
    let mut hasher = hash.build_hasher();
    hasher.write_u32(parent);
    hasher.write(segment.as_bytes());
    hasher.finish()
}
