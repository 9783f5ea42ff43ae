//! Alerts, dashboards, and what Flagger and Argo Rollouts are told, with a real Prometheus that
//! scrapes real Envoys before a good canary, a bad one and none.
//!
//! Where there is not a Prometheus (`scripts/get-prometheus.sh` says why) these tests are skipped, and
//! say so on the standard error.

mod alertmanager;
mod capture;
mod daemon;
mod dashboards;
mod fleet;
mod fleet_acts;
mod fleet_figures;
mod fleet_size;
mod gateways;
mod health;
pub(crate) mod hooks;
pub(crate) mod manifests;
mod page;
mod paging;
mod panels;
mod releases;
mod rules;
mod scene;
pub(crate) mod server;
mod tools;

use anyhow::{Context as _, Result, bail, ensure};
use scorer_sdk::telemetry::{METRIC_PREFIX, METRICS, Metric};
use serin_integration::envoy::{run_dir, workspace};
use serin_integration::{turn, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() -> Result<()> {
    let _turn = turn::busy();
    let Some(promtool) = server::binary("prometheus", "promtool") else {
        return Ok(());
    };
    let folder = run_dir("promtool");
    fs::create_dir_all(&folder)?;
    let groups = manifests::rule_groups()?;
    fs::write(
        folder.join("rules.yaml"),
        serde_saphyr::to_string(&serde_json::json!({ "groups": groups }))?,
    )?;
    let mut tests = Vec::new();
    for entry in fs::read_dir(workspace().join("envoyfilter-manifests/alerts/tests"))? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_owned();
        fs::copy(&path, folder.join(&name))?;
        tests.push(name);
    }
    ensure!(tests.len() >= 2, "tests of rules are missing: {tests:?}");
    let check = Command::new(&promtool)
        .current_dir(&folder)
        .args(["check", "rules", "rules.yaml"])
        .output()?;
    ensure!(check.status.success(), "{check:?}");
    let test = Command::new(&promtool)
        .current_dir(&folder)
        .args(["test", "rules"])
        .args(&tests)
        .output()?;
    ensure!(
        test.status.success(),
        "{}{}",
        String::from_utf8_lossy(&test.stdout),
        String::from_utf8_lossy(&test.stderr)
    );
    Ok(())
}

#[test]
fn each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() -> Result<()> {
    let runbook = fs::read_to_string(workspace().join("docs/runbook.md"))?;
    let sections: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## Serin"))
        .map(|rest| format!("Serin{rest}"))
        .collect();
    let mut alerts = BTreeSet::new();
    for rule in manifests::rules()? {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        alerts.insert(alert.to_owned());
        let expected = format!(
            "{}/blob/main/docs/runbook.md#{}",
            env!("CARGO_PKG_REPOSITORY"),
            alert.to_lowercase()
        );
        ensure!(
            rule["annotations"]["runbook_url"] == expected.as_str(),
            "{alert}: the link is not {expected}"
        );
        for field in ["summary", "description"] {
            let text = rule["annotations"][field].as_str().unwrap_or_default();
            ensure!(
                !text.is_empty() && !text.trim_end().ends_with(';'),
                "{alert}: no {field}, or one that ends amid a sentence"
            );
        }
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        ensure!(
            ["critical", "warning", "info"].contains(&severity),
            "{alert}: severity {severity:?}"
        );
    }
    assert_eq!(sections, alerts);
    // Each section says the same three things.
    for section in runbook.split("\n## Serin").skip(1) {
        let section = section.split("\n## ").next().unwrap_or_default();
        for part in ["**Means.**", "**Look at.**", "**Do.**", "**At night.**"] {
            ensure!(section.contains(part), "a section lacks {part}: {section}");
        }
    }
    Ok(())
}

#[test]
fn rules_and_dashboards_ask_only_for_metrics_that_there_are() -> Result<()> {
    let mut known: BTreeSet<String> = METRICS.iter().flat_map(Metric::exposed).collect();
    let mut expressions = dashboards::expressions()?;
    for rule in manifests::rules()? {
        if let Some(record) = rule["record"].as_str() {
            known.insert(record.to_owned());
        }
        expressions.push(rule["expr"].as_str().context("expr")?.to_owned());
    }
    let word = |character: char| character.is_ascii_alphanumeric() || "_:".contains(character);
    let mut wrong = Vec::new();
    for expression in &expressions {
        for name in expression.split(|character| !word(character)) {
            // The prefix alone begins a regular expression.
            let metric = name.starts_with("serin:")
                || (name.starts_with(METRIC_PREFIX) && name != METRIC_PREFIX);
            if metric && !known.contains(name) {
                wrong.push(format!("{name} in {expression}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Waits until a check holds: a scrape that a busy machine missed makes series vanish for a moment.
async fn eventually(check: impl AsyncFn() -> Result<()>) -> Result<()> {
    let mut wrong = None;
    let held = wait_until("success", async || {
        wrong = check().await.err();
        if wrong.is_some() {
            // A scrape may be what is missing.
            sleep(Duration::from_millis(400)).await;
        }
        Ok(wrong.is_none())
    });
    held.await.map_err(|late| wrong.unwrap_or(late))
}

/// One scene for all of it: a good canary, a bad one behind two proxies, and none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_is_aborted_a_good_one_promoted_and_without_traffic_neither() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    let mut scene = scene::Scene::start(&binary).await?;
    scene.wait_for_verdicts().await?;
    let hooks = hooks::Hooks::start(scene.prometheus.address()).await?;
    // While traffic flows: what a canary is thought of depends on rates.
    eventually(async || rules::the_right_alerts_fire(&scene).await).await?;
    eventually(async || hooks.serve_verdict_and_the_rule_agree(&scene).await).await?;
    eventually(async || hooks.flagger_rolls_back_promotes_or_waits(&scene).await).await?;
    eventually(async || hooks.argo_aborts_promotes_or_pauses(&scene).await).await?;
    eventually(async || dashboards::each_query_returns_data(&scene).await).await?;
    if std::env::var_os("SERIN_CAPTURE").is_some() {
        capture::write(&scene).await?;
    }
    // Without traffic the numbers stand still, and can be compared to the last digit.
    scene.stop_load().await;
    eventually(async || rules::the_fleets_evidence_is_right(&scene).await).await?;
    let silent = scene.remove_the_filter_of_the_last_proxy().await?;
    eventually(async || rules::a_judge_that_stopped_is_missed(&scene, &silent).await).await?;
    scene.prometheus.stop();
    hooks
        .without_prometheus_nothing_is_promoted_and_nothing_rolled_back()
        .await?;
    Ok(())
}
