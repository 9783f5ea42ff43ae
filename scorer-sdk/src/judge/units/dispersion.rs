//! How much a category comes in bursts: what one block may add to its evidence.
//!
//! Events within a few seconds are not independent: a garbage collection pause makes all requests of
//! one host slow at once. The dispersion is how much more the counts of the baseline's hosts vary over
//! a few ticks than chance explains, `Σ (O − E)² / Σ V`; 1 where exchanges are independent.
//! `evidence/harm.rs` says why a limit on a block's gain keeps an e-value an e-value; this one is known
//! before the block.

use crate::evidence::{BLOCK_GAIN_LIMIT, BURSTY_BLOCK_GAIN_LIMIT};
use crate::judge::trial::Trial;
use crate::limits::MAX_QUESTIONS;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// Ticks over which a host's counts are summed: about as long as a pause or an outage of one host
/// lasts.
const WINDOW_TICKS: u32 = 4;
/// Hosts that are told apart in a window.
const MAX_HOSTS: usize = 32;
/// What one block may add, in nats, where exchanges are independent.
const INDEPENDENT_GAIN_LIMIT: f64 = 6.0;
/// What it may add at least, where a tick lasts a second. A longer one has room for more than one
/// burst: the limit grows with the root of its length, up to what a block may add by itself.
const LEAST_GAIN_LIMIT: f64 = 0.75;
/// The variance that the prior is worth: that of so many exchanges in a rare category.
const PRIOR_VARIANCE: f64 = 20.0;
/// What an error calls the sums.
const SUM: &str = "sum of a dispersion";

/// Sums of one question over the past windows, decayed: `[Σ (O − E)², Σ V]`.
type Past = [f64; 2];

/// The dispersion of each question.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dispersion {
    past: Vec<Past>,
    ticks: u32,
    /// Per host, what this window has, per question: `[O − E, V]`.
    window: Vec<(u32, Vec<[f64; 2]>)>,
}

impl Dispersion {
    /// Takes the answers of a trial of the baseline; see
    /// [`Units::learn`](super::Units::learn).
    pub(super) fn learn(&mut self, trial: &Trial, expected: &[(usize, f64)]) {
        let index = match self.window.iter().position(|host| host.0 == trial.host) {
            Some(index) => index,
            None if self.window.len() < MAX_HOSTS => {
                self.window.push((trial.host, Vec::new()));
                self.window.len() - 1
            }
            None => return,
        };
        let Some((_, sums)) = self.window.get_mut(index) else {
            return;
        };
        for (question, rate) in expected {
            let Some(inside) = trial.answer(*question) else {
                continue;
            };
            if *question < MAX_QUESTIONS && sums.len() <= *question {
                sums.resize(question + 1, [0.0; 2]);
            }
            if let Some([deviation, variance]) = sums.get_mut(*question) {
                *deviation += f64::from(u8::from(inside)) - rate;
                *variance += rate * (1.0 - rate);
            }
        }
    }

    /// Lets a tick pass, after which `keep` of the past is left.
    pub(super) fn tick(&mut self, keep: f64) {
        for sums in self.past.iter_mut().flatten() {
            *sums *= keep;
        }
        self.ticks += 1;
        if self.ticks < WINDOW_TICKS {
            return;
        }
        self.ticks = 0;
        let window = core::mem::take(&mut self.window);
        let hosts = window.len() as f64;
        if hosts < 2.0 {
            // One host cannot deviate from itself.
            return;
        }
        let questions = window.iter().map(|host| host.1.len()).max().unwrap_or(0);
        if self.past.len() < questions {
            self.past.resize(questions, [0.0; 2]);
        }
        for (_, sums) in window {
            for ([squares, variances], [deviation, variance]) in self.past.iter_mut().zip(sums) {
                // What is expected comes from the hosts themselves.
                *squares += deviation * deviation * hosts / (hosts - 1.0);
                *variances += variance;
            }
        }
    }

    /// The most that one block may add to the evidence of a question, in nats.
    pub(super) fn gain_limit(&self, question: usize, is_bursty: bool, tick: Duration) -> f64 {
        let [squares, variance] = self.past.get(question).copied().unwrap_or_default();
        let before = INDEPENDENT_GAIN_LIMIT
            / if is_bursty {
                BURSTY_BLOCK_GAIN_LIMIT
            } else {
                BLOCK_GAIN_LIMIT
            };
        let dispersion = (PRIOR_VARIANCE * before + squares) / (PRIOR_VARIANCE + variance);
        let least = LEAST_GAIN_LIMIT * tick.as_secs_f64().max(1.0).sqrt();
        (INDEPENDENT_GAIN_LIMIT / dispersion.max(1.0)).max(least.min(BLOCK_GAIN_LIMIT))
    }

    /// The dispersion of a question as it was seen, 1 or more.
    pub(super) fn of(&self, question: usize) -> f64 {
        let [squares, variance] = self.past.get(question).copied().unwrap_or_default();
        ((PRIOR_VARIANCE + squares) / (PRIOR_VARIANCE + variance)).max(1.0)
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        let pair = |pair: &[f64; 2], writer: &mut Writer| {
            pair.iter().for_each(|value| writer.f64(*value));
        };
        writer.list(&self.past, pair);
        writer.u32(self.ticks);
        writer.list(&self.window, |(host, sums), writer| {
            writer.u32(*host);
            writer.list(sums, pair);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let pair = |reader: &mut Reader<'_>| Ok([reader.finite(SUM)?, reader.finite(SUM)?]);
        Ok(Self {
            past: reader.list(MAX_QUESTIONS, pair)?,
            ticks: reader.u32()?.min(WINDOW_TICKS),
            window: reader.list(MAX_HOSTS, |reader| {
                Ok((reader.u32()?, reader.list(MAX_QUESTIONS, pair)?))
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit after 400 ticks of ten hosts with ten requests each; with `chance`, all of a host's
    /// requests fail in a window, else one in a hundred.
    fn limit(chance: f64) -> f64 {
        let mut random = fastrand::Rng::with_seed(5);
        let mut dispersion = Dispersion::default();
        let mut fails = [false; 10];
        let rate = 0.01 + chance;
        for tick in 0..400 {
            if tick % WINDOW_TICKS == 0 {
                fails = fails.map(|_| random.f64() < chance);
            }
            for (host, fails) in (1..).zip(fails) {
                for _ in 0..10 {
                    let inside = fails || random.f64() < 0.01;
                    let trial = Trial {
                        host,
                        asked: 1,
                        inside: u64::from(inside),
                        ..Trial::default()
                    };
                    dispersion.learn(&trial, &[(0, rate)]);
                }
            }
            dispersion.tick(1.0);
        }
        dispersion.gain_limit(0, false, Duration::from_secs(1))
    }

    #[test]
    fn independent_exchanges_may_add_much_and_bursts_little() {
        assert!(limit(0.0) > 4.5, "{}", limit(0.0));
        assert!(limit(0.01) < 1.0, "{}", limit(0.01));
        assert_eq!(
            Dispersion::default().gain_limit(0, true, Duration::from_secs(1)),
            1.5
        );
    }
}
