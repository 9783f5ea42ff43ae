//! From a request to its answer: paths, parameters, statuses. No sockets here.

use super::flagger::{Hook, Payload, checked};
use super::fleet::Scope;
use super::judgement::{self, Judgement};
use super::memory::MemoryKey;
use super::prometheus::Prometheus;
use super::release::{Asked, Release, Releases};
use anyhow::{Context, Result, anyhow};
use scorer_sdk::route::key::MAX_PART_BYTES;
use scorer_sdk::telemetry::ROLLOUT_ID;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An answer: a status and a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// A refusal with its reason.
    #[must_use]
    pub fn error(status: u16, reason: &str) -> Self {
        Self {
            status,
            body: json!({ "error": reason }),
        }
    }
}

/// What a request asks for, told from its method, path and query.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Is the server there? Prometheus is not asked.
    Health,
    /// `GET /verdict`
    Verdict(Asked),
    /// `POST /flagger/…`; the body says about what.
    Flagger(Hook),
    /// `GET /v1/fleet`, with the candidate where one is named.
    Fleet(Scope, Option<String>),
    /// `/v1/memory`, and whether it is a `PUT`.
    Memory(MemoryKey, bool),
}

/// Reads a request line; `target` is the path with its query.
///
/// # Errors
/// The answer that says what is wrong.
pub fn question(method: &str, target: &str) -> Result<Question, Reply> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let allowed = match path {
        "/healthz" | "/verdict" | "/v1/fleet" => ["GET", "HEAD"].as_slice(),
        "/v1/memory" => ["GET", "HEAD", "PUT"].as_slice(),
        _ if Hook::at(path).is_some() => ["POST"].as_slice(),
        _ => {
            return Err(Reply::error(
                404,
                "there are GET /verdict, GET /v1/fleet, GET and PUT /v1/memory, GET /healthz, POST /flagger/rollback, POST /flagger/gate, POST /flagger/increase and POST /flagger/check",
            ));
        }
    };
    if !allowed.contains(&method) {
        return Err(Reply::error(
            405,
            &format!("{path} wants {}", allowed.join(" or ")),
        ));
    }
    if let Some(hook) = Hook::at(path) {
        return Ok(Question::Flagger(hook));
    }
    if path == "/healthz" {
        return Ok(Question::Health);
    }
    let bad = |error: anyhow::Error| Reply::error(400, &format!("{error:#}"));
    let parameters = parameters(query).map_err(bad)?;
    if path == "/v1/memory" {
        let key = memory_key(&parameters).map_err(bad)?;
        return Ok(Question::Memory(key, method == "PUT"));
    }
    let get = |name: &str| {
        let found = parameters
            .iter()
            .find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| checked(name, value)).transpose()
    };
    let destination = get("destination").map_err(bad)?.ok_or_else(|| {
        Reply::error(
            400,
            &format!("ask as {path}?destination=…&candidate=…, with the labels of serin_verdict"),
        )
    })?;
    let candidate = get("candidate").map_err(bad)?;
    if path == "/v1/fleet" {
        let rollout = get("rollout").map_err(bad)?.map(|number| {
            number.parse().map_err(|_| {
                let reason = format!("rollout is the number in {}", ROLLOUT_ID.name);
                Reply::error(400, &reason)
            })
        });
        let scope = Scope {
            destination,
            rollout: rollout.transpose()?,
        };
        return Ok(Question::Fleet(scope, candidate));
    }
    let release = get("release").map_err(bad)?.map(|name| Release {
        asker: destination.clone(),
        name,
    });
    Ok(Question::Verdict(Asked {
        destination,
        candidate,
        release,
        since: None,
    }))
}

/// Answers a question; asks Prometheus, and so may take as long as its timeout.
#[must_use]
pub fn answer(
    question: &Question,
    body: &[u8],
    prometheus: &Prometheus,
    window: Duration,
    releases: &Releases,
) -> Reply {
    let (mut asked, hook) = match question {
        Question::Health => {
            return Reply {
                status: 200,
                body: json!({"status": "ok"}),
            };
        }
        // Answered from what is remembered: `fleet_answer`.
        Question::Fleet(..) | Question::Memory(..) => {
            return Reply::error(500, "this is answered elsewhere");
        }
        Question::Verdict(asked) => (asked.clone(), None),
        Question::Flagger(hook) => match Payload::read(body).and_then(|payload| payload.asked()) {
            Ok(asked) => (asked, Some(*hook)),
            Err(error) => return Reply::error(400, &format!("{error:#}")),
        },
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // Noted before Prometheus is asked: a release begins whether that answers or not.
    asked.since = asked
        .release
        .as_ref()
        .and_then(|release| releases.hear(release, now.unwrap_or_default().as_secs_f64()));
    let expression = judgement::question(&asked, window);
    match prometheus.query(&expression) {
        // Neither yes nor no: Flagger does not roll back and does not go on, Argo counts an error.
        Err(error) => Reply::error(502, &format!("{error:#}")),
        Ok(samples) => {
            let judgement = judgement::judge(&samples, &asked, window);
            reply(&judgement, hook)
        }
    }
}

/// What a memory is about.
fn memory_key(parameters: &[(String, String)]) -> Result<MemoryKey> {
    let get = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key == name);
        let value = found.map(|(_, value)| value.as_str()).ok_or_else(|| {
            anyhow!("ask as /v1/memory?plugin=…&destination=…&config=…: {name} is missing")
        })?;
        anyhow::ensure!(value.len() <= MAX_PART_BYTES, "{name} is too long");
        Ok(value)
    };
    let config = get("config")?;
    anyhow::ensure!(
        config.len() == 16 && config.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "config is a number of 16 hexadecimal digits"
    );
    Ok(MemoryKey {
        plugin: get("plugin")?.to_owned(),
        destination: get("destination")?.to_owned(),
        config: u64::from_str_radix(config, 16).context("config is no number")?,
    })
}

fn reply(judgement: &Judgement, hook: Option<Hook>) -> Reply {
    let status = match hook {
        Some(hook) if !hook.says_yes(judgement) => 409,
        _ => 200,
    };
    match serde_json::to_value(judgement) {
        Ok(body) => Reply { status, body },
        Err(error) => Reply::error(500, &error.to_string()),
    }
}

/// The pairs of a query string, decoded.
fn parameters(query: &str) -> Result<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

/// Undoes percent-encoding, with `+` for a space.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(), digit());
                high.zip(low)
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                    .ok_or_else(|| anyhow!("the query has a % without two hexadecimal digits"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).context("the query is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::telemetry::label_value;
    use scorer_sdk::wire;

    #[test]
    fn each_path_has_its_method_and_others_are_refused() {
        for (method, target, status) in [
            ("GET", "/", 404),
            ("GET", "/flagger/", 404),
            ("POST", "/verdict?destination=a", 405),
            ("GET", "/flagger/rollback", 405),
            ("GET", "/verdict", 400),
            ("GET", "/verdict?destination=", 400),
            ("GET", "/verdict?destination=%zz", 400),
            ("GET", "/verdict?destination=%ff", 400),
            (
                "GET",
                &format!("/verdict?destination={}", "a".repeat(129)),
                400,
            ),
        ] {
            let refused = question(method, target).unwrap_err();
            assert_eq!(
                refused.status, status,
                "{method} {target}: {}",
                refused.body
            );
        }
        assert_eq!(question("GET", "/healthz"), Ok(Question::Health));
        assert_eq!(
            question("POST", "/flagger/gate"),
            Ok(Question::Flagger(Hook::Gate))
        );
    }

    #[test]
    fn a_proxys_question_is_about_the_labels_whatever_the_names_are() {
        let plan = scorer_sdk::Plan::from_json(r#"{"fleet": {"cluster": "serve-verdict"}}"#);
        let fleet = plan.unwrap().fleet.unwrap();
        let mut random = fastrand::Rng::with_seed(15);
        let odd: Vec<char> = ";=.,~%&+?#\"\\{}\n\u{7f}\u{85} aZ9äß漢🦀".chars().collect();
        for _ in 0..2_000 {
            let mut name = || -> String {
                let length = random.usize(1..60);
                (0..length).filter_map(|_| random.choice(&odd)).collect()
            };
            let (destination, candidate) = (name(), name());
            let target = wire::fleet::question(&fleet, &destination, &candidate, 7);
            let scope = Scope {
                destination: label_value(&destination),
                rollout: Some(7),
            };
            let expected = Question::Fleet(scope, Some(label_value(&candidate)));
            assert_eq!(question("GET", &target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn names_in_a_query_are_decoded() {
        let asked = question(
            "GET",
            "/verdict?candidate=v2%2B1&destination=shop%3A80+x&other=1&release=6f8d",
        );
        let expected = Asked {
            destination: "shop:80 x".to_owned(),
            candidate: Some("v2+1".to_owned()),
            release: Some(Release {
                asker: "shop:80 x".to_owned(),
                name: "6f8d".to_owned(),
            }),
            since: None,
        };
        assert_eq!(asked, Ok(Question::Verdict(expected)));
        // As Argo Rollouts sends it where the argument was left empty.
        let without = question("GET", "/verdict?destination=shop&release=");
        assert!(
            matches!(&without, Ok(Question::Verdict(asked)) if asked.release.is_none()),
            "{without:?}"
        );
    }
}
