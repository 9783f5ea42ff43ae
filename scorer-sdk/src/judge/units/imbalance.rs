//! How unlike the sessions of the two versions are.
//!
//! Where a session stays with a version, the versions have different sessions, and what differs between
//! sessions differs between versions. Where each request is assigned by itself, both have the same
//! ones. `Σ (w_c − w_s)²` over all sessions tells it, `w` their parts of each version's exchanges: it
//! is `1/k_c + 1/k_s` for `k` equally busy sessions that stay, and 0 for those that are shared. It is
//! sketched without a table of sessions (Alon, Matias, Szegedy, "The space complexity of approximating
//! the frequency moments", 1996).

use crate::judge::arm::Arm;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Sums of the sketch: the bits of a session's number. The relative error is a quarter.
const SUMS: usize = 32;
/// Standard errors of the sketch by which the part of chance is taken larger than its mean.
const ERROR: f64 = 1.3;
/// What an error calls the sums.
const SUM: &str = "sum of a sketch";

/// The sketch of two versions' sessions, decayed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::judge) struct Imbalance {
    /// Per version, the exchanges of all sessions, each with a sign of its own in each sum.
    sums: [[f64; SUMS]; 2],
    /// Per version, its exchanges with a session.
    weight: [f64; 2],
}

impl Imbalance {
    /// Counts an exchange of a session; 0 stands for none.
    pub(in crate::judge) fn see(&mut self, arm: Arm, session: u32) {
        if session == 0 {
            return;
        }
        let index = arm as usize;
        if let (Some(sums), Some(weight)) = (self.sums.get_mut(index), self.weight.get_mut(index)) {
            *weight += 1.0;
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if session >> bit & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
    }

    /// Lets a tick pass, after which `keep` is left.
    pub(in crate::judge) fn decay(&mut self, keep: f64) {
        self.sums.iter_mut().flatten().for_each(|sum| *sum *= keep);
        self.weight.iter_mut().for_each(|weight| *weight *= keep);
    }

    /// Forgets a version.
    pub(in crate::judge) fn forget(&mut self, arm: Arm) {
        if let (Some(sums), Some(weight)) = (
            self.sums.get_mut(arm as usize),
            self.weight.get_mut(arm as usize),
        ) {
            *sums = [0.0; SUMS];
            *weight = 0.0;
        }
    }

    /// The versions change places.
    pub(in crate::judge) fn swap(&mut self) {
        self.sums.reverse();
        self.weight.reverse();
    }

    /// `Σ (w_c − w_s)²`, less what chance adds to it where each exchange has its own session.
    pub(in crate::judge) fn apart(&self) -> f64 {
        let [baseline, candidate] = &self.sums;
        let [of_baseline, of_candidate] = self.weight;
        if of_baseline < 1.0 || of_candidate < 1.0 {
            return 0.0;
        }
        let squares: f64 = baseline
            .iter()
            .zip(candidate)
            .map(|(baseline, candidate)| {
                (candidate / of_candidate - baseline / of_baseline).powi(2)
            })
            .sum();
        // Exponential decay: the weights' sum squared is twice the sum over the sum of squares.
        let by_chance = 0.5 / of_baseline + 0.5 / of_candidate;
        (squares / SUMS as f64 - ERROR * by_chance).max(0.0)
    }

    pub(in crate::judge) fn encode(&self, writer: &mut Writer) {
        for sum in self.sums.iter().flatten() {
            writer.f32(*sum as f32);
        }
        self.weight.iter().for_each(|weight| writer.f64(*weight));
    }

    pub(in crate::judge) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut imbalance = Self::default();
        for sum in imbalance.sums.iter_mut().flatten() {
            let value = reader.f32()?;
            if !value.is_finite() {
                return Err(CodecError::Unknown {
                    what: SUM,
                    value: u64::from(value.to_bits()),
                });
            }
            *sum = f64::from(value);
        }
        for weight in &mut imbalance.weight {
            *weight = reader.finite(SUM)?.max(0.0);
        }
        Ok(imbalance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::identity::short;

    /// The imbalance of 200 exchanges a second, of which the candidate gets a tenth.
    fn apart(mut session: impl FnMut(&mut fastrand::Rng) -> (u64, Arm)) -> f64 {
        let mut random = fastrand::Rng::with_seed(3);
        let mut imbalance = Imbalance::default();
        for _ in 0..600 {
            imbalance.decay(0.99);
            for _ in 0..200 {
                let (session, arm) = session(&mut random);
                imbalance.see(arm, short(session));
            }
        }
        imbalance.apart()
    }

    #[test]
    fn sessions_that_stay_are_told_from_those_that_are_shared() {
        let version = |is_candidate: bool| {
            if is_candidate {
                Arm::Candidate
            } else {
                Arm::Baseline
            }
        };
        let shared = apart(|random| (random.u64(..40), version(random.u8(..10) == 0)));
        let own = apart(|random| (random.u64(..), version(random.u8(..10) == 0)));
        let staying = apart(|random| {
            let session = random.u64(..40);
            (session, version(session < 4))
        });
        assert!(shared < 0.005 && own < 0.005, "{shared} {own}");
        let expected = 1.0 / 4.0 + 1.0 / 36.0;
        assert!((0.5..1.5).contains(&(staying / expected)), "{staying}");
    }
}
