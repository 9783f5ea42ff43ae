//! `--attribution`: what each host call costs, from filters that make that call and no other.

use std::fs;

use anyhow::{Context, Result};
use scorer_sdk::telemetry::STEER_HEADER;
use serde_json::json;
use serin_integration::envoy::workspace;
use serin_integration::topology::WasmFilter;

use crate::raw_filter::{Ask, Asks, Map, module};
use crate::variants::Variant;

/// Where the modules go, from the workspace's root.
const FOLDER: &str = "target/attribution";
/// The filter that asks nothing.
pub(crate) const NOTHING: &str = "nothing";
/// A name that no header of the load has.
const ABSENT: &str = STEER_HEADER.name;

/// Each filter's name and what it asks.
fn filters() -> Vec<(&'static str, Asks)> {
    let request = |asks: Vec<Ask>| Asks {
        request: asks,
        ..Asks::default()
    };
    let log = |ask| Asks {
        log: vec![ask],
        ..Asks::default()
    };
    let pairs = Ask::Pairs(Map::Request);
    vec![
        (NOTHING, Asks::default()),
        ("request-map", request(vec![pairs.clone()])),
        (
            "request-map-twice",
            request(vec![pairs.clone(), pairs.clone()]),
        ),
        (
            "both-maps",
            Asks {
                request: vec![pairs.clone()],
                response: vec![Ask::Pairs(Map::Response)],
                log: Vec::new(),
            },
        ),
        (
            "header-present",
            request(vec![Ask::Value(Map::Request, "user-agent")]),
        ),
        (
            "header-absent",
            request(vec![Ask::Value(Map::Request, ABSENT)]),
        ),
        (
            "remove-absent",
            request(vec![Ask::Remove(Map::Request, ABSENT)]),
        ),
        ("cluster-name", log(Ask::Property("xds.cluster_name"))),
        ("upstream-address", log(Ask::Property("upstream.address"))),
        ("connection-id", log(Ask::Property("connection_id"))),
        ("response-code", log(Ask::Property("response.code"))),
        ("clock", log(Ask::Clock)),
        (
            // What Serin asks for one exchange.
            "as-serin",
            Asks {
                request: vec![pairs, Ask::Clock],
                response: vec![Ask::Pairs(Map::Response), Ask::Clock],
                log: vec![Ask::Property("xds.cluster_name"), Ask::Clock],
            },
        ),
    ]
}

/// Writes the modules and gives the variants, the one that asks nothing first.
///
/// # Errors
/// When a module cannot be written.
pub(crate) fn variants() -> Result<Vec<Variant>> {
    let folder = workspace().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let write = |(name, asks): (&str, Asks)| {
        let path = folder.join(format!("{name}.wasm"));
        fs::write(&path, module(&asks)?).with_context(|| path.display().to_string())?;
        Ok(Variant {
            name: name.to_owned(),
            about: format!("{asks:?}"),
            filters: vec![WasmFilter::new(&path, &json!({})).to_json()],
            server: None,
        })
    };
    filters().into_iter().map(write).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::Value;

    use super::*;

    /// Exit code of the script where node is missing.
    const NO_NODE: i32 = 3;

    #[test]
    fn each_filter_makes_its_calls_and_no_other() {
        let variants = variants().unwrap();
        let arguments = variants.iter().flat_map(|variant| {
            let module = format!("{0}={FOLDER}/{0}.wasm", variant.name);
            ["--plain".to_owned(), module]
        });
        let answer = Command::new(workspace().join("scripts/bench-module.sh"))
            .args(["--quick", "--json", "--only"])
            .args(arguments)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&answer.stderr);
        if answer.status.code() == Some(NO_NODE) && std::env::var_os("CI").is_none() {
            eprintln!("left out: {message}");
            return;
        }
        let report: Value = serde_json::from_slice(&answer.stdout).expect(&message);
        let modules = report["modules"].as_array().unwrap();
        assert_eq!(modules.len(), filters().len());
        for (module, (name, asks)) in modules.iter().zip(filters()) {
            assert_eq!(module["name"], name);
            let asked = asks.request.len() + asks.response.len() + asks.log.len();
            assert_eq!(module["host_calls_in_all"], asked, "{name}");
        }
    }
}
