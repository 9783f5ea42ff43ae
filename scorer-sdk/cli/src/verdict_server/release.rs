//! Which release a question is about, and since when.
//!
//! Flagger names a release by a checksum of its pods, Argo Rollouts by a hash of their template. The
//! metrics know versions, whose names may be the same for each release. Time connects the two: as long
//! as an earlier release was asked about, the rollouts that proxies judged were about that one.
//!
//! The first release of an asker after the server's start may have begun long before. Nothing is
//! known of its beginning, so nothing is held against it: the filter judges anew a version that was
//! taken out of the traffic, and a verdict on a version without traffic is none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Askers whose release is remembered; the one that was silent for longest makes room.
const MAX_ASKERS: usize = 1_000;

/// What a question is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// The service.
    pub destination: String,
    /// The version; the one that is being compared without it.
    pub candidate: Option<String>,
    /// The release, in its asker's words.
    pub release: Option<Release>,
    /// The earliest start of a rollout that is about the release, in seconds since the Unix epoch;
    /// none where no earlier release is known.
    pub since: Option<f64>,
}

/// A release as its asker names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Who rolls it out, such as the namespace and name of a Canary: one release at a time.
    pub asker: String,
    /// Its name, such as a checksum of its pods.
    pub name: String,
}

#[derive(Debug)]
struct Heard {
    release: String,
    since: Option<f64>,
    /// When it was last asked about, in seconds since the Unix epoch.
    last_time: f64,
    /// Number of the last question.
    last: u64,
}

/// The release of each asker.
#[derive(Debug, Default)]
pub struct Releases {
    heard: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    questions: u64,
    askers: BTreeMap<String, Heard>,
}

impl Releases {
    /// Notes that a release was asked about at `now`, and says when the one before it was last asked
    /// about; none where none was. Times are seconds since the Unix epoch.
    pub fn hear(&self, release: &Release, now: f64) -> Option<f64> {
        // A question that panicked has left nothing half done that matters.
        let mut memory = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        memory.questions = memory.questions.saturating_add(1);
        let last = memory.questions;
        if let Some(heard) = memory.askers.get_mut(&release.asker) {
            if heard.release != release.name {
                heard.release.clone_from(&release.name);
                heard.since = Some(heard.last_time);
            }
            heard.last = last;
            heard.last_time = now;
            return heard.since;
        }
        if memory.askers.len() >= MAX_ASKERS {
            let silent = memory.askers.iter().min_by_key(|(_, heard)| heard.last);
            if let Some(silent) = silent.map(|(asker, _)| asker.clone()) {
                memory.askers.remove(&silent);
            }
        }
        let heard = Heard {
            release: release.name.clone(),
            since: None,
            last_time: now,
            last,
        };
        memory.askers.insert(release.asker.clone(), heard);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(asker: &str, name: &str) -> Release {
        Release {
            asker: asker.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_release_begins_after_the_last_question_about_the_one_before() {
        let releases = Releases::default();
        let hear = |name, now| releases.hear(&release("shop/shop", name), now);
        // The server may have started amid it.
        assert_eq!(hear("a", 100.0), None);
        assert_eq!(hear("a", 130.0), None);
        assert_eq!(releases.hear(&release("shop/cart", "b"), 140.0), None);
        // Who only asks at the end of a rollout is heard long after it began.
        assert_eq!(hear("b", 200.0), Some(130.0));
        assert_eq!(hear("b", 900.0), Some(130.0));
        // The same pods again after others are another release.
        assert_eq!(hear("a", 950.0), Some(900.0));
    }

    #[test]
    fn the_asker_that_was_silent_for_longest_makes_room() {
        let releases = Releases::default();
        for number in 0..MAX_ASKERS {
            releases.hear(&release(&number.to_string(), "a"), 0.0);
        }
        assert_eq!(releases.hear(&release("0", "b"), 1.0), Some(0.0));
        releases.hear(&release("another", "a"), 2.0);
        let known = releases.heard.lock().unwrap().askers.len();
        assert_eq!(known, MAX_ASKERS);
        assert_eq!(releases.hear(&release("0", "b"), 3.0), Some(0.0));
        // 1 made room.
        assert_eq!(releases.hear(&release("1", "b"), 4.0), None);
    }
}
