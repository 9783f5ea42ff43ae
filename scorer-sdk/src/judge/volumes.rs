//! How much traffic each version took in a tick.

use crate::config::Plan;
use crate::count::delta::{RouteDelta, VersionDelta};
use crate::sketch::Counts;

/// Exchanges of each version in one tick, the version with most of them first. Exchanges in flight
/// that were counted as slow are among them.
#[derive(Debug, Default)]
pub(super) struct Volumes(Vec<(String, u64)>);

impl Volumes {
    pub(super) fn of(inbox: &[RouteDelta]) -> Self {
        let mut volumes: Vec<(String, u64)> = Vec::new();
        for version in inbox.iter().flat_map(|route| &route.versions) {
            let volume = exchanges(version);
            match volumes.iter_mut().find(|known| known.0 == version.version) {
                Some(known) => known.1 += volume,
                None => volumes.push((version.version.clone(), volume)),
            }
        }
        volumes.sort_by_key(|volume| core::cmp::Reverse(volume.1));
        Self(volumes)
    }

    /// Names and exchanges.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, volume)| (name.as_str(), *volume))
    }

    /// Exchanges of one version.
    pub(super) fn of_version(&self, name: &str) -> u64 {
        self.iter()
            .find(|known| known.0 == name)
            .map_or(0, |known| known.1)
    }
}

fn exchanges(version: &VersionDelta) -> u64 {
    version
        .counts
        .iter()
        .map(Counts::total)
        .max()
        .unwrap_or(0)
        .max(version.exchanges)
}

/// Failures and exchanges of a version in one tick, as the plan's signal for failures counts them;
/// none where no signal does.
pub(super) fn failures(plan: &Plan, inbox: &[RouteDelta], version: &str) -> [u64; 2] {
    let Some((index, is_failure)) = plan.failures() else {
        return [0; 2];
    };
    inbox
        .iter()
        .flat_map(|route| &route.versions)
        .filter(|known| known.version == version)
        .filter_map(|known| known.counts.get(index))
        .fold([0; 2], |[failures, exchanges], counts| {
            [
                failures + counts.total_where(is_failure),
                exchanges + counts.total(),
            ]
        })
}

#[cfg(test)]
impl<const N: usize> From<[(&str, u64); N]> for Volumes {
    fn from(volumes: [(&str, u64); N]) -> Self {
        Self(
            volumes
                .map(|(name, volume)| (name.to_owned(), volume))
                .into(),
        )
    }
}
