//! Where a memory is kept: the path of serve-verdict's `/v1/memory`.

use crate::config::FleetPlan;
use crate::wire::fleet::push_encoded;
use core::fmt::Write as _;

/// The path of the memory that `plugin` has of `destination` under a config with this
/// [layout](crate::judge::Judge::layout). It stands beside `fleet.path`, as `/v1/memory` does beside
/// `/v1/fleet`.
#[must_use]
pub fn path(fleet: &FleetPlan, plugin: &str, destination: &str, layout: u64) -> String {
    let folder = fleet.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path = format!("{folder}/memory?plugin=");
    push_encoded(&mut path, plugin);
    path.push_str("&destination=");
    push_encoded(&mut path, destination);
    let _ = write!(path, "&config={layout:016x}");
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    #[test]
    fn a_memory_is_beside_the_verdict_and_names_stay_in_their_place() {
        let plan = Plan::from_json(r#"{"fleet": {"cluster": "serve-verdict"}}"#).unwrap();
        let fleet = plan.fleet.as_ref().unwrap();
        assert_eq!(
            path(fleet, "istio-system.serin", "shop:80&x", 10),
            "/v1/memory?plugin=istio-system.serin&destination=shop%3A80%26x&config=000000000000000a"
        );
    }
}
