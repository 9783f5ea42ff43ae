//! The versions of a destination: which had traffic of late, and which of them are baseline and
//! candidate.

use super::destination::Destination;
use super::phase::Phase;
use super::rollout::Rollout;
use super::route::Route;
use crate::config::Plan;
use crate::count::delta::{RouteDelta, VersionDelta};
use crate::sketch::Counts;

/// Versions of a destination that are remembered.
pub(super) const MAX_VERSIONS: usize = 8;
/// Exchanges that have to be seen before it is said which version was there first.
const SEEN_BEFORE_CHOICE: u64 = 100;
/// Exchanges of a new version before it takes the place of the candidate.
const SEEN_BEFORE_CANDIDATE: u64 = 20;
/// A version without traffic for this long is gone; should it come back, it is a new one.
const GONE_AFTER_MS: u64 = 600_000;
/// But not before so many times the mean time between its exchanges: one in ten minutes is a
/// canary's part of a request a minute.
const GONE_AFTER_GAPS: u64 = 20;
/// And not longer than a day.
const GONE_AT_MOST_MS: u64 = 86_400_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) last_seen_ms: u64,
    /// Exchanges since it came, or came back.
    pub(super) exchanges: u64,
    /// When it came, or came back.
    pub(super) since_ms: u64,
}

impl Version {
    /// Whether it has been silent for longer than is usual for it.
    pub(super) fn is_gone(&self, now_ms: u64) -> bool {
        let gap = self.last_seen_ms.saturating_sub(self.since_ms) / self.exchanges.max(1);
        let patience = gap
            .saturating_mul(GONE_AFTER_GAPS)
            .clamp(GONE_AFTER_MS, GONE_AT_MOST_MS);
        self.last_seen_ms.saturating_add(patience) < now_ms
    }
}

impl Destination {
    /// Notes which versions took traffic; new ones in the order of their traffic.
    pub(super) fn see(&mut self, volumes: &[(String, u64)], now_ms: u64) {
        let mut returned = Vec::new();
        for (name, exchanges) in volumes {
            if let Some(known) = self.versions.iter_mut().find(|known| known.name == *name) {
                if known.is_gone(now_ms) && known.name != self.baseline {
                    returned.push((name.clone(), *exchanges));
                }
                known.last_seen_ms = now_ms;
                known.exchanges += exchanges;
                continue;
            }
            if self.versions.len() >= MAX_VERSIONS {
                let (baseline, candidate) = (self.baseline.clone(), self.candidate().to_owned());
                let oldest = self
                    .versions
                    .iter()
                    .enumerate()
                    .filter(|(_, known)| known.name != baseline && known.name != candidate)
                    .min_by_key(|(_, known)| known.last_seen_ms)
                    .map(|(index, _)| index);
                if let Some(index) = oldest {
                    self.versions.remove(index);
                }
            }
            self.versions.push(Version {
                name: name.clone(),
                last_seen_ms: now_ms,
                exchanges: *exchanges,
                since_ms: now_ms,
            });
        }
        for (name, exchanges) in returned {
            self.forget(&name, exchanges, now_ms);
        }
    }

    /// A version that comes back after a long time, with so many exchanges, is a new one; but one that
    /// was condemned stays so while it is the candidate.
    fn forget(&mut self, name: &str, exchanges: u64, now_ms: u64) {
        let condemned = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.candidate == name && rollout.phase != Phase::Watching);
        if condemned {
            return;
        }
        self.versions.retain(|version| version.name != name);
        self.versions.push(Version {
            name: name.to_owned(),
            last_seen_ms: now_ms,
            exchanges,
            since_ms: now_ms,
        });
        if self.candidate() == name {
            self.rollout = None;
        }
    }

    /// Says which version is the baseline and which the candidate: by the config, else the one with
    /// most traffic at first and the newest one since.
    pub(super) fn assign(&mut self, plan: &Plan, now_ms: u64) {
        let named = match &plan.reject.reference {
            Some(reference) => Some(&reference.version),
            None => plan.baseline.as_ref(),
        };
        match named {
            Some(name) if *name == self.baseline => {}
            Some(name) => {
                // What was learned as the baseline was another version's.
                self.routes.clear();
                self.watch = self.watch.as_ref().map(|_| Box::default());
                self.rollout = None;
                self.baseline.clone_from(name);
            }
            None if self.baseline.is_empty() => match self.first_version(plan) {
                Some(name) => self.baseline = name,
                None => return,
            },
            None => self.promote_if_alone(now_ms),
        }
        if let Some(newest) = self.newest_version(plan, now_ms)
            && newest != self.candidate()
        {
            self.start_rollout(plan, newest, now_ms);
        }
        let candidate = self.candidate().to_owned();
        let seen = |name: &String| {
            self.versions
                .iter()
                .any(|version| version.name == *name && !version.is_gone(now_ms))
        };
        let mut condemned = core::mem::take(&mut self.condemned_versions);
        condemned.retain(|name| *name == candidate || seen(name));
        self.condemned_versions = condemned;
    }

    /// The version with most traffic, once enough was seen to say so.
    fn first_version(&self, plan: &Plan) -> Option<String> {
        let total: u64 = self.versions.iter().map(|version| version.exchanges).sum();
        if total < SEEN_BEFORE_CHOICE {
            return None;
        }
        self.versions
            .iter()
            .filter(|version| Some(&version.name) != plan.candidate.as_ref())
            .max_by_key(|version| version.exchanges)
            .map(|version| version.name.clone())
    }

    /// The newest version with traffic that may be the candidate. A version has to show itself a
    /// few times before it replaces another.
    fn newest_version(&self, plan: &Plan, now_ms: u64) -> Option<String> {
        let guarded = plan.reject.reference.is_some();
        let none_yet = self.rollout.is_none();
        self.versions
            .iter()
            .rev()
            .filter(|version| !version.is_gone(now_ms))
            .filter(|version| none_yet || version.exchanges >= SEEN_BEFORE_CANDIDATE)
            .filter(|version| guarded || version.name != self.baseline)
            .find(|version| {
                plan.candidate
                    .as_ref()
                    .is_none_or(|name| version.name == *name)
            })
            .map(|version| version.name.clone())
    }

    fn promote_if_alone(&mut self, now_ms: u64) {
        let version = |name: &str| self.versions.iter().find(|version| version.name == name);
        let candidate = self.candidate().to_owned();
        let gone = version(&self.baseline).is_none_or(|version| version.is_gone(now_ms));
        let here = version(&candidate).is_some_and(|version| version.last_seen_ms == now_ms);
        if !candidate.is_empty() && gone && here {
            self.versions.retain(|version| version.name == candidate);
            self.baseline = candidate;
            self.rollout = None;
            self.routes.iter_mut().for_each(Route::promote);
            if let Some(watch) = &mut self.watch {
                watch.promote();
            }
        }
    }

    fn start_rollout(&mut self, plan: &Plan, candidate: String, now_ms: u64) {
        self.rollout = Some(Rollout {
            candidate,
            started_ms: now_ms,
            phase_ms: now_ms,
            ..Rollout::default()
        });
        if let Some(watch) = &mut self.watch {
            watch.restart();
        }
        self.restart(plan);
    }
}

/// Exchanges of each version in this tick, those in flight that were counted as slow among them,
/// the version with most traffic first.
pub(super) fn volumes(inbox: &[RouteDelta]) -> Vec<(String, u64)> {
    let mut volumes: Vec<(String, u64)> = Vec::new();
    for version in inbox.iter().flat_map(|route| &route.versions) {
        let volume = exchanges(version);
        match volumes.iter_mut().find(|known| known.0 == version.version) {
            Some(known) => known.1 += volume,
            None => volumes.push((version.version.clone(), volume)),
        }
    }
    volumes.sort_by_key(|volume| core::cmp::Reverse(volume.1));
    volumes
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

pub(super) fn volume(volumes: &[(String, u64)], name: &str) -> u64 {
    volumes
        .iter()
        .find(|known| known.0 == name)
        .map_or(0, |known| known.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a tick pass in which these versions had so many exchanges.
    fn pass(shop: &mut Destination, plan: &Plan, volumes: &[(&str, u64)], now_ms: u64) {
        let volumes: Vec<(String, u64)> = volumes
            .iter()
            .map(|(name, exchanges)| ((*name).to_owned(), *exchanges))
            .collect();
        shop.see(&volumes, now_ms);
        shop.assign(plan, now_ms);
    }

    #[test]
    fn a_named_candidate_that_has_become_the_baseline_is_no_candidate_of_itself() {
        let plan = Plan::from_json(r#"{"candidate": "v2"}"#).unwrap();
        let mut shop = Destination::new("shop");
        pass(&mut shop, &plan, &[("v1", 900), ("v2", 100)], 1_000);
        assert_eq!(shop.arms(), ["v1", "v2"]);
        for now_ms in [300_000, 600_000, 900_000] {
            pass(&mut shop, &plan, &[("v2", 100)], now_ms);
        }
        assert_eq!(shop.arms(), ["v2", ""]);
    }

    #[test]
    fn a_version_that_comes_back_has_the_exchanges_since_then() {
        let plan = Plan::from_json("{}").unwrap();
        let mut shop = Destination::new("shop");
        pass(&mut shop, &plan, &[("v1", 900), ("v2", 100)], 1_000);
        pass(&mut shop, &plan, &[("v1", 900), ("v2", 30)], 900_000);
        let exchanges: Vec<(&str, u64)> = shop
            .versions
            .iter()
            .map(|version| (version.name.as_str(), version.exchanges))
            .collect();
        assert_eq!(exchanges, [("v1", 1_800), ("v2", 30)]);
    }
}
