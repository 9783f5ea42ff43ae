//! A pair of route and category: the harm test, and what explains it.

use super::seen::Seen;
use crate::config::Plan;
use crate::evidence::{
    ALTERNATIVES, BLOCK_GAIN_LIMIT, BURSTY_BLOCK_GAIN_LIMIT, Block, HarmTest, Law, Likelihoods,
    OddsRatioInterval, QuantileShift, Spread, Starts,
};
use crate::exchange::NO_ODDS;
use crate::judge::verdict::Rate;
use crate::signal::{Direction, Question};
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Odds ratio, in multiples of the tolerance, by which the start of a difference is found.
const ONSET_ALTERNATIVE: f64 = 3.0;

/// A block with its law.
#[derive(Debug)]
pub(super) struct JudgedBlock {
    pub(super) law: Law,
    /// What to tell of the versions: cases are not taken for a part of all exchanges.
    pub(super) candidate: Rate,
    pub(super) baseline: Rate,
    /// The shift of the quantile that the question is about, if it is about one.
    pub(super) shift: Option<Box<QuantileShift>>,
}

impl JudgedBlock {
    /// The block of the exchanges that were judged. One in the category was `odds` times as likely to be
    /// as another, in sixteenths.
    pub(super) fn new(candidate: Rate, baseline: Rate, odds: u16) -> Self {
        // As many others as there are where there are so many in the category.
        let told = |rate: Rate| {
            let others = rate.total.saturating_sub(rate.inside);
            Rate {
                inside: rate.inside,
                total: rate.inside + others * u64::from(odds) / u64::from(NO_ODDS),
                estimated_from: (odds != NO_ODDS).then_some(others),
            }
        };
        Self {
            law: Law::new(&Block {
                candidate: candidate.total,
                baseline: baseline.total,
                candidate_in: candidate.inside,
                baseline_in: baseline.inside,
            }),
            candidate: told(candidate),
            baseline: told(baseline),
            shift: None,
        }
    }

    /// What the block adds to the interval; none where it says nothing about the odds ratio.
    fn likelihoods(&self) -> Option<Likelihoods> {
        let law = &self.law;
        (!law.is_degenerate()).then(|| Likelihoods::of(&|ratio| law.log_probability(ratio)))
    }
}

/// Blocks that are judged together: given their margins they are independent, so that the likelihood
/// of all is the product.
#[derive(Debug, Default)]
pub(super) struct Together {
    blocks: Vec<JudgedBlock>,
    /// What they add to the interval.
    likelihoods: Likelihoods,
}

impl Together {
    pub(super) fn of(blocks: Vec<JudgedBlock>) -> Self {
        let mut all = Self::default();
        all.extend(blocks);
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Adds blocks.
    pub(super) fn extend(&mut self, blocks: Vec<JudgedBlock>) {
        for block in blocks {
            if let Some(likelihoods) = block.likelihoods() {
                self.likelihoods.add(&likelihoods);
            }
            self.blocks.push(block);
        }
    }

    /// Adds blocks that were judged together. What a single one adds to the interval is known; that of
    /// several is added block by block, so that the sum does not depend on who was judged with whom.
    pub(super) fn append(&mut self, mut others: Self) {
        if others.blocks.len() == 1 {
            self.likelihoods.add(&others.likelihoods);
            self.blocks.append(&mut others.blocks);
        } else {
            self.extend(others.blocks);
        }
    }

    /// `ln P` in nats of all blocks.
    fn log_probability(&self, odds_ratio: f64) -> f64 {
        let blocks = self.blocks.iter();
        blocks
            .map(|block| block.law.log_probability(odds_ratio))
            .sum()
    }

    fn rate(&self, part: fn(&JudgedBlock) -> Rate) -> Rate {
        let rates = self.blocks.iter().map(part);
        rates.fold(Rate::default(), |sum, rate| sum + rate)
    }
}

/// Evidence and explanation of one route and category.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) harm: HarmTest,
    pub(super) interval: OddsRatioInterval,
    /// The shift of the quantile that the question is about, if it is about one.
    pub(super) shift: Option<Box<QuantileShift>>,
    pub(super) candidate: Rate,
    pub(super) baseline: Rate,
    /// What is behind these rates, once an exchange of the candidate is in the category.
    pub(super) seen: Option<Box<Seen>>,
    /// CUSUM of the log likelihood ratio at [`ONSET_ALTERNATIVE`]. While it is zero no difference
    /// has begun, and interval and rates start over, so that they cover the time since it began.
    cusum: f64,
    /// When the difference may have begun, in milliseconds since the epoch.
    starts: Starts<{ ALTERNATIVES.len() }>,
}

impl Pair {
    pub(super) fn new(question: &Question) -> Self {
        Self {
            harm: HarmTest::new(question.tolerance).with_gain_limit(gain_limit(question)),
            interval: OddsRatioInterval::default(),
            shift: None,
            candidate: Rate::default(),
            baseline: Rate::default(),
            seen: None,
            cusum: 0.0,
            starts: Starts::default(),
        }
    }

    /// Sets the odds ratio that is tolerated from the next block on, and what one block may add in nats.
    /// Both must be known before that block.
    pub(super) fn set_tolerance(&mut self, tolerance: f64, gain_limit: f64) {
        self.harm.set_tolerance(tolerance);
        self.harm = self.harm.with_gain_limit(gain_limit);
    }

    /// Judges a block. `log_probability` gives ln P(block; odds ratio), `likelihoods` what it adds to
    /// the interval, where that is known.
    #[inline(never)]
    pub(super) fn update(
        &mut self,
        log_probability: &dyn Fn(f64) -> f64,
        likelihoods: Option<&Likelihoods>,
        [candidate, baseline]: [Rate; 2],
    ) {
        let tolerance = self.harm.tolerance();
        let boundary = log_probability(tolerance);
        let gains = self
            .harm
            .update_from(boundary, log_probability, candidate.total);
        self.starts.advance(gains);
        if candidate.inside + baseline.inside > 0 || candidate.total > 0 {
            let gain = log_probability(ONSET_ALTERNATIVE * tolerance) - boundary;
            if self.cusum <= 0.0 {
                self.start_over();
            }
            self.cusum = (self.cusum + gain).max(0.0);
            match likelihoods {
                Some(known) => self.interval.add(known),
                None => self.interval.add(&Likelihoods::of(log_probability)),
            }
            self.candidate = self.candidate + candidate;
            self.baseline = self.baseline + baseline;
        }
    }

    /// Says when the block began that was judged last.
    pub(super) fn judged_since(&mut self, began_ms: u64) {
        self.starts.began(began_ms);
    }

    /// When the difference began, in milliseconds since the epoch, as far as can be told; none where
    /// no block speaks for one.
    pub(super) fn onset_ms(&self) -> Option<u64> {
        self.starts.best()
    }

    /// Forgets what was told of the time before a difference began.
    #[inline(never)]
    fn start_over(&mut self) {
        self.interval.reset();
        self.shift = None;
        self.seen = None;
        self.candidate = Rate::default();
        self.baseline = Rate::default();
    }

    /// Adds the shift of a block that was judged.
    pub(super) fn add_shift(&mut self, shift: Option<&QuantileShift>) {
        if let Some(shift) = shift {
            self.shift.get_or_insert_default().merge(shift);
        }
    }

    /// Notes what is behind the rates of a block that was judged.
    pub(super) fn see(&mut self, add: impl FnOnce(&mut Seen)) {
        if self.candidate.inside > 0 {
            add(self.seen.get_or_insert_default());
        }
    }

    /// Whether it is certain that the quantile which a question is about is shifted by less than the
    /// signal's margin. Such a difference is no harm, however certain it is: far beyond a cut, where
    /// hardly any exchange is, a small shift multiplies the odds. `question` is its number.
    ///
    /// Leaving evidence out keeps the mean over all pairs an e-value.
    pub(super) fn is_certainly_small(&self, plan: &Plan, question: usize) -> bool {
        self.smaller_than_the_margin(plan, question)
            .unwrap_or(false)
    }

    fn smaller_than_the_margin(&self, plan: &Plan, question: usize) -> Option<bool> {
        let signal = plan.signals.get(plan.questions.get(question)?.0)?;
        let shift = self.shift.as_ref()?;
        let cut = buckets::code(shift.level()? as u64);
        let widened = signal.widen(cut, Direction::Up);
        let margin = buckets::upper_bound(widened) as f64 / buckets::upper_bound(cut).max(1) as f64;
        Some(shift.upper(plan.false_alarm, &Spread::default())? < margin)
    }

    /// Judges several blocks together.
    pub(super) fn update_all(&mut self, all: &Together) {
        if all.is_empty() {
            return;
        }
        self.update(
            &|odds_ratio| all.log_probability(odds_ratio),
            Some(&all.likelihoods),
            [
                all.rate(|block| block.candidate),
                all.rate(|block| block.baseline),
            ],
        );
        for block in &all.blocks {
            self.add_shift(block.shift.as_deref());
        }
    }

    #[inline(never)]
    pub(super) fn encode(&self, writer: &mut Writer) {
        self.harm.encode(writer);
        // The one of the last block: what is told until the next one refers to it.
        writer.f64(self.harm.tolerance());
        self.interval.encode(writer);
        writer.option(self.shift.as_deref(), QuantileShift::encode);
        self.candidate.encode(writer);
        self.baseline.encode(writer);
        writer.option(self.seen.as_deref(), Seen::encode);
        writer.f64(self.cusum);
        self.starts.encode(writer);
    }

    #[inline(never)]
    pub(super) fn decode(reader: &mut Reader<'_>, question: &Question) -> Result<Self, CodecError> {
        let mut harm =
            HarmTest::decode(reader, question.tolerance)?.with_gain_limit(gain_limit(question));
        harm.set_tolerance(reader.finite("tolerance")?);
        let interval = OddsRatioInterval::decode(reader)?;
        let shift = reader.option(QuantileShift::decode)?.map(Box::new);
        let (candidate, baseline) = (Rate::decode(reader)?, Rate::decode(reader)?);
        let seen = reader.option(Seen::decode)?.map(Box::new);
        let cusum = reader.f64()?;
        if !cusum.is_finite() {
            return Err(CodecError::Unknown {
                what: "CUSUM",
                value: cusum.to_bits(),
            });
        }
        Ok(Self {
            harm,
            interval,
            shift,
            candidate,
            baseline,
            seen,
            cusum,
            starts: Starts::decode(reader)?,
        })
    }
}

fn gain_limit(question: &Question) -> f64 {
    if question.bursty {
        BURSTY_BLOCK_GAIN_LIMIT
    } else {
        BLOCK_GAIN_LIMIT
    }
}
