//! The versions of a destination: which had traffic recently, which of them are baseline and
//! candidate, and which were condemned.

use super::phase::Phase;
use super::rollout::Rollout;
use super::volumes::Volumes;
use crate::config::Plan;
use crate::limits::MAX_VERSION_BYTES;
use crate::memory::{Candidate, Roles};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Versions of a destination that are remembered.
const MAX_KNOWN: usize = 8;
/// Exchanges that have to be seen before it is said which version was there first.
const SEEN_BEFORE_CHOICE: u64 = 100;
/// Exchanges of a new version before it replaces the candidate.
const SEEN_BEFORE_CANDIDATE: u64 = 20;
/// A version without traffic for this long is gone; should it come back, it is a new one.
const GONE_AFTER_MS: u64 = 600_000;
/// But not before this many times the mean time between its exchanges: a canary that gets a share of
/// one request a minute may have one in ten minutes.
const GONE_AFTER_GAPS: u64 = 20;
/// And no longer than a day.
const GONE_AT_MOST_MS: u64 = 86_400_000;

#[derive(Debug, Clone, Default)]
struct Version {
    name: String,
    last_seen_ms: u64,
    /// Exchanges since it came, or came back.
    exchanges: u64,
    /// When it came, or came back.
    since_ms: u64,
}

impl Version {
    /// A version whose first exchanges came in this tick.
    fn new(name: &str, exchanges: u64, now_ms: u64) -> Self {
        Self {
            name: name.to_owned(),
            last_seen_ms: now_ms,
            exchanges,
            since_ms: now_ms,
        }
    }

    /// Whether it has been silent for longer than is usual for it.
    fn is_gone(&self, now_ms: u64) -> bool {
        let gap = self.last_seen_ms.saturating_sub(self.since_ms) / self.exchanges.max(1);
        let patience = gap
            .saturating_mul(GONE_AFTER_GAPS)
            .clamp(GONE_AFTER_MS, GONE_AT_MOST_MS);
        self.last_seen_ms.saturating_add(patience) < now_ms
    }

    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.name);
        writer.u64(self.last_seen_ms);
        writer.u64(self.exchanges);
        writer.u64(self.since_ms);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            name: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            last_seen_ms: reader.u64()?,
            exchanges: reader.u64()?,
            since_ms: reader.u64()?,
        })
    }
}

/// The versions of one destination.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    /// The newest last.
    known: Vec<Version>,
    baseline: String,
    /// Those that were found anomalous and still have traffic.
    condemned: Vec<String>,
}

/// What has become of the baseline in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baseline {
    /// Too little was seen to choose one.
    Unknown,
    /// It is known, and nothing that was learned of it is outdated.
    Stays,
    /// The config names another version than before.
    Replaced,
    /// The candidate is alone and has become the baseline.
    Promoted,
}

impl Versions {
    /// The baseline's name; empty while none is known.
    pub(super) fn baseline(&self) -> &str {
        &self.baseline
    }

    /// The condemned versions that still have traffic.
    pub(super) fn condemned(&self) -> &[String] {
        &self.condemned
    }

    /// Whether a version has had exchanges here.
    pub(super) fn has_seen(&self, name: &str) -> bool {
        self.known
            .iter()
            .any(|version| version.name == name && version.exchanges > 0)
    }

    /// What another proxy may go on with. `candidate` is the one that is compared.
    pub(super) fn roles(&self, candidate: Option<Candidate>) -> Roles {
        Roles {
            baseline: self.baseline.clone(),
            candidate,
            condemned: self.condemned.clone(),
        }
    }

    /// Goes on with what another proxy knew, whose baseline has exchanges here. The candidate counts as
    /// the newest version, and the condemned ones as older than all that came here.
    pub(super) fn recall(&mut self, roles: &Roles, now_ms: u64) {
        self.baseline.clone_from(&roles.baseline);
        let candidate = roles.candidate.as_ref();
        for name in &roles.condemned {
            if *name == self.baseline {
                continue;
            }
            let is_known = self.known.iter().any(|version| version.name == *name);
            let is_candidate = candidate.is_some_and(|candidate| candidate.name == *name);
            if !is_known && !is_candidate {
                if self.known.len() >= MAX_KNOWN {
                    continue;
                }
                self.known.insert(0, Version::new(name, 0, now_ms));
            }
            self.condemn(name);
        }
        let Some(candidate) = candidate else {
            return;
        };
        let place = self
            .known
            .iter()
            .position(|version| version.name == candidate.name);
        let mut newest = match place {
            Some(place) => self.known.remove(place),
            // It may come later, and is the newest one then.
            None if candidate.rollout.is_none() => return,
            None => Version::new(&candidate.name, 0, now_ms),
        };
        // It has shown itself to the proxy before.
        newest.exchanges = newest.exchanges.max(SEEN_BEFORE_CANDIDATE);
        if self.known.len() >= MAX_KNOWN {
            self.drop_oldest(&candidate.name);
        }
        self.known.push(newest);
    }

    /// Notes which versions took traffic; new ones in the order of their traffic. Tells whether the
    /// rollout is over, because its candidate comes back after a long time.
    pub(super) fn see(
        &mut self,
        volumes: &Volumes,
        rollout: Option<&Rollout>,
        now_ms: u64,
    ) -> bool {
        let candidate = rollout.map_or("", |rollout| rollout.candidate.as_str());
        let mut returned = Vec::new();
        for (name, exchanges) in volumes.iter() {
            if let Some(known) = self.known.iter_mut().find(|known| known.name == name) {
                if known.is_gone(now_ms) && known.name != self.baseline {
                    returned.push((name, exchanges));
                }
                known.last_seen_ms = now_ms;
                known.exchanges = known.exchanges.saturating_add(exchanges);
                continue;
            }
            if self.known.len() >= MAX_KNOWN {
                self.drop_oldest(candidate);
            }
            self.known.push(Version::new(name, exchanges, now_ms));
        }
        // A condemned version stays condemned while it is the candidate.
        let is_condemned = rollout.is_some_and(|rollout| rollout.phase != Phase::Watching);
        returned.retain(|(name, _)| !(is_condemned && *name == candidate));
        for (name, exchanges) in &returned {
            self.known.retain(|version| version.name != *name);
            self.known.push(Version::new(name, *exchanges, now_ms));
        }
        rollout.is_some() && returned.iter().any(|(name, _)| *name == candidate)
    }

    /// Forgets a version: what comes under its name from now on is another release.
    pub(super) fn forget(&mut self, name: &str) {
        self.known.retain(|version| version.name != name);
        self.acquit(name);
    }

    /// Makes room for another version.
    fn drop_oldest(&mut self, candidate: &str) {
        let oldest = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.name != self.baseline && known.name != candidate)
            .min_by_key(|(_, known)| known.last_seen_ms)
            .map(|(index, _)| index);
        if let Some(index) = oldest {
            self.known.remove(index);
        }
    }

    /// Chooses the baseline: by the config, else the version with most traffic at first, until the
    /// candidate has replaced it. `held` tells that the candidate is thought bad: it then does not
    /// become the baseline by being alone, unless a newer version comes.
    pub(super) fn choose_baseline(
        &mut self,
        plan: &Plan,
        candidate: &str,
        held: bool,
        now_ms: u64,
    ) -> Baseline {
        let named = match &plan.reject.reference {
            Some(reference) => Some(&reference.version),
            None => plan.baseline.as_ref(),
        };
        match named {
            Some(name) if *name == self.baseline => Baseline::Stays,
            Some(name) => {
                self.baseline.clone_from(name);
                Baseline::Replaced
            }
            None if self.baseline.is_empty() => match self.first_version(plan) {
                Some(name) => {
                    self.baseline = name;
                    Baseline::Stays
                }
                None => Baseline::Unknown,
            },
            None if self.is_alone(candidate, now_ms)
                && !(held && self.newest(plan, true, now_ms) == Some(candidate)) =>
            {
                self.known.retain(|version| version.name == candidate);
                candidate.clone_into(&mut self.baseline);
                Baseline::Promoted
            }
            None => Baseline::Stays,
        }
    }

    /// The version with most traffic, once enough was seen to say so.
    fn first_version(&self, plan: &Plan) -> Option<String> {
        let total = self
            .known
            .iter()
            .map(|version| version.exchanges)
            .fold(0, u64::saturating_add);
        if total < SEEN_BEFORE_CHOICE {
            return None;
        }
        self.known
            .iter()
            .filter(|version| Some(&version.name) != plan.candidate.as_ref())
            .max_by_key(|version| version.exchanges)
            .map(|version| version.name.clone())
    }

    /// Whether the candidate has traffic and the baseline is gone.
    fn is_alone(&self, candidate: &str, now_ms: u64) -> bool {
        let version = |name: &str| self.known.iter().find(|version| version.name == name);
        let gone = version(&self.baseline).is_none_or(|version| version.is_gone(now_ms));
        let here = version(candidate).is_some_and(|version| version.last_seen_ms == now_ms);
        !candidate.is_empty() && gone && here
    }

    /// The newest version with traffic that may be the candidate. While there is a candidate, a
    /// version has to show itself a few times before it replaces it.
    pub(super) fn newest(&self, plan: &Plan, has_candidate: bool, now_ms: u64) -> Option<&str> {
        let guarded = plan.reject.reference.is_some();
        self.known
            .iter()
            .rev()
            .filter(|version| !version.is_gone(now_ms))
            .filter(|version| !has_candidate || version.exchanges >= SEEN_BEFORE_CANDIDATE)
            .filter(|version| guarded || version.name != self.baseline)
            .find(|version| {
                plan.candidate
                    .as_ref()
                    .is_none_or(|name| version.name == *name)
            })
            .map(|version| version.name.as_str())
    }

    /// Notes that a version was found anomalous.
    pub(super) fn condemn(&mut self, name: &str) {
        if !self.condemned.iter().any(|known| known == name) {
            self.condemned.push(name.to_owned());
        }
    }

    /// Takes back that a version was found anomalous.
    pub(super) fn acquit(&mut self, name: &str) {
        self.condemned.retain(|known| known != name);
    }

    /// Forgets the condemned versions that have no traffic any more, but not the candidate.
    pub(super) fn forget_condemned(&mut self, candidate: &str, now_ms: u64) {
        let known = &self.known;
        self.condemned.retain(|name| {
            name == candidate
                || known
                    .iter()
                    .any(|version| version.name == *name && !version.is_gone(now_ms))
        });
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.baseline);
        writer.list(&self.known, Version::encode);
        writer.list(&self.condemned, |name, writer| writer.text(name));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let name = |reader: &mut Reader<'_>| reader.text(MAX_VERSION_BYTES).map(str::to_owned);
        Ok(Self {
            baseline: name(reader)?,
            known: reader.list(MAX_KNOWN, Version::decode)?,
            condemned: reader.list(MAX_KNOWN, name)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_comes_back_has_the_exchanges_since_then() {
        let plan = Plan::from_json("{}").unwrap();
        let mut versions = Versions::default();
        versions.see(&[("v1", 900), ("v2", 100)].into(), None, 1_000);
        versions.choose_baseline(&plan, "", false, 1_000);
        let rollout = Rollout::new("v2".to_owned(), 1_000);
        let volumes = [("v1", 900), ("v2", 30)].into();
        let is_over = versions.see(&volumes, Some(&rollout), 900_000);
        let exchanges: Vec<(&str, u64)> = versions
            .known
            .iter()
            .map(|version| (version.name.as_str(), version.exchanges))
            .collect();
        assert_eq!(exchanges, [("v1", 1_800), ("v2", 30)]);
        assert!(is_over);
    }
}
