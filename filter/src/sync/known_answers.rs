//! What serve-verdict need not say again: the tag of an answer, and how long the answer stands.
//!
//! A tag covers all of an answer but its age, and an answer "nothing has changed" tells no age. So
//! this proxy counts the time itself: once the evidence that it was told of is too old, it asks as if
//! it knew nothing. However often somebody says that nothing has changed, that keeps nothing alive.

use super::inquiry::About;
use core::time::Duration;
use scorer_sdk::wire::fleet::{FleetAnswer, OLDEST_SECONDS};

/// Evidence that is older says nothing, in seconds.
const OLDEST: u64 = OLDEST_SECONDS as u64;
/// Longest tag that is kept, in bytes.
const MAX_TAG: usize = 64;

/// An answer about a candidate.
#[derive(Debug)]
struct Known {
    about: About,
    tag: String,
    answer: FleetAnswer,
    /// When its evidence is too old.
    until: Duration,
}

/// The last answer about each candidate, as far as it had a tag.
#[derive(Debug, Default)]
pub struct KnownAnswers {
    known: Vec<Known>,
}

impl KnownAnswers {
    /// Keeps an answer that came at `now`, in place of the one before.
    pub fn keep(&mut self, about: &About, answer: FleetAnswer, tag: Option<&[u8]>, now: Duration) {
        if let Some(place) = self.place(about) {
            self.known.swap_remove(place);
        }
        // In whole seconds, and rather too few.
        let stands = OLDEST.saturating_sub(answer.age_seconds as u64 + 1);
        let tag = tag.and_then(|tag| core::str::from_utf8(tag).ok());
        if let Some(tag) = tag
            && stands > 0
            && tag.len() <= MAX_TAG
            && tag.bytes().all(|byte| byte.is_ascii_graphic())
        {
            self.known.push(Known {
                about: about.clone(),
                tag: tag.to_owned(),
                answer,
                until: now + Duration::from_secs(stands),
            });
        }
    }

    /// The tag and the answer about a candidate, while the answer stands.
    #[must_use]
    pub fn find(&self, about: &About, now: Duration) -> Option<(&str, FleetAnswer)> {
        let known = self.known.get(self.place(about)?)?;
        // After the clock was set back it would stand for too long.
        let left = known.until.checked_sub(now)?.as_secs();
        (1..=OLDEST)
            .contains(&left)
            .then_some((known.tag.as_str(), known.answer))
    }

    fn place(&self, about: &About) -> Option<usize> {
        self.known.iter().position(|known| known.about == *about)
    }

    /// Forgets the candidates that are none any more.
    pub fn retain(&mut self, candidates: &[About]) {
        self.known.retain(|known| candidates.contains(&known.about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(candidate: &str) -> About {
        About {
            destination: "shop".to_owned(),
            candidate: candidate.to_owned(),
        }
    }

    fn answer(age_seconds: f64) -> FleetAnswer {
        FleetAnswer {
            word: None,
            proxies: 3,
            age_seconds,
        }
    }

    #[test]
    fn an_answer_stands_until_its_evidence_is_a_minute_old() {
        let mut known = KnownAnswers::default();
        let at = Duration::from_secs;
        known.keep(&about("v2"), answer(20.0), Some(b"W/\"a\""), at(1_000));
        let found = |known: &KnownAnswers, now| known.find(&about("v2"), at(now)).is_some();
        assert!(found(&known, 1_000) && found(&known, 1_038));
        assert!(!found(&known, 1_040) && !found(&known, 9_000));
        assert!(!found(&known, 970), "the clock was set back");
        assert!(known.find(&about("v3"), at(1_000)).is_none());
        // The next one takes its place.
        known.keep(&about("v2"), answer(0.0), Some(b"W/\"b\""), at(1_030));
        let tag = known.find(&about("v2"), at(1_080)).map(|found| found.0);
        assert_eq!(tag, Some("W/\"b\""));
        known.retain(&[about("v3")]);
        assert!(!found(&known, 1_030));
    }

    #[test]
    fn a_tag_that_cannot_be_sent_back_and_old_evidence_are_not_kept() {
        let long = [b'a'; MAX_TAG + 1];
        for (tag, age) in [
            (None, 1.0),
            (Some(b"a b".as_slice()), 1.0),
            (Some(b"a\r\nx: y"), 1.0),
            (Some(&long), 1.0),
            (Some(b"W/\"a\""), OLDEST_SECONDS),
        ] {
            let mut known = KnownAnswers::default();
            known.keep(&about("v2"), answer(age), tag, Duration::ZERO);
            assert!(known.known.is_empty(), "{tag:?} {age}");
        }
    }
}
