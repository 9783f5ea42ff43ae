//! `docker-compose.yaml`: without an engine, everything in it that can be held against the files and
//! programs that it names.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use super::image::instructions;
use super::render::documents;

/// The elements of the compose specification that the file uses; a misspelt one is none of them.
const SERVICE: [&str; 12] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "restart",
    "init",
    "ports",
    "volumes",
    "depends_on",
    "environment",
    "healthcheck",
    "profiles",
];
const VOLUME: [&str; 4] = ["type", "source", "target", "read_only"];
const HEALTHCHECK: [&str; 5] = ["test", "interval", "timeout", "retries", "start_period"];
/// What each image is known to have and a health check may use.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("serin-envoy", &["bash"]),
    ("serin-shop", &["bash", "test"]),
    ("docker.io/prom/prometheus", &["wget"]),
    ("docker.io/grafana/grafana", &["wget"]),
];

/// The file with its anchors merged and its variables at their defaults.
pub(crate) fn compose() -> Result<Value> {
    let text = fs::read_to_string(workspace().join("docker-compose.yaml"))?;
    let mut rest = text.as_str();
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}').context("a variable's end")?;
        let (name, default) = variable
            .split_once(":-")
            .context("a variable has a default")?;
        ensure!(
            name.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{name}"
        );
        plain += before;
        plain += default;
        rest = after;
    }
    plain += rest;
    Ok(serde_saphyr::from_str(&plain)?)
}

fn yaml(path: &str) -> Result<Value> {
    let text = fs::read_to_string(workspace().join(path)).with_context(|| path.to_owned())?;
    Ok(documents(&text)?.swap_remove(0))
}

fn array<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

pub(crate) fn services(compose: &Value) -> Result<&serde_json::Map<String, Value>> {
    compose["services"].as_object().context("services")
}

#[test]
fn every_service_has_an_image_or_a_build_and_only_known_elements() -> Result<()> {
    let compose = compose()?;
    for field in compose.as_object().context("an object")?.keys() {
        ensure!(
            ["name", "services"].contains(&field.as_str()) || field.starts_with("x-"),
            "{field}"
        );
    }
    let services = services(&compose)?;
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    let wanted = ["canary", "envoy", "grafana", "load", "prometheus", "stable"];
    ensure!(names == BTreeSet::from(wanted), "{names:?}");
    for (name, service) in services {
        for field in service.as_object().context("a service")?.keys() {
            ensure!(SERVICE.contains(&field.as_str()), "{name}: {field}");
        }
        let image = service["image"].as_str().context("an image")?;
        if service["build"].is_object() {
            is_a_stage(&service["build"]).with_context(|| name.clone())?;
        } else {
            // A tag that moves would be another thing tomorrow.
            let tag = image.rsplit_once(':').context("a tag")?.1;
            ensure!(
                image.starts_with("docker.io/") && tag.contains('.'),
                "{name}: {image}"
            );
        }
    }
    Ok(())
}

/// A stage of the Containerfile, whose arguments have the defaults that are given to them.
fn is_a_stage(build: &Value) -> Result<()> {
    let file = build["dockerfile"].as_str().context("a dockerfile")?;
    ensure!(build["context"] == ".", "{build}");
    let lines = instructions(file)?;
    let stage = build["target"].as_str().context("a target")?;
    let stage = format!(" AS {stage}");
    ensure!(
        lines
            .iter()
            .any(|line| line.starts_with("FROM ") && line.ends_with(&stage)),
        "no stage{stage}"
    );
    for (argument, value) in build["args"].as_object().into_iter().flatten() {
        let value = value.as_str().context("a value")?;
        let default = format!("ARG {argument}={value}");
        ensure!(lines.contains(&default), "no {default}");
    }
    Ok(())
}

#[test]
fn every_service_says_whether_it_is_healthy_with_what_its_image_has() -> Result<()> {
    let compose = compose()?;
    for (name, service) in services(&compose)? {
        let check = service["healthcheck"].as_object();
        let check = check.with_context(|| format!("{name}: no health check"))?;
        let fields: Vec<&str> = check.keys().map(String::as_str).collect();
        ensure!(
            HEALTHCHECK.iter().all(|field| fields.contains(field)) && fields.len() == 5,
            "{name}: {fields:?}"
        );
        let image = service["image"].as_str().context("an image")?;
        let known = PROGRAMS
            .iter()
            .find(|(known, _)| image == *known || image.starts_with(&format!("{known}:")));
        let (_, programs) = known.with_context(|| format!("{image}: what does it have?"))?;
        let test = words(&check["test"]);
        ensure!(
            test.len() > 2 && test[0] == "CMD" && programs.contains(&test[1]),
            "{name}: {test:?}"
        );
    }
    Ok(())
}

#[test]
fn every_service_waits_for_the_health_of_those_that_it_asks() -> Result<()> {
    let compose = compose()?;
    let services = services(&compose)?;
    let mut started: BTreeSet<&str> = BTreeSet::new();
    while started.len() < services.len() {
        let before = started.len();
        for (name, service) in services {
            let needed = service["depends_on"].as_object().into_iter().flatten();
            let mut ready = true;
            for (needed, how) in needed {
                ensure!(services.contains_key(needed), "{name}: {needed}");
                let condition = serde_json::json!({"condition": "service_healthy"});
                ensure!(*how == condition, "{name}: {needed}: {how}");
                ready &= started.contains(needed.as_str());
            }
            if ready {
                started.insert(name);
            }
        }
        ensure!(started.len() > before, "they wait for each other");
    }
    for (name, asked) in [
        ("envoy", "stable"),
        ("envoy", "canary"),
        ("load", "envoy"),
        ("prometheus", "envoy"),
        ("grafana", "prometheus"),
    ] {
        ensure!(services[name]["depends_on"][asked].is_object(), "{name}");
    }
    Ok(())
}

#[test]
fn every_mounted_file_is_there_and_mounted_once() -> Result<()> {
    let compose = compose()?;
    let mut mounted = 0;
    for (name, service) in services(&compose)? {
        let mut targets = BTreeSet::new();
        for volume in array(service, "volumes") {
            for field in volume.as_object().context("the long form")?.keys() {
                ensure!(VOLUME.contains(&field.as_str()), "{name}: {field}");
            }
            let source = volume["source"].as_str().context("a source")?;
            ensure!(
                volume["type"] == "bind" && volume["read_only"] == true,
                "{name}: {source}"
            );
            ensure!(
                workspace().join(source).exists(),
                "{name}: there is no {source}"
            );
            let target = volume["target"].as_str().context("a target")?;
            ensure!(
                target.starts_with('/') && targets.insert(target),
                "{name}: {target}"
            );
            mounted += 1;
        }
    }
    ensure!(mounted >= 6, "only {mounted} mounts");
    Ok(())
}

/// The target of a mount by its source.
fn target<'a>(service: &'a Value, source: &str) -> Result<&'a str> {
    array(service, "volumes")
        .find(|volume| volume["source"] == source)
        .and_then(|volume| volume["target"].as_str())
        .with_context(|| format!("{source} is not mounted"))
}

/// All values of `socket_address` in an Envoy config, as `host:port`.
fn addresses(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "socket_address" {
                    let host = field["address"].as_str().unwrap_or_default();
                    found.push(format!("{host}:{}", field["port_value"]));
                } else {
                    addresses(field, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| addresses(item, found)),
        _ => {}
    }
}

pub(crate) fn words(command: &Value) -> Vec<&str> {
    let items = command.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// What follows an option on a command line.
fn option<'a>(command: &[&'a str], name: &str) -> Result<&'a str> {
    let mut words = command.iter().skip_while(|word| **word != name);
    words.nth(1).copied().with_context(|| name.to_owned())
}

#[test]
fn every_port_is_the_one_that_the_other_end_listens_on() -> Result<()> {
    let compose = compose()?;
    let services = services(&compose)?;
    let envoy = yaml("integration/compose/envoy.yaml")?;
    let mut listening = Vec::new();
    addresses(&envoy["admin"], &mut listening);
    addresses(&envoy["static_resources"]["listeners"], &mut listening);
    ensure!(
        listening == ["0.0.0.0:9901", "0.0.0.0:8080"],
        "{listening:?}"
    );
    let mut upstreams = Vec::new();
    addresses(&envoy["static_resources"]["clusters"], &mut upstreams);
    let mut shops = Vec::new();
    for name in ["stable", "canary"] {
        let command = words(&services[name]["command"]);
        let listen = option(&command, "--listen")?;
        shops.push(listen.replace("0.0.0.0", name));
    }
    ensure!(upstreams == shops, "{upstreams:?} {shops:?}");
    let load = words(&services["load"]["command"]);
    ensure!(option(&load, "--target")? == "envoy:8080");
    let prometheus = yaml("integration/compose/prometheus.yaml")?;
    let job = &prometheus["scrape_configs"][0];
    ensure!(job["static_configs"][0]["targets"][0] == "envoy:9901");
    let sources = yaml("integration/compose/grafana/datasources/prometheus.yaml")?;
    ensure!(sources["datasources"][0]["url"] == "http://prometheus:9090");
    // What is published: on this machine only, each port once, the container's own.
    let mut published = BTreeSet::new();
    let inside = [
        ("envoy", 8080),
        ("envoy", 9901),
        ("grafana", 3000),
        ("prometheus", 9090),
    ];
    for (name, service) in services {
        for port in array(service, "ports") {
            let text = port.as_str().context("the short form")?;
            let [host, outer, inner] = text.split(':').collect::<Vec<_>>()[..] else {
                anyhow::bail!("{name}: {text}");
            };
            ensure!(
                host == "127.0.0.1" && published.insert(outer.to_owned()),
                "{name}: {text}"
            );
            let inner: u16 = inner.parse()?;
            ensure!(inside.contains(&(name.as_str(), inner)), "{name}: {text}");
        }
    }
    ensure!(published.len() == inside.len());
    Ok(())
}

#[test]
fn grafana_finds_its_source_and_its_dashboards() -> Result<()> {
    let compose = compose()?;
    let grafana = &services(&compose)?["grafana"];
    ensure!(target(grafana, "./integration/compose/grafana")? == "/etc/grafana/provisioning");
    let provider = yaml("integration/compose/grafana/dashboards/serin.yaml")?;
    let path = &provider["providers"][0]["options"]["path"];
    let folder = target(grafana, "./envoyfilter-manifests/dashboards")?;
    ensure!(*path == folder);
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    ensure!(*home == format!("{folder}/serin.json"), "{home}");
    let mut dashboards = 0;
    for entry in fs::read_dir(workspace().join("envoyfilter-manifests/dashboards"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
            ensure!(dashboard["title"].is_string(), "{}", path.display());
            dashboards += 1;
        }
    }
    ensure!(dashboards > 0, "no dashboard");
    ensure!(
        workspace()
            .join("envoyfilter-manifests/dashboards/serin.json")
            .is_file()
    );
    Ok(())
}

#[test]
fn prometheus_gets_plain_rule_files_out_of_the_rules_for_the_operator() -> Result<()> {
    let compose = compose()?;
    let prometheus = &services(&compose)?["prometheus"];
    let script = words(&prometheus["entrypoint"])[2];
    let config = yaml("integration/compose/prometheus.yaml")?;
    ensure!(script.contains("--config.file=/etc/prometheus/prometheus.yaml"));
    let mut rules = 0;
    for file in array(&config, "rule_files") {
        let file = file.as_str().context("a path")?;
        let name = file
            .strip_prefix("/tmp/")
            .context("made by the entrypoint")?;
        let source = format!("./envoyfilter-manifests/alerts/{name}");
        let mounted = target(prometheus, &source)?;
        // The line of the entrypoint, run in this repository: its path may have spaces.
        let line = script
            .lines()
            .find(|line| line.ends_with(&format!("> {file}")));
        let line = line.with_context(|| format!("nothing makes {file}"))?;
        ensure!(line.contains(mounted), "{line}");
        let (command, _) = line.split_once(" > ").context("a redirection")?;
        let output = Command::new("sh")
            .args(["-c", &command.replace(mounted, &source)])
            .current_dir(workspace())
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        let made = documents(&String::from_utf8(output.stdout)?)?.swap_remove(0);
        let fields: Vec<&String> = made.as_object().context("an object")?.keys().collect();
        ensure!(fields == ["groups"], "{fields:?}");
        rules += array(&made, "groups")
            .flat_map(|group| array(group, "rules"))
            .count();
    }
    ensure!(rules > 5, "only {rules} rules");
    Ok(())
}

#[test]
fn the_shop_understands_the_command_lines_that_compose_gives_it() -> Result<()> {
    let compose = compose()?;
    let services = services(&compose)?;
    for name in ["stable", "canary", "load"] {
        let command = words(&services[name]["command"]);
        let program = match command[0] {
            "serin-shop" => env!("CARGO_BIN_EXE_serin-shop"),
            "serin-load" => env!("CARGO_BIN_EXE_serin-load"),
            other => anyhow::bail!("no program {other}"),
        };
        // `--help` behind all of them: the options before it are parsed, and nothing starts.
        let parsed = |extra: &str| {
            let mut command_line = Command::new(program);
            command_line.args(&command[1..]).arg(extra);
            command_line.stdin(Stdio::null()).output()
        };
        let output = parsed("--help")?;
        ensure!(output.status.success(), "{name}: {output:?}");
        let output = parsed("--misspelt")?;
        ensure!(!output.status.success(), "{name}");
    }
    Ok(())
}
