//! Whom the leader asks what all proxies together think.

use super::check::{duration, whole};
use super::error::ConfigError;
use super::proxy::Mode;
use super::raw::FleetSection;
use core::time::Duration;

/// Longest name of a cluster, path or token in bytes.
const MAX_TEXT: usize = 1_024;

/// Where the leader asks for the fleet's verdict, and how proxies share the chance of a false alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetPlan {
    /// The proxy's cluster of `serin serve-verdict`.
    pub cluster: String,
    /// Path of the question.
    pub path: String,
    /// Time between two questions.
    pub every: Duration,
    /// Bearer token to send.
    pub token: Option<String>,
    /// Most proxies that compare the same versions: they share half of `false_alarm`.
    pub proxies: u32,
    /// Whether proxies hand on what they have learned, and take it when they start.
    pub memory: bool,
}

pub(super) fn fleet(raw: &FleetSection, mode: Mode) -> Result<FleetPlan, ConfigError> {
    if mode == Mode::Reject {
        return Err(ConfigError::new(
            "fleet",
            "a guard judges by itself",
            "leave it out, or set it where the versions are compared",
        ));
    }
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= MAX_TEXT
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !plain(&raw.cluster) {
        return Err(ConfigError::new(
            "fleet.cluster",
            "is no name of a cluster",
            "name the proxy's cluster of serve-verdict, such as \
             outbound|8095||serin-serve-verdict.istio-system.svc.cluster.local",
        ));
    }
    let path = raw.path.as_deref().unwrap_or("/v1/fleet");
    if !plain(path) || !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(ConfigError::new(
            "fleet.path",
            "is no path",
            "write it as /v1/fleet, without a query",
        ));
    }
    if raw.token.as_deref().is_some_and(|token| !plain(token)) {
        return Err(ConfigError::new(
            "fleet.token",
            "cannot be sent",
            "use 1 to 1024 bytes of printable ASCII without spaces",
        ));
    }
    Ok(FleetPlan {
        cluster: raw.cluster.clone(),
        path: path.to_owned(),
        every: duration("fleet.every", raw.every.as_deref(), "5s", "1s", "5m")?,
        token: raw.token.clone(),
        proxies: whole("fleet.proxies", raw.proxies, 10, 1..=10_000)? as u32,
        memory: raw.memory.unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use crate::Plan;

    fn plan(fleet: &str) -> Result<Plan, String> {
        Plan::from_json(&format!("{{\"fleet\": {fleet}}}")).map_err(|error| error.to_string())
    }

    #[test]
    fn half_of_the_chance_is_the_fleets_and_its_proxies_share_the_other() {
        let set = plan(r#"{"cluster": "serve-verdict", "proxies": 25}"#).unwrap();
        assert_eq!(set.own_false_alarm(), 0.01 / 50.0);
        assert_eq!(set.fleet_false_alarm(), 0.005);
        let unset = Plan::from_json("{}").unwrap();
        assert_eq!(unset.own_false_alarm(), 0.01);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_path() {
        for (fleet, path) in [
            ("{}", "fleet.cluster"),
            (r#"{"cluster": "a b"}"#, "fleet.cluster"),
            (r#"{"cluster": "a", "path": "v1"}"#, "fleet.path"),
            (r#"{"cluster": "a", "path": "/v1?a=b"}"#, "fleet.path"),
            (r#"{"cluster": "a", "every": "0s"}"#, "fleet.every"),
            (r#"{"cluster": "a", "token": "a\nb: c"}"#, "fleet.token"),
            (r#"{"cluster": "a", "proxies": 0}"#, "fleet.proxies"),
            (r#"{"cluster": "a", "proxy": 1}"#, "fleet.proxy"),
        ] {
            let error = plan(fleet).err().unwrap();
            assert!(error.contains(path), "{fleet}: {error}");
        }
    }
}
