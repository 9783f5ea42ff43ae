//! Flagger's webhooks: what it posts, and which status means what to it.
//!
//! Flagger posts `{"name", "namespace", "phase", "checksum", "metadata"}` and takes a status above
//! 202 for no. A `rollback` hook that is answered with yes rolls back at once; `confirm-…` hooks
//! hold the rollout until a yes; a `rollout` hook with a no is a failed check.

use super::judgement::{Action, Judgement};
use super::release::{Asked, Release};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Longest name of a destination or version in bytes, as in the metrics.
pub const MAX_NAME: usize = 128;

/// Longest name of an object in Kubernetes, in bytes.
const MAX_OBJECT_NAME: usize = 253;

/// What a hook asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Shall it be rolled back? Yes only for abort.
    Rollback,
    /// May it go on? Yes only for promote.
    Gate,
    /// May it get more traffic? As the gate; and yes while it has none that could be judged.
    Increase,
    /// Is there anything against it? Yes for all but abort.
    Check,
}

impl Hook {
    /// The hook of a path; `None` for another path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/flagger/rollback" => Some(Self::Rollback),
            "/flagger/gate" => Some(Self::Gate),
            "/flagger/increase" => Some(Self::Increase),
            "/flagger/check" => Some(Self::Check),
            _ => None,
        }
    }

    /// Whether Flagger is answered with yes.
    #[must_use]
    pub fn says_yes(self, judgement: &Judgement) -> bool {
        match self {
            Self::Rollback => judgement.decision == Action::Abort,
            Self::Gate => judgement.decision == Action::Promote,
            Self::Increase => match judgement.decision {
                Action::Promote => true,
                // Flagger also asks before the first step, when nobody can have seen it yet. While
                // the traffic of an earlier release under the same name fades, the step waits: once
                // that is gone, the filter judges what comes next anew.
                Action::Wait => judgement.recent_exchanges <= 0.0 || judgement.withdrawn,
                Action::Abort => false,
            },
            Self::Check => judgement.decision != Action::Abort,
        }
    }
}

/// What Flagger posts. Fields that it may add one day are no error.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Payload {
    /// Name of the Canary.
    #[serde(default)]
    pub name: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its phase, such as `Progressing`.
    #[serde(default)]
    pub phase: String,
    /// Of the pods that are rolled out, with the configs that they read: another one with each
    /// release.
    #[serde(default)]
    pub checksum: String,
    /// What its author wrote under the webhook's `metadata`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Payload {
    /// Reads a posted body.
    ///
    /// # Errors
    /// When it is no such JSON.
    pub fn read(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).context("the body is not what Flagger posts")
    }

    /// What the hook is about: destination and candidate from its metadata, the release from the
    /// Canary and its checksum.
    ///
    /// # Errors
    /// When there is no destination, or a name is too long: with the repair.
    pub fn asked(&self) -> Result<Asked> {
        let get = |name: &str| self.metadata.get(name).filter(|value| !value.is_empty());
        let Some(destination) = get("destination") else {
            bail!(
                "the webhook has no metadata.destination: set it to the label `destination` of serin_verdict"
            );
        };
        Ok(Asked {
            destination: checked("metadata.destination", destination)?,
            candidate: get("candidate")
                .map(|candidate| checked("metadata.candidate", candidate))
                .transpose()?,
            release: self.release(destination)?,
            since: None,
        })
    }

    fn release(&self, destination: &str) -> Result<Option<Release>> {
        if self.checksum.is_empty() || self.name.is_empty() {
            return Ok(None);
        }
        for (what, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            if text.len() > MAX_OBJECT_NAME {
                bail!("{what} has to have at most {MAX_OBJECT_NAME} bytes");
            }
        }
        Ok(Some(Release {
            asker: format!("{}/{} {destination}", self.namespace, self.name),
            name: checked("checksum", &self.checksum)?,
        }))
    }
}

/// A name from outside, bounded.
///
/// # Errors
/// When it is empty or longer than [`MAX_NAME`].
pub fn checked(what: &str, name: &str) -> Result<String> {
    if name.is_empty() || name.len() > MAX_NAME {
        bail!("{what} has to have 1 to {MAX_NAME} bytes");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_what_the_hook_is_about() {
        let body = br#"{"name": "shop", "namespace": "test", "phase": "Progressing", "checksum": "85d557f47b",
            "metadata": {"destination": "shop:8080", "candidate": "v2", "more": "x"}, "new": 1}"#;
        let payload = Payload::read(body).unwrap();
        let asked = payload.asked().unwrap();
        let release = Release {
            asker: "test/shop shop:8080".to_owned(),
            name: "85d557f47b".to_owned(),
        };
        let expected = Asked {
            destination: "shop:8080".to_owned(),
            candidate: Some("v2".to_owned()),
            release: Some(release),
            since: None,
        };
        assert_eq!(asked, expected);
        let without = Payload::read(br#"{"metadata": {"destination": "shop"}}"#).unwrap();
        let asked = without.asked().unwrap();
        assert_eq!((asked.candidate, asked.release), (None, None));
    }

    #[test]
    fn what_a_payload_lacks_is_said() {
        for (body, expected) in [
            ("{}".to_owned(), "metadata.destination"),
            ("[]".to_owned(), "metadata.destination"),
            (
                r#"{"metadata": {"destination": ""}}"#.to_owned(),
                "metadata.destination",
            ),
            (
                format!(
                    r#"{{"metadata": {{"destination": "{}"}}}}"#,
                    "x".repeat(129)
                ),
                "1 to 128 bytes",
            ),
            (
                format!(
                    r#"{{"name": "shop", "checksum": "{}", "metadata": {{"destination": "shop"}}}}"#,
                    "x".repeat(129)
                ),
                "checksum",
            ),
            (
                format!(
                    r#"{{"name": "{}", "checksum": "x", "metadata": {{"destination": "shop"}}}}"#,
                    "x".repeat(254)
                ),
                "at most 253 bytes",
            ),
        ] {
            let payload = Payload::read(body.as_bytes()).unwrap();
            let error = payload.asked().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for body in ["", r#"{"metadata": 1}"#, "\u{0}"] {
            assert!(Payload::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
