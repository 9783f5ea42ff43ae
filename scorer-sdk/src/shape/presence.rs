//! How often each path was there: what the questions about loss and changed types are asked of.
//!
//! One [`Presence`] counts the answers of one route and one arm: in a block, or, decayed, in the
//! past. An answer counts a path at most once, however many elements of a list have it.
//!
//! # How the engine asks
//!
//! A worker counts the bodies of one tick; the judge merges the workers' counts, arm by arm. What
//! nearly always holds in the baseline's past is a [`Requirement`], and each that fails is a pair of
//! its own for the harm test: in a block, its exchanges are the answers in which it could hold, its bad
//! ones those in which it did not. The answers in which it could hold are a choice by what the
//! application did before and by nothing that the question looks at, so the law is that of every
//! other category. A block in which neither arm fails says nothing, so that a pair is made only when
//! its requirement first fails.

use super::facts::{ShapeFacts, write_step};
use super::paths::Step;
use super::{Kind, Kinds, MAX_KEY_BYTES};
use crate::wire::codec::{CodecError, Reader, Writer};
use hashbrown::HashMap;

/// Most paths that are counted for one route and arm.
pub const MAX_COUNTED_PATHS: usize = 256;
/// Decayed counts below this are dropped, as those of tokens are.
const NEGLIGIBLE: f32 = 1e-3;
/// Share of the answers below which a path makes room when the table is full.
const RARE: f32 = 0.01;

/// What can be required of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    /// Where the object around it is there, so is the key; where the array is, it has elements;
    /// the root is there in every answer.
    Present,
    /// Where the key is there, it is in every object at that place.
    Everywhere,
    /// Where the path is there, it is never `null`.
    NotNull,
    /// Where the path has values other than `null`, all are of this type.
    Only(Kind),
}

/// In how many answers a requirement could hold, and in how many it did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Held {
    /// Answers in which it could hold.
    pub could: f64,
    /// Those of them in which it held.
    pub did: f64,
}

impl Held {
    /// Answers in which it could hold and did not.
    #[must_use]
    pub fn failed(self) -> f64 {
        (self.could - self.did).max(0.0)
    }
}

/// Counts of answers for one path.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counts {
    present: f32,
    everywhere: f32,
    never_null: f32,
    /// With a value other than `null`.
    valued: f32,
    object: f32,
    array: f32,
    /// By type, where all values but `null` were of this one; none for `null` itself.
    only: [f32; Kind::ALL.len()],
}

impl Counts {
    /// Counts one answer that has the path.
    fn count(&mut self, kinds: Kinds, everywhere: bool) {
        self.present += 1.0;
        if everywhere {
            self.everywhere += 1.0;
        }
        if !kinds.contains(Kind::Null) {
            self.never_null += 1.0;
        }
        if kinds.contains(Kind::Object) {
            self.object += 1.0;
        }
        if kinds.contains(Kind::Array) {
            self.array += 1.0;
        }
        let mut values = kinds.iter().filter(|kind| *kind != Kind::Null);
        if let Some(kind) = values.next() {
            self.valued += 1.0;
            if values.next().is_none()
                && let Some(only) = self.only.get_mut(kind as usize)
            {
                *only += 1.0;
            }
        }
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        [
            &mut self.present,
            &mut self.everywhere,
            &mut self.never_null,
            &mut self.valued,
            &mut self.object,
            &mut self.array,
        ]
        .into_iter()
        .chain(&mut self.only)
    }

    fn add(&mut self, mut other: Self) {
        let pairs = self.all_mut().zip(other.all_mut());
        pairs.for_each(|(sum, count)| *sum += *count);
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    hash: u64,
    /// Index of the parent's row; the root is its own.
    parent: u16,
    step: Step,
    key: Box<str>,
    counts: Counts,
}

/// In how many answers each path was there, and how. Bounded by [`MAX_COUNTED_PATHS`].
///
/// Counts are single-precision: whole up to 16 million answers a block, and decayed in the past.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    answers: f32,
    /// A row comes after its parent's.
    rows: Vec<Row>,
    indices: HashMap<u64, u16, foldhash::fast::FixedState>,
    /// Paths of answers that found no room.
    left_out: u64,
    /// The rows of the paths of the body that is being recorded.
    scratch: Vec<Option<u16>>,
}

impl PartialEq for Presence {
    fn eq(&self, other: &Self) -> bool {
        (self.answers, self.left_out, &self.rows) == (other.answers, other.left_out, &other.rows)
    }
}

impl Presence {
    /// Counts one answer, unless the shape of its body is not known as a whole.
    pub fn record(&mut self, facts: &ShapeFacts) {
        if facts.left_out().is_some() {
            return;
        }
        self.answers += 1.0;
        let mut rows = core::mem::take(&mut self.scratch);
        rows.clear();
        for path in facts.paths() {
            let parent = rows.get(usize::from(path.parent)).copied().flatten();
            // Rows are mostly in the order of the body.
            let next = rows.last().copied().flatten().map_or(0, |last| last + 1);
            let row = match self.find(path.hash, next) {
                Some(row) => Some(row),
                None => facts.step(path.index).and_then(|(step, key)| {
                    let key = String::from_utf8_lossy(key);
                    self.add_row(path.hash, parent, step, &key)
                }),
            };
            match row.and_then(|row| self.rows.get_mut(usize::from(row))) {
                Some(row) => row.counts.count(path.kinds, path.everywhere),
                None => self.left_out += 1,
            }
            rows.resize(usize::from(path.index), None);
            rows.push(row);
        }
        self.scratch = rows;
    }

    /// The row of a path, which may well be `guess`.
    fn find(&self, hash: u64, guess: u16) -> Option<u16> {
        match self.rows.get(usize::from(guess)) {
            Some(row) if row.hash == hash => Some(guess),
            _ => self.indices.get(&hash).copied(),
        }
    }

    fn add_row(&mut self, hash: u64, parent: Option<u16>, step: Step, key: &str) -> Option<u16> {
        let index = self.rows.len();
        let parent = match step {
            Step::Root => 0,
            _ => parent?,
        };
        if index >= MAX_COUNTED_PATHS {
            return None;
        }
        self.rows.push(Row {
            hash,
            parent,
            step,
            key: key.into(),
            counts: Counts::default(),
        });
        self.indices.insert(hash, index as u16);
        Some(index as u16)
    }

    /// Answers that were counted.
    #[must_use]
    pub fn answers(&self) -> f64 {
        f64::from(self.answers)
    }

    /// How many paths are in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no answer was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers == 0.0
    }

    /// Paths of answers that found no room since the beginning; decay does not touch it.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Adds another's counts. Where the table is full, paths that are rare in it make room.
    pub fn merge(&mut self, other: &Self) {
        self.answers += other.answers;
        self.left_out = self.left_out.saturating_add(other.left_out);
        let unknown = |row: &&Row| !self.indices.contains_key(&row.hash);
        if self.rows.len() + other.rows.iter().filter(unknown).count() > MAX_COUNTED_PATHS {
            self.forget(RARE * self.answers);
        }
        let mut moved: Vec<Option<u16>> = Vec::with_capacity(other.rows.len());
        for row in &other.rows {
            let parent = moved.get(usize::from(row.parent)).copied().flatten();
            let index = match self.indices.get(&row.hash) {
                Some(index) => Some(*index),
                None => self.add_row(row.hash, parent, row.step, &row.key),
            };
            match index.and_then(|index| self.rows.get_mut(usize::from(index))) {
                Some(known) => known.counts.add(row.counts),
                None => self.left_out = self.left_out.saturating_add(row.counts.present as u64),
            }
            moved.push(index);
        }
    }

    /// Multiplies every count by `keep` (0 to 1) and drops what has become negligible.
    pub fn decay(&mut self, keep: f32) {
        self.answers *= keep;
        for row in &mut self.rows {
            row.counts.all_mut().for_each(|count| *count *= keep);
        }
        if self.rows.iter().any(|row| row.counts.present < NEGLIGIBLE) {
            self.forget(NEGLIGIBLE);
        }
    }

    /// Drops the paths that were there in fewer answers than `least`, and what is below them.
    fn forget(&mut self, least: f32) {
        let old = core::mem::take(&mut self.rows);
        self.indices.clear();
        let mut moved: Vec<Option<u16>> = Vec::with_capacity(old.len());
        for row in old {
            let parent = moved.get(usize::from(row.parent)).copied().flatten();
            let index = if row.counts.present < least {
                None
            } else {
                self.add_row(row.hash, parent, row.step, &row.key)
            };
            if let Some(kept) = index.and_then(|index| self.rows.get_mut(usize::from(index))) {
                kept.counts = row.counts;
            }
            moved.push(index);
        }
    }

    fn row(&self, path: u64) -> Option<&Row> {
        let index = self.indices.get(&path)?;
        self.rows.get(usize::from(*index))
    }

    /// In how many answers `requirement` could hold for the path with this hash, and in how many it
    /// did.
    ///
    /// A path that this table does not have could still have been there: for
    /// [`Requirement::Present`] ask the table that has it, by [`Presence::count_as_known_to`].
    #[must_use]
    pub fn count(&self, path: u64, requirement: Requirement) -> Held {
        self.count_as_known_to(self, path, requirement)
    }

    /// As [`Presence::count`], where the path's index in the tree is looked up in `known`: a block
    /// from which a path is wholly gone does not have it.
    #[must_use]
    pub fn count_as_known_to(&self, known: &Self, path: u64, requirement: Requirement) -> Held {
        let counts = self.row(path).map(|row| row.counts).unwrap_or_default();
        let (could, did) = match requirement {
            Requirement::Present => (self.opportunities(known, path), counts.present),
            Requirement::Everywhere => (counts.present, counts.everywhere),
            Requirement::NotNull => (counts.present, counts.never_null),
            Requirement::Only(kind) => {
                let only = counts.only.get(kind as usize);
                (counts.valued, only.copied().unwrap_or_default())
            }
        };
        Held {
            could: f64::from(could),
            did: f64::from(did),
        }
    }

    /// Answers in which the path could have been there.
    fn opportunities(&self, known: &Self, path: u64) -> f32 {
        let Some(row) = known.row(path) else {
            return 0.0;
        };
        if row.step == Step::Root {
            return self.answers;
        }
        let around = known
            .rows
            .get(usize::from(row.parent))
            .and_then(|parent| self.row(parent.hash))
            .map(|parent| parent.counts)
            .unwrap_or_default();
        match row.step {
            Step::Element => around.array,
            _ => around.object,
        }
    }

    /// The requirements that held in at least `share` of the answers in which they could, each with
    /// its path's hash; only those that could hold in at least `needs` answers.
    ///
    /// To be asked of the baseline's past.
    #[must_use]
    pub fn requirements(&self, share: f64, needs: f64) -> Vec<(u64, Requirement)> {
        let mut found = Vec::new();
        for row in &self.rows {
            let fixed = [
                Requirement::Present,
                Requirement::Everywhere,
                Requirement::NotNull,
            ];
            let all = Kind::ALL.into_iter().map(Requirement::Only);
            for requirement in fixed.into_iter().chain(all) {
                // What is no key is everywhere by definition: nothing to ask.
                if requirement == Requirement::Everywhere && row.step != Step::Key {
                    continue;
                }
                let held = self.count(row.hash, requirement);
                if held.could >= needs && held.could > 0.0 && held.did >= share * held.could {
                    found.push((row.hash, requirement));
                }
            }
        }
        found
    }

    /// Hashes of the paths that were there in this block and, of the answers in `past` in which they
    /// could have been, in less than `share`: what a version has gained.
    #[must_use]
    pub fn gains(&self, past: &Self, share: f64) -> Vec<u64> {
        let new = |row: &&Row| {
            let before = past.count_as_known_to(self, row.hash, Requirement::Present);
            // Below a path that is new itself there is nothing to add.
            before.could > 0.0 && before.did < share * before.could
        };
        self.rows.iter().filter(new).map(|row| row.hash).collect()
    }

    /// Appends a path as text, as [`ShapeFacts::write_path`] does; nothing if it is not known.
    pub fn write_path(&self, path: u64, text: &mut String) {
        let Some(row) = self.row(path) else {
            return;
        };
        if row.step != Step::Root
            && let Some(parent) = self.rows.get(usize::from(row.parent))
        {
            self.write_path(parent.hash, text);
        }
        write_step(row.step, row.key.as_bytes(), text);
    }

    /// Appends what it means that `requirement` fails: "$.items[].price is missing".
    pub fn describe(&self, path: u64, requirement: Requirement, text: &mut String) {
        self.write_path(path, text);
        let step = self.row(path).map(|row| row.step);
        match requirement {
            Requirement::Present if matches!(step, Some(Step::Element | Step::AnyKey)) => {
                text.push_str(" has no entries");
            }
            Requirement::Present => text.push_str(" is missing"),
            Requirement::Everywhere => text.push_str(" is missing in some places"),
            Requirement::NotNull => text.push_str(" is null"),
            Requirement::Only(kind) => {
                text.push_str(" is not always of type ");
                text.push_str(kind.name());
            }
        }
    }

    /// Writes the table.
    pub fn encode(&self, writer: &mut Writer) {
        writer.f32(self.answers);
        writer.u64(self.left_out);
        writer.length(self.rows.len());
        for row in &self.rows {
            writer.u16(row.parent);
            writer.u8(row.step as u8);
            writer.text(&row.key);
            // Most types never come: a mask says which numbers follow.
            let mut counts = row.counts;
            let mask = (0..)
                .zip(counts.all_mut())
                .fold(0u16, |mask, (bit, count)| {
                    mask | u16::from(*count != 0.0) << bit
                });
            writer.u16(mask);
            counts
                .all_mut()
                .filter(|count| **count != 0.0)
                .for_each(|count| writer.f32(*count));
        }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When the bytes are not such a table, or a count is not a finite, positive number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut presence = Self {
            answers: count(reader)?,
            left_out: reader.u64()?,
            ..Self::default()
        };
        for index in 0..reader.length(MAX_COUNTED_PATHS)? {
            let parent = reader.u16()?;
            let tag = reader.u8()?;
            let step = [Step::Root, Step::Key, Step::Element, Step::AnyKey]
                .into_iter()
                .find(|step| *step as u8 == tag)
                .filter(|step| (*step == Step::Root) == (index == 0))
                .ok_or_else(|| unknown("step of a path", tag.into()))?;
            let key = reader.text(MAX_KEY_BYTES)?;
            let around = presence.rows.get(usize::from(parent)).map(|row| row.hash);
            if around.is_none() && index > 0 {
                return Err(unknown("parent of a path", parent.into()));
            }
            let hash = step.hash(around.unwrap_or_default(), key.as_bytes());
            if presence.indices.contains_key(&hash) {
                return Err(unknown("path", hash));
            }
            let mut counts = Counts::default();
            let mask = reader.u16()?;
            for (bit, value) in (0..).zip(counts.all_mut()) {
                if mask >> bit & 1 == 1 {
                    *value = count(reader)?;
                }
            }
            presence.add_row(hash, Some(parent), step, key);
            if let Some(row) = presence.rows.last_mut() {
                row.counts = counts;
            }
        }
        Ok(presence)
    }
}

fn unknown(what: &'static str, value: u64) -> CodecError {
    CodecError::Unknown { what, value }
}

fn count(reader: &mut Reader<'_>) -> Result<f32, CodecError> {
    let count = reader.f32()?;
    if count.is_finite() && count >= 0.0 {
        Ok(count)
    } else {
        Err(unknown("count", count.to_bits().into()))
    }
}
