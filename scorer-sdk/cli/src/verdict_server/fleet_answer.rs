//! An answer to `GET /v1/fleet`: its status, its body, and the tag that spares sending it twice.

use super::answer::Reply;
use super::fleet::{FleetVerdict, Scope};
use super::fleet_cache::Answer;
use scorer_sdk::wire::fleet::OLDEST_SECONDS;
use std::time::Duration;

/// An answer with its tag.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetReply {
    /// Status and body; status 304 has none.
    pub reply: Reply,
    /// The header `etag`; none with an error.
    pub tag: Option<String>,
}

/// The answer about a candidate. `known` came from Prometheus so long ago; `if_none_match` is the
/// header of the request.
#[must_use]
pub fn fleet_reply(
    scope: &Scope,
    candidate: Option<&str>,
    (known, age): &(Answer, Duration),
    if_none_match: &str,
) -> FleetReply {
    let samples = match known {
        Ok(samples) => samples,
        Err(reason) => return Reply::error(502, reason).into(),
    };
    let mut verdict = scope.verdict(samples, candidate);
    verdict.age_seconds = verdict
        .age_seconds
        .map(|seconds| ((seconds + age.as_secs_f64()) * 1e3).round() / 1e3);
    let tag = tag(&verdict);
    // A 304 tells no age: it would keep alive what is too old.
    let is_fresh = verdict
        .age_seconds
        .is_some_and(|seconds| seconds <= OLDEST_SECONDS);
    let is_known = if_none_match
        .split(',')
        .map(str::trim)
        .any(|known| known == tag || known == "*");
    let reply = if is_known && is_fresh {
        Reply {
            status: 304,
            body: serde_json::Value::Null,
        }
    } else {
        match serde_json::to_value(&verdict) {
            Ok(body) => Reply { status: 200, body },
            Err(error) => return Reply::error(500, &error.to_string()).into(),
        }
    };
    FleetReply {
        reply,
        tag: Some(tag),
    }
}

impl From<Reply> for FleetReply {
    fn from(reply: Reply) -> Self {
        Self { reply, tag: None }
    }
}

/// A weak tag of all that is said, but for its age, which changes with each look.
fn tag(verdict: &FleetVerdict) -> String {
    let ageless = FleetVerdict {
        age_seconds: None,
        ..verdict.clone()
    };
    let text = serde_json::to_string(&ageless).unwrap_or_default();
    // FNV-1a.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("W/\"{hash:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict_server::prometheus::Sample;
    use std::sync::Arc;

    fn known(evidence: f64) -> Answer {
        let sample = |part: &str, value| Sample {
            labels: [("asked", part), ("version", "v2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            value,
        };
        Ok(Arc::from([
            sample("enough_alone", 5.0),
            sample("evidence", evidence),
            sample("age", 2.0),
        ]))
    }

    #[test]
    fn what_has_not_changed_is_not_sent_again_until_it_is_too_old() {
        let scope = Scope {
            destination: "shop".to_owned(),
            rollout: None,
        };
        let ask = |evidence, age, tag: &str| {
            let known = (known(evidence), Duration::from_millis(age));
            fleet_reply(&scope, None, &known, tag)
        };
        let first = ask(6.0, 0, "");
        assert_eq!(first.reply.status, 200);
        assert_eq!(first.reply.body["age_seconds"], 2.0);
        let tag = first.tag.unwrap();
        let again = ask(6.0, 700, &format!("W/\"other\", {tag}"));
        assert_eq!((again.reply.status, again.tag.as_ref()), (304, Some(&tag)));
        assert_eq!(ask(6.0, 58_000, &tag).reply.status, 304);
        let old = ask(6.0, 58_001, &tag);
        assert_eq!(old.reply.status, 200);
        assert_eq!(old.reply.body["age_seconds"], 60.001);
        let other = ask(6.5, 700, &tag);
        assert_eq!(other.reply.status, 200);
        assert_eq!(other.reply.body["age_seconds"], 2.7);
        let failed = (Err("no Prometheus".to_owned()), Duration::ZERO);
        assert_eq!(fleet_reply(&scope, None, &failed, "*").reply.status, 502);
    }
}
