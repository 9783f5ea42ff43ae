//! The mix of a destination's requests over its routes: the same in both arms, as long as requests
//! are assigned to versions at random.

use super::arm::Arm;
use super::past::LEAST_FOR_DISTANCE;
use super::phase::Judgement;
use super::route::Route;
use crate::config::Plan;
use crate::count::delta::{RouteDelta, VersionDelta};
use crate::evidence::{ChangeTest, TokenBlock, TokenPast};
use crate::sketch::Counts;
use crate::wire::codec::{CodecError, Reader, Writer};

/// The change test over routes.
#[derive(Debug, Clone, Default)]
pub(super) struct Mix {
    change: ChangeTest,
}

impl Mix {
    /// Judges a tick, if it may be. `places` are the indices of the inbox's routes; `arms` are the names
    /// of baseline and candidate.
    pub(super) fn judge(
        &mut self,
        plan: &Plan,
        routes: &[Route],
        (inbox, places): (&[&RouteDelta], &[Option<usize>]),
        [baseline, candidate]: [&str; 2],
        judgement: Judgement,
    ) {
        if judgement != Judgement::Judge || plan.reject.reference.is_some() {
            return;
        }
        let latency = plan.duration();
        let asked = |delta: &RouteDelta, name: &str| {
            delta
                .versions
                .iter()
                .filter(|version| version.version == name)
                .map(|version| requests(version, latency))
                .sum::<u64>()
        };
        let mut block = vec![TokenBlock::default(); routes.len()];
        for (delta, place) in inbox.iter().zip(places) {
            if let Some(token) = place.and_then(|index| block.get_mut(index)) {
                token.candidate += asked(delta, candidate);
                token.baseline += asked(delta, baseline);
            }
        }
        let past: Vec<TokenPast> = routes
            .iter()
            .map(|route| TokenPast {
                candidate: route.past.weight(Arm::Candidate),
                baseline: route.past.weight(Arm::Baseline),
            })
            .collect();
        self.change.update(&block, &past);
    }

    /// Evidence that the mixes differ, in nats.
    pub(super) fn log_evidence(&self) -> f64 {
        self.change.log_evidence()
    }

    /// Total variation distance between the arms' mixes; 0 while too little is known.
    pub(super) fn distance(routes: &[Route]) -> f64 {
        let weight = |route: &Route, arm| route.past.weight(arm);
        let total = |arm| routes.iter().map(|route| weight(route, arm)).sum::<f64>();
        let (baseline, candidate) = (total(Arm::Baseline), total(Arm::Candidate));
        if baseline.min(candidate) < LEAST_FOR_DISTANCE {
            return 0.0;
        }
        routes
            .iter()
            .map(|route| {
                (weight(route, Arm::Candidate) / candidate
                    - weight(route, Arm::Baseline) / baseline)
                    .abs()
            })
            .sum::<f64>()
            / 2.0
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.change.encode(writer);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            change: ChangeTest::decode(reader)?,
        })
    }
}

/// Requests of a version, counted by their latencies: each has one, even while it hangs.
fn requests(version: &VersionDelta, latency: Option<usize>) -> u64 {
    latency
        .and_then(|index| version.counts.get(index))
        .map_or(version.exchanges, Counts::total)
}
