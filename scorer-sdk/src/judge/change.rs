//! One signal on one route, or on all routes: do the versions differ, and by how much?
//!
//! The change test says whether they differ. The effect says by how much, since the difference
//! began: for durations the shift of the median, for every signal the token whose share changed
//! most. A difference is told once there are both evidence and a size that matters. It stays told
//! until half of that size is left, or until nothing is left of the difference: what hovers at a
//! border does not come and go.

use super::arm::Arm;
use super::gathered::Gathered;
use super::past::{Past, tokens};
use crate::config::Differs;
use crate::evidence::{
    ChangeTest, Contrast, Contrasted, Factor, QuantileShift, Spread, TokenBlock, TokenPast,
    block_weight, change_shares,
};
use crate::signal::{Quantity, Signal};
use crate::sketch::{Counts, NameTable};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most tokens of a signal whose shares are followed; there are 150 groups of durations.
const MAX_TOKENS: usize = 160;
/// The quantile of durations whose shift is told.
pub(super) const SHIFT_QUANTILE: f64 = 0.5;
/// Exchanges of the baseline that are remembered before its median is a cut.
const LEAST_FOR_CUT: f64 = 50.0;
/// Ceiling of the CUSUM in nats: a difference that has ended is forgotten after as many.
const HIGHEST_CUSUM: f64 = 30.0;
/// Part of the size that matters down to which a difference stays told.
const KEPT: f64 = 0.5;

/// What has to be shown before a difference is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// Evidence of the change test, in nats.
    pub(super) evidence: f64,
    /// Chance that the size is wrong, of the intervals.
    pub(super) alpha: f64,
    /// Sizes that matter.
    pub(super) sizes: Differs,
    /// How much versions that are alike differ.
    pub(super) spread: Spread,
}

impl Needs {
    /// What is needed to go on telling what was told: no more evidence, and the boundary alone
    /// between the effect and none.
    fn to_stay(self) -> Self {
        Self {
            evidence: f64::NEG_INFINITY,
            alpha: 1.0,
            sizes: Differs {
                latency: KEPT * self.sizes.latency,
                floor_us: (KEPT * self.sizes.floor_us as f64) as u64,
                share: KEPT * self.sizes.share,
            },
            ..self
        }
    }
}

/// A token whose share of the exchanges changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TokenChange {
    /// The token's group.
    pub(super) code: u16,
    /// The candidate's share less the baseline's.
    pub(super) change: f64,
    /// What is not ruled out.
    pub(super) interval: [f64; 2],
}

/// How far two versions are apart on a signal, over many blocks.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Effect {
    weight: f64,
    /// Sorted by the token's group.
    tokens: Vec<(u16, Contrast)>,
    /// The shift of the median, for durations.
    shift: Option<Box<QuantileShift>>,
}

impl Effect {
    fn token(&mut self, code: u16) -> Option<&mut Contrast> {
        let index = match self.tokens.binary_search_by_key(&code, |token| token.0) {
            Ok(index) => index,
            Err(_) if self.tokens.len() >= MAX_TOKENS => return None,
            Err(index) => {
                self.tokens.insert(index, (code, Contrast::default()));
                index
            }
        };
        self.tokens.get_mut(index).map(|token| &mut token.1)
    }

    /// Adds what other blocks have shown. `own` says which of its tokens another's is.
    fn merge(&mut self, other: &Self, own: impl Fn(u16) -> u16) {
        self.weight += other.weight;
        for (code, contrast) in &other.tokens {
            if let Some(sum) = self.token(own(*code)) {
                sum.merge(contrast);
            }
        }
        if let Some(shift) = &other.shift {
            self.shift.get_or_insert_default().merge(shift);
        }
    }

    /// The shift of the median and the baseline's median in microseconds.
    pub(super) fn shift(&self, alpha: f64, spread: &Spread) -> Option<(Factor, f64)> {
        let shift = self.shift.as_ref()?;
        Some((shift.factor(alpha, spread), shift.level()?))
    }

    /// Whether the shift is established and matters.
    fn is_shifted(&self, needs: &Needs) -> bool {
        let Some((factor, level)) = self.shift(needs.alpha, &needs.spread) else {
            return false;
        };
        let Factor {
            estimate,
            lower,
            upper,
        } = factor;
        // Beyond the factors that are tried there is an end and no estimate.
        let shift = estimate
            .or(lower)
            .or(upper)
            .map_or(0.0, |it| (it - 1.0).abs());
        let matters = shift >= needs.sizes.latency && shift * level >= needs.sizes.floor_us as f64;
        matters
            && (lower.is_some_and(|lower| lower > 1.0) || upper.is_some_and(|upper| upper < 1.0))
    }

    /// Whether the share of a token changed, by what matters.
    fn has_changed_share(&self, needs: &Needs) -> bool {
        self.changes(needs.alpha, &needs.spread).any(|found| {
            let [lower, upper] = found.interval;
            found.change.abs() >= needs.sizes.share && (lower > 0.0 || upper < 0.0)
        })
    }

    /// The token whose share changed most for certain.
    pub(super) fn changed_share(&self, alpha: f64, spread: &Spread) -> Option<TokenChange> {
        let certain = |found: &TokenChange| {
            let [lower, upper] = found.interval;
            lower.max(-upper)
        };
        self.changes(alpha, spread)
            .max_by(|one, other| certain(one).total_cmp(&certain(other)))
    }

    /// How the share of each group of tokens changed, the candidate's less the baseline's.
    pub(super) fn shares(&self) -> impl Iterator<Item = (u16, f64)> {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        let tokens = self.tokens.iter();
        tokens.map(move |(code, contrast)| (*code, contrast.score() / weight))
    }

    /// How the share of each token changed. The intervals hold for all tokens together, because any
    /// of them might have been the one that is told.
    fn changes(&self, alpha: f64, spread: &Spread) -> impl Iterator<Item = TokenChange> {
        let alpha = alpha / self.tokens.len().max(1) as f64;
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        self.tokens.iter().map(move |(code, contrast)| TokenChange {
            code: *code,
            change: contrast.score() / weight,
            interval: contrast.limits(alpha, spread).map(|end| end / weight),
        })
    }

    fn encode(&self, writer: &mut Writer) {
        writer.f64(self.weight);
        writer.list(&self.tokens, |(code, contrast), writer| {
            writer.u16(*code);
            contrast.encode(writer);
        });
        writer.option(self.shift.as_deref(), QuantileShift::encode);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut effect = Self {
            weight: reader.finite("weight of blocks")?,
            ..Self::default()
        };
        for _ in 0..reader.length(MAX_TOKENS)? {
            let code = reader.u16()?;
            let read = Contrast::decode(reader)?;
            if let Some(contrast) = effect.token(code) {
                *contrast = read;
            }
        }
        effect.shift = reader.option(QuantileShift::decode)?.map(Box::new);
        Ok(effect)
    }
}

/// What blocks of one tick show on a signal: of one route, or of several together.
#[derive(Debug, Clone, Default)]
pub(super) struct ChangeBlock {
    /// Gain of the change test in nats.
    gain: f64,
    candidate_exchanges: u64,
    effect: Effect,
    /// The names behind the tokens, where several routes have been put together.
    names: NameTable,
}

impl ChangeBlock {
    /// What the block of one route shows, held against the route's past. `index` is the signal's.
    pub(super) fn of(
        index: usize,
        signal: &dyn Signal,
        past: &Past,
        gathered: &Gathered,
    ) -> Option<Self> {
        let group = |code| signal.group(code);
        let [past_baseline, past_candidate] = past.both(index)?;
        let candidate = gathered.side(Arm::Candidate as usize).get(index)?;
        let baseline = gathered.side(Arm::Baseline as usize).get(index)?;
        let decayed = |(code, count): (u16, f32)| (group(code), f64::from(count));
        let past_tokens = tokens(
            past_candidate.iter().map(decayed),
            past_baseline.iter().map(decayed),
            Vec::new(),
        );
        let counted = |(code, count): (u16, u32)| (group(code), f64::from(count));
        let known = past_tokens.iter().map(|token| (token.0, [0.0; 2]));
        let block_tokens = tokens(
            candidate.iter().map(counted),
            baseline.iter().map(counted),
            known.collect(),
        );
        let block: Vec<TokenBlock> = block_tokens
            .iter()
            .map(|(_, [candidate, baseline])| TokenBlock {
                candidate: *candidate as u64,
                baseline: *baseline as u64,
            })
            .collect();
        let past_of_tokens: Vec<TokenPast> = past_tokens
            .iter()
            .map(|(_, [candidate, baseline])| TokenPast {
                candidate: *candidate,
                baseline: *baseline,
            })
            .collect();
        let [of_candidate, of_baseline] = [candidate.total(), baseline.total()];
        let mut effect = Effect {
            weight: block_weight(of_candidate, of_baseline),
            ..Effect::default()
        };
        for ((code, _), counts) in block_tokens.iter().zip(&block) {
            if counts.candidate + counts.baseline == 0 {
                continue;
            }
            if let Some(contrast) = effect.token(*code) {
                contrast.merge(&Contrast::of(Contrasted {
                    candidate_in: counts.candidate,
                    candidate: of_candidate,
                    baseline_in: counts.baseline,
                    baseline: of_baseline,
                }));
            }
        }
        if signal.quantity() == Some(Quantity::Duration) && past_baseline.total() >= LEAST_FOR_CUT {
            effect.shift = shift(past_baseline.quantile(SHIFT_QUANTILE)?, candidate, baseline);
        }
        Some(Self {
            gain: change_shares(&block, &past_of_tokens).iter().sum(),
            candidate_exchanges: of_candidate,
            effect,
            names: NameTable::default(),
        })
    }

    /// Adds the block of another route. `theirs` are the names behind its tokens.
    pub(super) fn add(&mut self, other: &Self, theirs: &NameTable) {
        self.gain += other.gain;
        self.candidate_exchanges = self
            .candidate_exchanges
            .saturating_add(other.candidate_exchanges);
        let translated = translation(&other.effect, theirs, &mut self.names);
        self.effect.merge(&other.effect, translated);
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.effect.weight <= 0.0
    }
}

/// The shift of a block with both arms in it.
fn shift(cut: u16, candidate: &Counts, baseline: &Counts) -> Option<Box<QuantileShift>> {
    (!candidate.is_empty() && !baseline.is_empty())
        .then(|| Box::new(QuantileShift::of(cut, candidate, baseline)))
}

/// Which token of `own` each token of an effect is.
fn translation(effect: &Effect, theirs: &NameTable, own: &mut NameTable) -> impl Fn(u16) -> u16 {
    let known: Vec<(u16, u16)> = effect
        .tokens
        .iter()
        .filter_map(|(code, _)| Some((*code, own.code(theirs.name(*code)?))))
        .collect();
    move |code| {
        known
            .iter()
            .find(|(from, _)| *from == code)
            .map_or(code, |(_, to)| *to)
    }
}

/// What is known of one signal: on a route, or on all.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    test: ChangeTest,
    /// CUSUM of the test's gains. While it is zero no difference has begun, and the effect starts
    /// over, so that it covers the time since it began.
    cusum: f64,
    effect: Effect,
    /// The names behind the effect's tokens, for all routes together.
    names: NameTable,
    told: bool,
}

impl Change {
    /// Takes a block.
    pub(super) fn judge(&mut self, block: &ChangeBlock, spread: &Spread) {
        let gain = block.gain / spread.divisor();
        self.test.update_by(gain, block.candidate_exchanges);
        if self.cusum <= 0.0 {
            self.effect = Effect::default();
        }
        if gain.is_finite() {
            self.cusum = (self.cusum + gain).clamp(0.0, HIGHEST_CUSUM);
        }
        let translated = translation(&block.effect, &block.names, &mut self.names);
        self.effect.merge(&block.effect, translated);
    }

    /// Says whether the difference is told from now on.
    pub(super) fn settle(&mut self, needs: &Needs) {
        let needs = if self.told { needs.to_stay() } else { *needs };
        self.told = self.test.log_evidence() >= needs.evidence
            && (self.effect.is_shifted(&needs) || self.effect.has_changed_share(&needs));
    }

    /// Whether the difference is told.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The evidence that the versions differ, in nats.
    pub(super) fn log_evidence(&self) -> f64 {
        self.test.log_evidence()
    }

    /// How far they are apart since the difference began.
    pub(super) fn effect(&self) -> &Effect {
        &self.effect
    }

    /// The names behind the tokens, for all routes together; empty for a single route, which has
    /// them in its past.
    pub(super) fn names(&self) -> &NameTable {
        &self.names
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.test.encode(writer);
        writer.f64(self.cusum);
        self.effect.encode(writer);
        self.names.encode(writer);
        writer.u8(u8::from(self.told));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            test: ChangeTest::decode(reader)?,
            cusum: reader.finite("CUSUM")?,
            effect: Effect::decode(reader)?,
            names: NameTable::decode(reader)?,
            told: reader.u8()? == 1,
        })
    }
}
