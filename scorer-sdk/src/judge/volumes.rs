//! How much traffic each version took in a tick.

use crate::config::Plan;
use crate::count::delta::{RouteDelta, VersionDelta};
use crate::count::identity::identity;
use crate::sketch::Counts;

/// Exchanges of each version in one tick, the version with most of them first. Exchanges in flight
/// that were counted as slow are among them.
#[derive(Debug, Default)]
pub(super) struct Volumes(Vec<(String, u64)>);

impl Volumes {
    pub(super) fn of(inbox: &[&RouteDelta]) -> Self {
        let mut volumes: Vec<(String, u64)> = Vec::new();
        for version in inbox.iter().flat_map(|route| &route.versions) {
            let volume = exchanges(version);
            if volume == 0 && version.rows.has_cases() {
                // A rollout does not begin with a failure because it is one.
                continue;
            }
            match volumes.iter_mut().find(|known| known.0 == version.version) {
                Some(known) => known.1 += volume,
                None => volumes.push((version.version.clone(), volume)),
            }
        }
        crate::order::sort_by(&mut volumes, |one, other| other.1.cmp(&one.1));
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

/// Failures and exchanges of a version on each route in one tick, as the plan's signal for failures
/// counts them; none where no signal does. The route is told by a hash of its name; several workers
/// may have counted on one.
pub(super) fn failures(
    plan: &Plan,
    inbox: &[&RouteDelta],
    version: &str,
) -> impl Iterator<Item = (u64, [u64; 2])> {
    plan.failures()
        .into_iter()
        .flat_map(move |(index, is_failure)| {
            inbox.iter().flat_map(move |route| {
                let versions = route.versions.iter();
                let name = identity(route.key.label().as_bytes());
                versions
                    .filter(move |known| known.version == version)
                    .filter_map(move |known| known.counts.get(index))
                    .map(move |counts| (name, [counts.total_where(is_failure), counts.total()]))
            })
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
