//! Today's judges, each written anew after its documentation and held against its own cases.
//!
//! All of them read metrics of whole minutes. None is asked for more than its documents promise:
//! thresholds and limits are their documented defaults or examples.

pub mod argo;
pub mod flagger;
pub mod kayenta;
pub mod rank_sum;
pub mod z_test;

use super::minute::Minute;

/// A judge of metrics.
pub trait Peer {
    /// Name, for tables.
    fn name(&self) -> &'static str;

    /// Whether it fails the candidate, having looked at the end of each of these minutes.
    fn fails(&self, minutes: &[Minute]) -> bool;

    /// Whether it fails the candidate when it looks once, at the end of all minutes.
    fn fails_once(&self, minutes: &[Minute]) -> bool {
        self.fails(minutes)
    }
}

/// All of them, with their documented settings.
#[must_use]
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(kayenta::Kayenta::default()),
        Box::new(flagger::Flagger::default()),
        Box::new(flagger::Flagger {
            needs_traffic: false,
            ..flagger::Flagger::default()
        }),
        Box::new(argo::Argo::default()),
        Box::new(z_test::ZTest::default()),
    ]
}

/// How many minutes pass until a judge that looks at the end of each fails the candidate.
#[must_use]
pub fn minutes_until_failure(peer: &dyn Peer, minutes: &[Minute]) -> Option<usize> {
    (1..=minutes.len()).find(|count| peer.fails(minutes.get(..*count).unwrap_or_default()))
}
