//! A bounded table of units: hosts, or sessions, of one version.

use super::speed::Speed;
use crate::limits::MAX_QUESTIONS;
use crate::wire::codec::{CodecError, Reader, Writer};

/// What an error calls the counts.
const COUNT: &str = "decayed count of a unit";

/// Answers of one unit to one question, decayed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::judge) struct Answers {
    /// Exchanges in the category.
    pub(in crate::judge) inside: f64,
    /// How many would be in it if the unit were as the others of its version, by route and tick.
    pub(in crate::judge) expected: f64,
    /// Exchanges that the question was put to.
    pub(in crate::judge) total: f64,
}

impl Answers {
    fn decay(&mut self, keep: f64) {
        self.inside *= keep;
        self.expected *= keep;
        self.total *= keep;
    }

    pub(super) fn add(&mut self, (inside, expected): (bool, f64), stands_for: f64) {
        self.inside += f64::from(u8::from(inside));
        self.expected += expected;
        self.total += stands_for;
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        for value in [self.inside, self.expected, self.total] {
            writer.f32(value as f32);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            inside: count(reader)?,
            expected: count(reader)?,
            total: count(reader)?,
        })
    }
}

pub(super) fn count(reader: &mut Reader<'_>) -> Result<f64, CodecError> {
    let value = reader.f32()?;
    if !value.is_finite() || value < 0.0 {
        return Err(CodecError::Unknown {
            what: COUNT,
            value: u64::from(value.to_bits()),
        });
    }
    Ok(f64::from(value))
}

/// One unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::judge) struct Unit {
    /// Stands for its name.
    pub(in crate::judge) id: u32,
    /// When it was first seen, in milliseconds since the epoch.
    pub(in crate::judge) since_ms: u64,
    /// Its recent exchanges, decayed.
    pub(in crate::judge) weight: f64,
    /// Its durations, over the memory of the past; of the baseline's hosts alone.
    pub(super) speed: Speed,
    /// Per question, over the memory of the past.
    pub(in crate::judge) answers: Vec<Answers>,
    /// Per question, over a few seconds; of the candidate's units alone.
    pub(in crate::judge) recent: Vec<Answers>,
}

impl Unit {
    /// What it answered to a question, over each memory.
    pub(super) fn answered(&self, question: usize) -> [Answers; 2] {
        [&self.answers, &self.recent]
            .map(|answers| answers.get(question).copied().unwrap_or_default())
    }

    /// Adds an answer of the baseline.
    pub(super) fn answer(&mut self, question: usize, inside: bool, expected: f64) {
        answer(&mut self.answers, question, (inside, expected), 1.0);
    }

    /// Adds an answer of the candidate, over both memories. It stands for so many exchanges.
    pub(super) fn answer_as_candidate(&mut self, question: usize, inside: bool, stands_for: f64) {
        for memory in [&mut self.answers, &mut self.recent] {
            answer(memory, question, (inside, 0.0), stands_for);
        }
    }
}

/// Adds an answer, and whether it was expected, to those of a unit or of many.
pub(super) fn answer(
    all: &mut Vec<Answers>,
    question: usize,
    inside_expected: (bool, f64),
    stands_for: f64,
) {
    if question >= MAX_QUESTIONS {
        return;
    }
    if all.len() <= question {
        all.resize(question + 1, Answers::default());
    }
    if let Some(answers) = all.get_mut(question) {
        answers.add(inside_expected, stands_for);
    }
}

/// Lets all answers of a unit, or of many, decay.
pub(super) fn decay(all: &mut [Answers], keep: f64) {
    all.iter_mut().for_each(|answers| answers.decay(keep));
}

/// What is left of each memory after a tick.
#[derive(Debug, Clone, Copy)]
pub(in crate::judge) struct Keep {
    /// Of who is busy.
    pub(in crate::judge) busy: f64,
    /// Of what was answered.
    pub(in crate::judge) past: f64,
    /// Of what was answered a few seconds ago.
    pub(in crate::judge) recent: f64,
}

/// Units of one kind and version.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::judge) struct Table {
    units: Vec<Unit>,
    /// Recent exchanges of all units, decayed, those without a place among them.
    weight: f64,
}

impl Table {
    /// The units.
    pub(in crate::judge) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter()
    }

    /// The unit with this number.
    pub(in crate::judge) fn get(&self, id: u32) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.id == id)
    }

    /// The place of the unit with this number; it stays there until one is met or forgotten.
    pub(in crate::judge) fn place(&self, id: u32) -> Option<usize> {
        self.units.iter().position(|unit| unit.id == id)
    }

    /// The unit at a place.
    pub(in crate::judge) fn at(&self, place: usize) -> Option<&Unit> {
        self.units.get(place)
    }

    /// The unit at a place, to add what it answered.
    pub(in crate::judge) fn at_mut(&mut self, place: usize) -> Option<&mut Unit> {
        self.units.get_mut(place)
    }

    /// The part of the recent exchanges that one unit had.
    pub(in crate::judge) fn part(&self, id: u32) -> f64 {
        self.get(id)
            .map_or(0.0, |unit| unit.weight / self.weight.max(f64::MIN_POSITIVE))
    }

    /// Recent exchanges of all units, decayed.
    pub(in crate::judge) fn weight(&self) -> f64 {
        self.weight
    }

    /// How many equally busy units would vary as much: `(Σn)²/Σn²`. 0 where none is known.
    pub(in crate::judge) fn effective(&self) -> f64 {
        let sum: f64 = self.units.iter().map(|unit| unit.weight).sum();
        let squares: f64 = self.units.iter().map(|unit| unit.weight.powi(2)).sum();
        if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        }
    }

    /// Counts an exchange of a unit. A new one takes the place of the least busy when there are
    /// `most`.
    pub(in crate::judge) fn see(&mut self, id: u32, most: usize, now_ms: u64) {
        self.weight += 1.0;
        if let Some(unit) = self.meet(id, most, now_ms) {
            unit.weight += 1.0;
        }
    }

    /// The unit with this number, a new one that is not busy if it is not known.
    pub(in crate::judge) fn meet(
        &mut self,
        id: u32,
        most: usize,
        now_ms: u64,
    ) -> Option<&mut Unit> {
        if let Some(known) = self.units.iter().position(|unit| unit.id == id) {
            return self.units.get_mut(known);
        }
        let new = Unit {
            id,
            since_ms: now_ms,
            weight: 0.0,
            speed: Speed::default(),
            answers: Vec::new(),
            recent: Vec::new(),
        };
        if self.units.len() < most {
            self.units.push(new);
            return self.units.last_mut();
        }
        // Where there are more sessions than places, this is done for most exchanges.
        let mut least: Option<(usize, f64)> = None;
        for (place, unit) in self.units.iter().enumerate() {
            if least.is_none_or(|known| unit.weight < known.1) {
                least = Some((place, unit.weight));
            }
        }
        let least = self.units.get_mut(least?.0)?;
        *least = new;
        Some(least)
    }

    /// The unit with this number, to add what it answered.
    pub(in crate::judge) fn get_mut(&mut self, id: u32) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.id == id)
    }

    /// Forgets what was answered.
    pub(in crate::judge) fn forget_answers(&mut self) {
        self.units.iter_mut().for_each(|unit| {
            unit.speed = Speed::default();
            unit.answers.clear();
            unit.recent.clear();
        });
    }

    /// Lets a tick pass: what is recent by each memory keeps that part. A unit that was silent for long
    /// is forgotten, and none is from the future after the clock was set back.
    pub(in crate::judge) fn decay(&mut self, keep: &Keep, now_ms: u64) {
        self.weight *= keep.busy;
        for unit in &mut self.units {
            unit.since_ms = unit.since_ms.min(now_ms);
            unit.weight *= keep.busy;
            unit.speed.decay(keep.past);
            decay(&mut unit.answers, keep.past);
            decay(&mut unit.recent, keep.recent);
        }
        self.units
            .retain(|unit| unit.weight > 1e-3 || unit.answers.iter().any(|all| all.total > 1.0));
    }

    pub(in crate::judge) fn encode(&self, writer: &mut Writer) {
        writer.f64(self.weight);
        writer.list(&self.units, |unit, writer| {
            writer.u32(unit.id);
            writer.u64(unit.since_ms);
            writer.f32(unit.weight as f32);
            unit.speed.encode(writer);
            writer.list(&unit.answers, Answers::encode);
            writer.list(&unit.recent, Answers::encode);
        });
    }

    pub(in crate::judge) fn decode(
        reader: &mut Reader<'_>,
        most: usize,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            weight: reader.finite(COUNT)?.max(0.0),
            units: reader.list(most, |reader| {
                Ok(Unit {
                    id: reader.u32()?,
                    since_ms: reader.u64()?,
                    weight: count(reader)?,
                    speed: Speed::decode(reader)?,
                    answers: reader.list(MAX_QUESTIONS, Answers::decode)?,
                    recent: reader.list(MAX_QUESTIONS, Answers::decode)?,
                })
            })?,
        })
    }
}
