//! The body's paths on one route: what the baseline's answers always have, and a pair for each path
//! that fails.
//!
//! A block in which a requirement fails in neither arm carries no evidence, so a pair is made when
//! its requirement first fails. Weights by the order of appearance sum to at most 1.

use super::pair::{JudgedBlock, Pair};
use super::trial::bit;
use crate::config::Plan;
use crate::exchange::NO_ODDS;
use crate::judge::verdict::Rate;
use crate::shape::Kind;
use crate::shape::presence::{Held, Presence, Requirement};
use crate::signal::body_shape::{HELD, NEEDS};
use crate::signal::{Question, Rule, listed};
use crate::sketch::names::cut;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most pairs of one route.
const MAX_PAIRS: usize = 32;
/// Share of the baseline's answers below which a path counts as gained by the candidate.
const GAINED: f64 = 0.001;
/// Share of the candidate's answers in which a gained path has to be before it is named.
const OFTEN: f64 = 0.05;

/// The category of a requirement that fails.
fn category(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::Present | Requirement::Everywhere => "lost_path",
        Requirement::Only(_) => "changed_type",
        Requirement::NotNull => "null_path",
    }
}

/// A requirement of one path that has failed.
#[derive(Debug, Clone)]
pub(super) struct PathPair {
    path: u64,
    requirement: Requirement,
    /// The number of its question.
    pub(super) question: usize,
    /// How many pairs of the same question were made before it.
    rank: usize,
    pub(super) pair: Pair,
    /// What failed, for people.
    pub(super) detail: String,
}

/// What the bodies of one route look like, per arm, and the paths that failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Bodies {
    pub(super) gathered: [Presence; 2],
    past: [Presence; 2],
    pub(super) pairs: Vec<PathPair>,
}

impl Bodies {
    /// Forgets evidence and the candidate's past.
    pub(super) fn restart(&mut self) {
        let [_, candidate] = &mut self.past;
        *candidate = Presence::default();
        self.gathered = [Presence::default(), Presence::default()];
        self.pairs.clear();
    }

    pub(super) fn promote(&mut self) {
        self.past.reverse();
        self.gathered.reverse();
    }

    /// Judges what was gathered. `expected` says whether a question was declared.
    /// `counted` takes, per question, the answers of baseline and candidate that failed: of the path on
    /// which most did, because one answer that has lost ten paths is one answer.
    pub(super) fn judge(&mut self, plan: &Plan, expected: &[bool], counted: &mut [[u64; 2]]) {
        let [baseline, candidate] = &self.gathered;
        let [known, _] = &self.past;
        if baseline.is_empty()
            || candidate.is_empty()
            || baseline.left_out() + candidate.left_out() > 0
        {
            return;
        }
        let mut failed = vec![[0; 2]; counted.len()];
        for (path, requirement) in known.requirements(HELD, NEEDS) {
            let held = |block: &Presence| block.count_as_known_to(known, path, requirement);
            let (of_baseline, of_candidate) = (held(baseline), held(candidate));
            let index = self
                .pairs
                .iter()
                .position(|pair| pair.path == path && pair.requirement == requirement);
            let index = match index {
                Some(index) => index,
                None if of_baseline.failed() + of_candidate.failed() < 0.5 => continue,
                None => {
                    let Some(pair) = PathPair::new(plan, known, &self.pairs, path, requirement)
                        .filter(|pair| !expected.get(pair.question).copied().unwrap_or(false))
                    else {
                        continue;
                    };
                    self.pairs.push(pair);
                    self.pairs.len() - 1
                }
            };
            if let Some(found) = self.pairs.get_mut(index) {
                let block = JudgedBlock::new(rate(of_candidate), rate(of_baseline), NO_ODDS);
                let both = [block.baseline.inside, block.candidate.inside];
                keep_most(&mut failed, found.question, both);
                found.pair.update(
                    &|odds_ratio| block.law.log_probability(odds_ratio),
                    None,
                    [block.candidate, block.baseline],
                );
            }
        }
        add_all(counted, &failed);
    }

    /// The questions, as bits, to which each answer of a block says yes whose body was looked at: then
    /// it is known of each of them. Where only a part of them does, it is known of none.
    pub(super) fn all_in(&self, block: &Presence) -> u64 {
        let [known, _] = &self.past;
        let in_all = |found: &&PathPair| {
            let held = block.count_as_known_to(known, found.path, found.requirement);
            held.failed() >= 0.5 && held.failed() >= block.answers()
        };
        let pairs = self.pairs.iter().filter(in_all);
        pairs.fold(0, |bits, found| bits | bit(found.question))
    }

    /// Counts what was gathered and is not judged, while a verdict stands: per question, the answers of
    /// baseline and candidate that failed on the path on which most did.
    pub(super) fn count(&self, plan: &Plan, expected: &[bool], counted: &mut [[u64; 2]]) {
        let [known, _] = &self.past;
        if self.gathered.iter().all(Presence::is_empty) {
            return;
        }
        let mut failed = vec![[0; 2]; counted.len()];
        for (path, requirement) in known.requirements(HELD, NEEDS) {
            let Some((question, _)) = question(plan, requirement)
                .filter(|(question, _)| !expected.get(*question).copied().unwrap_or(false))
            else {
                continue;
            };
            let held = |block: &Presence| block.count_as_known_to(known, path, requirement);
            let both = self
                .gathered
                .each_ref()
                .map(|block| rate(held(block)).inside);
            keep_most(&mut failed, question, both);
        }
        add_all(counted, &failed);
    }

    /// Learns what was gathered, when `keep` of the past is kept.
    pub(super) fn learn(&mut self, keep: impl Fn(f64) -> f32) {
        for (past, block) in self.past.iter_mut().zip(&mut self.gathered) {
            past.decay(keep(past.answers()));
            past.merge(block);
            *block = Presence::default();
        }
    }

    /// Paths of the candidate that the baseline's answers hardly ever have.
    pub(super) fn gained(&self) -> String {
        let [baseline, candidate] = &self.past;
        if baseline.answers() < NEEDS {
            return String::new();
        }
        let mut paths: Vec<(f64, String)> = Vec::new();
        for path in candidate.gains(baseline, GAINED) {
            let held = candidate.count(path, Requirement::Present);
            if held.did >= OFTEN * held.could {
                let mut text = String::new();
                candidate.write_path(path, &mut text);
                paths.push((held.did / held.could.max(1.0), text));
            }
        }
        if paths.is_empty() {
            return String::new();
        }
        let shares: Vec<f64> = paths.iter().map(|(share, _)| *share).collect();
        let paths: Vec<String> = crate::order::largest_first(&shares)
            .iter()
            .filter_map(|index| Some(paths.get(*index)?.1.clone()))
            .collect();
        format!("new: {}", listed(&paths))
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        for presence in self.gathered.iter().chain(&self.past) {
            presence.encode(writer);
        }
        writer.length(self.pairs.len());
        for pair in &self.pairs {
            writer.u64(pair.path);
            writer.u8(requirement_tag(pair.requirement));
            writer.u16(pair.question as u16);
            writer.u16(pair.rank as u16);
            writer.text(&pair.detail);
            pair.pair.encode(writer);
        }
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut bodies = Self::default();
        for presence in bodies.gathered.iter_mut().chain(&mut bodies.past) {
            *presence = Presence::decode(reader)?;
        }
        for _ in 0..reader.length(MAX_PAIRS)? {
            let path = reader.u64()?;
            let tag = reader.u8()?;
            let requirement = requirement(tag).ok_or(CodecError::Unknown {
                what: "requirement",
                value: u64::from(tag),
            })?;
            let question = usize::from(reader.u16()?);
            let rank = usize::from(reader.u16()?);
            let detail = reader.text(MAX_DETAIL_BYTES)?.to_owned();
            let (_, asked) = plan.questions.get(question).ok_or(CodecError::Unknown {
                what: "question",
                value: question as u64,
            })?;
            bodies.pairs.push(PathPair {
                path,
                requirement,
                question,
                rank,
                pair: Pair::decode(reader, asked)?,
                detail,
            });
        }
        Ok(bodies)
    }
}

/// Longest text on a path, in bytes: many keys of the longest kind.
const MAX_DETAIL_BYTES: usize = 4 * 1024;

impl PathPair {
    /// A pair for a requirement that fails for the first time; `None` where there is no room.
    fn new(
        plan: &Plan,
        known: &Presence,
        pairs: &[Self],
        path: u64,
        requirement: Requirement,
    ) -> Option<Self> {
        if pairs.len() >= MAX_PAIRS {
            return None;
        }
        let (question, asked) = question(plan, requirement)?;
        let mut detail = String::new();
        known.describe(path, requirement, &mut detail);
        detail.truncate(cut(&detail, MAX_DETAIL_BYTES).len());
        Some(Self {
            path,
            requirement,
            question,
            rank: pairs
                .iter()
                .filter(|pair| pair.question == question)
                .count(),
            pair: Pair::new(asked),
            detail,
        })
    }

    /// Its part of the weight of its question on its route: 1/(n(n+1)).
    pub(super) fn weight(&self) -> f64 {
        let n = (self.rank + 1) as f64;
        1.0 / (n * (n + 1.0))
    }
}

/// Whether a question is asked of paths and not of tokens.
pub(super) fn is_path_question(question: &Question) -> bool {
    matches!(question.rule, Rule::Path)
}

/// The question that a requirement belongs to, with its number.
fn question(plan: &Plan, requirement: Requirement) -> Option<(usize, &Question)> {
    let name = category(requirement);
    let questions = plan.questions.iter().map(|(_, asked)| asked).enumerate();
    let mut of_paths = questions.filter(|(_, asked)| is_path_question(asked));
    of_paths.find(|(_, asked)| asked.name == name)
}

/// Keeps the answers of baseline and candidate that failed a question on the path on which most did.
fn keep_most(failed: &mut [[u64; 2]], question: usize, both: [u64; 2]) {
    for (most, count) in failed.get_mut(question).into_iter().flatten().zip(both) {
        *most = count.max(*most);
    }
}

/// Adds, per question, the answers that failed.
fn add_all(counted: &mut [[u64; 2]], failed: &[[u64; 2]]) {
    for (sum, failed) in counted.iter_mut().flatten().zip(failed.iter().flatten()) {
        *sum = sum.saturating_add(*failed);
    }
}

/// Answers in which a requirement failed, of those in which it could hold.
fn rate(held: Held) -> Rate {
    Rate::new(held.failed().round() as u64, held.could.round() as u64)
}

fn requirement_tag(requirement: Requirement) -> u8 {
    match requirement {
        Requirement::Present => 0,
        Requirement::Everywhere => 1,
        Requirement::NotNull => 2,
        Requirement::Only(kind) => 3 + kind as u8,
    }
}

fn requirement(tag: u8) -> Option<Requirement> {
    match tag {
        0 => Some(Requirement::Present),
        1 => Some(Requirement::Everywhere),
        2 => Some(Requirement::NotNull),
        _ => Kind::ALL
            .into_iter()
            .find(|kind| 3 + *kind as u8 == tag)
            .map(Requirement::Only),
    }
}
