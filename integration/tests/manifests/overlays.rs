//! What the overlays have to have in common with each other, with the filter and with the README.

use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry;
use serde_json::Value;
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::collections::BTreeSet;
use std::fs;

use super::render::{documents, folders, manifests, object, render};

/// The configs of the WasmPlugins in a rendering, compiled as `serin check-config` does it.
fn compile(objects: &[Value]) -> Result<usize> {
    let mut compiled = 0;
    for plugin in objects
        .iter()
        .filter(|object| object["kind"] == "WasmPlugin")
    {
        for config in serin_cli::config::find(&plugin.to_string())? {
            config.compile().map_err(anyhow::Error::from)?;
            compiled += 1;
        }
    }
    Ok(compiled)
}

#[test]
fn every_plugin_that_is_applied_compiles_fails_open_and_selects_its_proxies_once() -> Result<()> {
    let _turn = turn::busy();
    let mut compiled = 0;
    for folder in folders(&manifests())? {
        let Some(objects) = render(&folder)? else {
            return Ok(());
        };
        let name = folder.display();
        compiled += compile(&objects).with_context(|| name.to_string())?;
        let base = folder.ends_with("base");
        for plugin in objects
            .iter()
            .filter(|object| object["kind"] == "WasmPlugin")
        {
            let spec = &plugin["spec"];
            ensure!(spec["failStrategy"] == "FAIL_OPEN", "{name}: {spec}");
            ensure!(spec["phase"] == "STATS", "{name}: {spec}");
            ensure!(spec["match"].is_array(), "{name}: {spec}");
            // A rule of the definition in CEL, and without a selector it would be in every proxy.
            let targets = [&spec["selector"], &spec["targetRefs"]];
            let targets = targets.iter().filter(|target| !target.is_null()).count();
            ensure!(targets == usize::from(!base), "{name}: {spec}");
            ensure!(
                base || plugin["metadata"]["namespace"].is_string(),
                "{name}"
            );
            // A guard sees inbound listeners, a comparer outbound ones; a waypoint's is inbound.
            let waypoint = spec["targetRefs"][0]["name"] == "waypoint";
            let guard = plugin["metadata"]["name"] == "serin-guard";
            let mode = if guard || waypoint {
                "SERVER"
            } else {
                "CLIENT"
            };
            ensure!(spec["match"][0]["mode"] == mode, "{name}: {spec}");
            let role = if guard { "guard" } else { "comparer" };
            ensure!(spec["pluginConfig"]["role"] == role, "{name}: {spec}");
        }
    }
    ensure!(compiled >= 14, "only {compiled} plugins");
    Ok(())
}

#[test]
fn a_typo_in_a_plugin_config_is_found_and_named_with_its_path() -> Result<()> {
    let _turn = turn::busy();
    let Some(mut objects) = render(&manifests().join("steer"))? else {
        return Ok(());
    };
    ensure!(compile(&objects)? == 1);
    let plugin = objects
        .iter_mut()
        .find(|object| object["kind"] == "WasmPlugin")
        .context("a plugin")?;
    let config = plugin["spec"]["pluginConfig"].take();
    for (path, value, said) in [
        ("modus", "steer", "modus"),
        ("mode", "ster", "spec.pluginConfig.mode"),
        ("tick", "fast", "spec.pluginConfig.tick"),
    ] {
        let mut wrong = config.clone();
        wrong[path] = value.into();
        plugin["spec"]["pluginConfig"] = wrong;
        let error = compile(std::slice::from_ref(plugin)).expect_err(path);
        ensure!(format!("{error:#}").contains(said), "{error:#}");
    }
    Ok(())
}

/// The routes of a VirtualService as `(name, match, subsets)`.
fn subsets(route: &Value) -> BTreeSet<&str> {
    let destinations = route["route"].as_array().into_iter().flatten();
    destinations
        .filter_map(|route| route["destination"]["subset"].as_str())
        .collect()
}

#[test]
fn steered_requests_match_before_the_split_and_every_subset_exists() -> Result<()> {
    let _turn = turn::busy();
    for folder in ["steer", "rescue", "rescue-failover"] {
        let Some(objects) = render(&manifests().join(folder))? else {
            return Ok(());
        };
        let plugin = &object(&objects, "WasmPlugin", "serin")?["spec"]["pluginConfig"];
        ensure!(plugin["mode"] == "steer", "{folder}: {plugin}");
        let service = object(&objects, "VirtualService", "shop")?;
        let [steer, split] = service["spec"]["http"]
            .as_array()
            .context("routes")?
            .as_slice()
        else {
            anyhow::bail!("{folder}: other routes than two");
        };
        // The value that the filter sets is the baseline's name.
        let header = &steer["match"][0]["headers"][telemetry::STEER_HEADER.name]["exact"];
        ensure!(*header == plugin["baseline"], "{folder}: {header}");
        let baseline = plugin["baseline"].as_str().context("a baseline")?;
        ensure!(subsets(steer) == BTreeSet::from([baseline]));
        ensure!(split["match"].is_null() && subsets(split).len() == 2);
        ensure!(subsets(split).contains(baseline));
        let rule = object(&objects, "DestinationRule", "shop")?;
        let known: BTreeSet<&str> = rule["spec"]["subsets"]
            .as_array()
            .context("subsets")?
            .iter()
            .filter_map(|subset| subset["name"].as_str())
            .collect();
        ensure!(subsets(split).is_subset(&known), "{folder}: {known:?}");
        // The gateway that it is bound to is among what is applied.
        object(&objects, "Gateway", "shop")?;
        ensure!(service["spec"]["gateways"][0] == "shop/shop");
    }
    Ok(())
}

#[test]
fn only_refusals_are_retried_and_the_last_attempt_is_never_refused() -> Result<()> {
    let _turn = turn::busy();
    for folder in ["rescue", "rescue-failover"] {
        let Some(objects) = render(&manifests().join(folder))? else {
            return Ok(());
        };
        let service = object(&objects, "VirtualService", "shop")?;
        let split = &service["spec"]["http"][1];
        ensure!(
            split["retries"]["retryOn"] == "retriable-headers",
            "{folder}"
        );
        let names = &split["headers"]["request"]["set"]["x-envoy-retriable-header-names"];
        ensure!(*names == telemetry::REJECT_HEADER.name, "{folder}: {names}");
        let guard = object(&objects, "WasmPlugin", "serin-guard")?;
        let attempts = guard["spec"]["pluginConfig"]["reject"]["attempts"].as_u64();
        let retries = split["retries"]["attempts"].as_u64().context("attempts")?;
        ensure!(attempts.unwrap_or(1) <= retries, "{folder}: {attempts:?}");
        ensure!(service["spec"]["http"][0]["retries"].is_null());
        let rule = &object(&objects, "DestinationRule", "shop")?["spec"];
        let policy = &rule["trafficPolicy"];
        let budget = if folder == "rescue" {
            &policy["retryBudget"]["minRetryConcurrency"]
        } else {
            // Older Istios do not know a budget, and some lose it beside a subset's own policy.
            ensure!(policy["retryBudget"].is_null(), "{folder}: {policy}");
            let subset = &split["route"][1]["destination"]["subset"];
            let subsets = rule["subsets"].as_array().context("subsets")?;
            let policy = subsets.iter().find(|known| known["name"] == *subset);
            &policy.context("a subset")?["trafficPolicy"]["connectionPool"]["http"]["maxRetries"]
        };
        ensure!(budget.as_u64() > Some(0), "{folder}: {rule}");
    }
    // The filter is named by the route that it changes, and that route is there.
    let Some(objects) = render(&manifests().join("rescue"))? else {
        return Ok(());
    };
    let filter = object(&objects, "EnvoyFilter", "serin-rescue")?;
    let patch = &filter["spec"]["configPatches"][0];
    let route = &patch["match"]["routeConfiguration"]["vhost"]["route"]["name"];
    let service = object(&objects, "VirtualService", "shop")?;
    ensure!(*route == service["spec"]["http"][1]["name"]);
    ensure!(patch["patch"]["value"]["route"]["retry_policy"]["refresh_cluster_on_retry"] == true);
    Ok(())
}

#[test]
fn routes_of_the_gateway_api_lead_to_the_clusters_that_the_plugin_lists() -> Result<()> {
    let _turn = turn::busy();
    let Some(objects) = render(&manifests().join("gateway-api-steer"))? else {
        return Ok(());
    };
    let route = &object(&objects, "HTTPRoute", "shop")?["spec"];
    let [steer, split] = route["rules"].as_array().context("rules")?.as_slice() else {
        anyhow::bail!("other rules than two");
    };
    let plugin = &object(&objects, "WasmPlugin", "serin")?["spec"];
    let config = &plugin["pluginConfig"];
    let header = &steer["matches"][0]["headers"][0];
    ensure!(
        header["name"] == telemetry::STEER_HEADER.name && header["value"] == config["baseline"]
    );
    ensure!(split["matches"].is_null());
    let gateway = &plugin["targetRefs"][0]["name"];
    ensure!(route["parentRefs"][0]["name"] == *gateway);
    object(&objects, "Gateway", gateway.as_str().context("a name")?)?;
    let clusters = |version: &str| &config["versions"]["destinations"]["shop"][version][0];
    let cluster = |backend: &Value| -> Result<String> {
        let name = backend["name"].as_str().context("a name")?;
        let service = object(&objects, "Service", name)?;
        let namespace = service["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?;
        ensure!(service["spec"]["ports"][0]["port"] == backend["port"]);
        Ok(format!(
            "outbound|{}||{name}.{namespace}.svc.cluster.local",
            backend["port"]
        ))
    };
    ensure!(*clusters("v1") == cluster(&steer["backendRefs"][0])?);
    ensure!(*clusters("v1") == cluster(&split["backendRefs"][0])?);
    ensure!(*clusters("v2") == cluster(&split["backendRefs"][1])?);
    Ok(())
}

#[test]
fn where_flagger_owns_the_split_it_is_delegated_behind_the_steered_requests() -> Result<()> {
    let _turn = turn::busy();
    let Some(objects) = render(&manifests().join("flagger-steer"))? else {
        return Ok(());
    };
    let canary = object(&objects, "Canary", "shop")?;
    let service = &canary["spec"]["service"];
    // With either of them Flagger refuses to delegate.
    ensure!(service["delegation"] == true, "{service}");
    ensure!(
        service["hosts"].is_null() && service["gateways"].is_null(),
        "{service}"
    );
    // Flagger replaces the routes of the one that bears the Canary's name.
    ensure!(object(&objects, "VirtualService", "shop").is_err());
    let entry = &object(&objects, "VirtualService", "shop-entry")?["spec"];
    let [steer, split] = entry["http"].as_array().context("routes")?.as_slice() else {
        anyhow::bail!("other routes than two");
    };
    let config = &object(&objects, "WasmPlugin", "serin")?["spec"]["pluginConfig"];
    let header = &steer["match"][0]["headers"][telemetry::STEER_HEADER.name]["exact"];
    ensure!(*header == config["baseline"] && config["mode"] == "steer");
    let metadata = &canary["metadata"];
    ensure!(split["delegate"]["name"] == metadata["name"]);
    ensure!(split["delegate"]["namespace"] == metadata["namespace"]);
    ensure!(split["route"].is_null() && split["match"].is_null());
    // What Flagger makes of the Canary's name: a Service for each version.
    let host = |version: &str| {
        let name = metadata["name"].as_str().unwrap_or_default();
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        format!("{name}-{version}.{namespace}.svc.cluster.local")
    };
    let port = &service["port"];
    let destination = &steer["route"][0]["destination"];
    ensure!(destination["host"] == host("primary") && destination["port"]["number"] == *port);
    for version in ["primary", "canary"] {
        let cluster = &config["versions"]["destinations"]["shop"][version][0];
        ensure!(*cluster == format!("outbound|{port}||{}", host(version)));
    }
    object(&objects, "Gateway", "shop")?;
    ensure!(entry["gateways"][0] == "shop/shop");
    Ok(())
}

/// A Flagger with `-namespace` finds no template elsewhere, and each miss is a failed check.
#[test]
fn a_canary_finds_its_metric_templates_in_its_own_namespace() -> Result<()> {
    let yaml = |path: &str| -> Result<Vec<Value>> {
        let text = fs::read_to_string(manifests().join(path)).with_context(|| path.to_owned())?;
        documents(&text)
    };
    let namespace = |folder: &str| -> Result<Value> {
        let kustomization = yaml(&format!("{folder}/kustomization.yaml"))?.swap_remove(0);
        Ok(kustomization["namespace"].clone())
    };
    ensure!(namespace("flagger")? == namespace("flagger-example")?);
    let templates = yaml("flagger/metric-templates.yaml")?;
    let canaries = yaml("flagger-example/canary.yaml")?;
    let metrics = canaries[0]["spec"]["analysis"]["metrics"].as_array();
    let mut found = 0;
    for metric in metrics.context("metrics")? {
        let reference = &metric["templateRef"];
        // Without one, Flagger takes the Canary's.
        ensure!(reference["namespace"].is_null(), "{reference}");
        let named = |template: &&Value| template["metadata"]["name"] == reference["name"];
        let template = templates.iter().find(named).context("no such template")?;
        ensure!(template["metadata"]["namespace"].is_null(), "{template}");
        found += 1;
    }
    ensure!(found > 0, "no metric");
    Ok(())
}

#[test]
fn a_gate_of_argo_rollouts_ends_by_itself_and_pauses_when_it_was_never_sure() -> Result<()> {
    let _turn = turn::busy();
    let Some(objects) = render(&manifests().join("argo-rollouts"))? else {
        return Ok(());
    };
    let mut gates = 0;
    for template in &objects {
        let name = template["metadata"]["name"].as_str().context("a name")?;
        for metric in template["spec"]["metrics"].as_array().context("metrics")? {
            ensure!(metric["interval"].is_string(), "{name}: {metric}");
            if !name.starts_with("serin-gate") {
                // In the background, until the rollout ends.
                ensure!(metric["count"].is_null(), "{name}: {metric}");
                continue;
            }
            gates += 1;
            // Argo refuses a step that could go on for ever, and limits above the count.
            let count = metric["count"].as_u64().context("no count")?;
            let limit = metric["inconclusiveLimit"].as_u64().context("no limit")?;
            ensure!(limit < count, "{name}: {metric}");
            ensure!(metric["consecutiveSuccessLimit"] == 1, "{name}: {metric}");
        }
    }
    ensure!(gates == 2, "{gates} gates");
    Ok(())
}

#[test]
fn the_readme_names_every_folder_with_the_command_that_applies_it() -> Result<()> {
    let readme = fs::read_to_string(manifests().join("README.md"))?;
    for folder in folders(&manifests())? {
        let name = folder.strip_prefix(workspace())?.display().to_string();
        if name.ends_with("/base") {
            continue;
        }
        let command = format!("kubectl apply -k {name}");
        ensure!(
            readme
                .lines()
                .any(|line| line.contains(&format!("`{command}`"))),
            "the README lacks `{command}`"
        );
    }
    Ok(())
}
