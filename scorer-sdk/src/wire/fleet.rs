//! The answer of `serin serve-verdict` to `GET /v1/fleet`, as far as a proxy acts on it.
//!
//! What answers may be broken, or somebody else. So an answer is bounded, has to be about what was
//! asked, and has to agree with itself. It can say no more than one of two words about a candidate
//! that this proxy named.

use crate::config::FleetPlan;
use crate::judge::verdict::FleetWord;
use crate::telemetry::label_value;
use core::fmt::Write as _;
use serde::Deserialize;

/// Longest answer that is read, in bytes.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;
/// Evidence that is older says nothing about now, in seconds.
pub const OLDEST_SECONDS: f64 = 60.0;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetAnswer {
    /// What to do; `None` for leaving everything as it is.
    pub word: Option<FleetWord>,
    /// Proxies that judge the candidate.
    pub proxies: u64,
    /// Age of its evidence, in seconds.
    pub age_seconds: f64,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It is too long, no answer, about something else, or contradicts itself.
    Unreadable,
    /// Its evidence is too old.
    Old,
}

/// Of the types that a config has as well: the module holds one reader for both.
#[derive(Deserialize)]
struct Written {
    destination: String,
    candidate: Option<String>,
    verdict: String,
    evidence: Option<f64>,
    threshold: Option<f64>,
    age_seconds: Option<f64>,
    proxies: Option<u64>,
}

/// Reads the answer about `candidate` of `destination`.
///
/// # Errors
/// When nothing may be done about it.
pub fn read(bytes: &[u8], destination: &str, candidate: &str) -> Result<FleetAnswer, Unusable> {
    if bytes.len() > MAX_ANSWER_BYTES {
        return Err(Unusable::Unreadable);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Unusable::Unreadable)?;
    let answer: Written = serde_json::from_str(text).map_err(|_| Unusable::Unreadable)?;
    let (Some(evidence), Some(threshold)) = (answer.evidence, answer.threshold) else {
        return Err(Unusable::Unreadable);
    };
    let is_enough = evidence >= threshold;
    let is_half = evidence >= threshold / 2.0;
    let word = match answer.verdict.as_str() {
        // Nobody compares it, as far as is known: that is no word about it.
        "none" => {
            return Ok(FleetAnswer {
                word: None,
                proxies: 0,
                age_seconds: OLDEST_SECONDS,
            });
        }
        "anomalous" if is_enough => Some(FleetWord::Condemn),
        "suspect" if is_half => None,
        "learning" | "healthy" if !is_half => Some(FleetWord::Clear),
        _ => return Err(Unusable::Unreadable),
    };
    let is_about_it = answer.destination == label_value(destination)
        && answer
            .candidate
            .is_some_and(|named| named == label_value(candidate));
    if !is_about_it || threshold <= 0.0 {
        return Err(Unusable::Unreadable);
    }
    match answer.age_seconds {
        Some(age) if (0.0..=OLDEST_SECONDS).contains(&age) => Ok(FleetAnswer {
            word,
            proxies: answer.proxies.unwrap_or(0),
            age_seconds: age,
        }),
        _ => Err(Unusable::Old),
    }
}

/// The path with the question about `candidate` of `destination`, for proxies whose config's
/// `rollout` has this number.
#[must_use]
pub fn question(fleet: &FleetPlan, destination: &str, candidate: &str, rollout: u32) -> String {
    let mut path = fleet.path.clone();
    for (start, value) in [("?destination=", destination), ("&candidate=", candidate)] {
        path.push_str(start);
        push_encoded(&mut path, &label_value(value));
    }
    let _ = write!(path, "&rollout={rollout}");
    path
}

/// Appends a value of a query, percent-encoded.
pub(crate) fn push_encoded(path: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

/// The number of a config's `rollout`, 0 without one.
#[must_use]
pub fn rollout_number(rollout: Option<&str>) -> u32 {
    // FNV-1a, of 32 bits: a metric holds it without loss.
    let hash = |name: &str| {
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    };
    rollout.map_or(0, |name| hash(name).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    fn answer(verdict: &str, evidence: f64, age: &str) -> String {
        format!(
            r#"{{"destination": "shop", "baseline": null, "candidate": "v2", "verdict": "{verdict}",
            "evidence": {evidence}, "threshold": 5.3, "reasons": [], "age_seconds": {age},
            "proxies": 3}}"#
        )
    }

    fn read_it(text: &str) -> Result<Option<FleetWord>, Unusable> {
        read(text.as_bytes(), "shop", "v2").map(|answer| answer.word)
    }

    #[test]
    fn an_answer_is_one_of_two_words_or_none() {
        for (verdict, evidence, word) in [
            ("anomalous", 5.3, Some(FleetWord::Condemn)),
            ("suspect", 9.0, None),
            ("suspect", 2.7, None),
            ("learning", -3.0, Some(FleetWord::Clear)),
            ("healthy", 2.0, Some(FleetWord::Clear)),
            ("none", 0.0, None),
        ] {
            let text = answer(verdict, evidence, "2.5");
            assert_eq!(read_it(&text), Ok(word), "{text}");
        }
    }

    #[test]
    fn what_is_not_about_the_question_or_contradicts_itself_is_of_no_use() {
        for text in [
            answer("anomalous", 5.2, "1"),
            answer("healthy", 5.4, "1"),
            answer("suspect", 1.0, "1"),
            answer("evil", 9.0, "1"),
            answer("anomalous", 9.0, "1").replace("v2", "v3"),
            answer("anomalous", 9.0, "1").replace("shop", "cart"),
            answer("anomalous", 9.0, "1").replace("5.3", "-5.3"),
            answer("anomalous", 9.0, "1").replace("5.3", "1e999"),
            format!(
                "{}{}",
                answer("suspect", 3.0, "1"),
                " ".repeat(MAX_ANSWER_BYTES)
            ),
            String::new(),
            "[".repeat(10_000),
        ] {
            assert_eq!(read_it(&text), Err(Unusable::Unreadable), "{text}");
        }
        for age in ["60.5", "-1", "null"] {
            let text = answer("anomalous", 9.0, age);
            assert_eq!(read_it(&text), Err(Unusable::Old), "{age}");
        }
    }

    #[test]
    fn a_name_is_the_same_in_the_question_the_answer_and_the_label() {
        let plan = Plan::from_json(r#"{"fleet": {"cluster": "serve-verdict"}}"#).unwrap();
        let fleet = plan.fleet.as_ref().unwrap();
        let long = "ü".repeat(90);
        for name in [
            "a;b=c",
            "a;.;version=.=v9;.;",
            "\u{7f}\n",
            "%3B",
            long.as_str(),
        ] {
            let label = label_value(name);
            assert!(
                !label.contains([';', '=', '\n']) && label.len() <= 128,
                "{label}"
            );
            assert_eq!(
                question(fleet, name, name, 0),
                question(fleet, &label, &label, 0)
            );
            let text = answer("anomalous", 9.0, "1");
            let text = text.replace("shop", &label).replace("v2", &label);
            let read = read(text.as_bytes(), name, name).map(|answer| answer.word);
            assert_eq!(read, Ok(Some(FleetWord::Condemn)), "{text}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_question() {
        let plan = Plan::from_json(r#"{"fleet": {"cluster": "serve-verdict"}}"#).unwrap();
        let fleet = plan.fleet.as_ref().unwrap();
        assert_eq!(
            question(fleet, "shop:80 ü", "v2&candidate=v1", 7),
            "/v1/fleet?destination=shop%3A80%20%C3%BC&candidate=v2%26candidate~v1&rollout=7"
        );
        assert_eq!(rollout_number(None), 0);
        assert_ne!(rollout_number(Some("1.4.2")), rollout_number(Some("1.4.3")));
    }
}
