//! The fleet's evidence has one formula: the recording rule, serve-verdict and status come to the
//! same number from the same series.

use super::eventually;
use super::hooks::Hooks;
use super::manifests::{documents, hurried_rule_groups, rules};
use super::page::Page;
use super::server::{self, Prometheus};
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry::{
    CONFIG_BROKEN, EVIDENCE_AGAINST, EVIDENCE_FOR, EXCHANGES, FLEET_THRESHOLD, HEARTBEAT,
    HELD_BY_PLACEBO, Metric, POOLED_EVIDENCE_AGAINST, POOLED_EVIDENCE_FOR, ROLLOUT_ID,
    ROLLOUT_START_TIME, ROLLOUT_THRESHOLD, VERDICT,
};
use serin_cli::fetch::{Access, Fetcher};
use serin_cli::fleet_evidence::{
    fleet_query, pairs_query, pooled_query, route_query, routes_query,
};
use serin_cli::status::fleet::{Fleet, STALE_IN_PROMETHEUS};
use serin_cli::status::source::Source;
use serin_cli::verdict_server::fleet::Scope;
use serin_cli::verdict_server::fleet_question;
use serin_cli::verdict_server::prometheus::Sample;
use serin_cli::withdrawn::{asked_query, exchanges_query, withdrawn_query};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[test]
fn the_recording_rules_are_the_formula() -> Result<()> {
    let rules = rules()?;
    let written = |record: &str| -> Result<String> {
        let rule = rules.iter().find(|rule| rule["record"] == record);
        let rule = rule.with_context(|| format!("no {record}"))?;
        Ok(dense(rule["expr"].as_str().context("expr")?))
    };
    for (record, formula) in [
        ("serin:pair_evidence:nats", pairs_query("")),
        ("serin:pooled_evidence:nats", pooled_query("")),
        ("serin:route_proxies:count", route_query("")),
        (
            "serin:routes:count1d",
            routes_query("serin:route_proxies:count"),
        ),
        (
            "serin:fleet_evidence:nats",
            fleet_query(
                "destination, version",
                "serin:pair_evidence:nats",
                "serin:pooled_evidence:nats",
                "serin:routes:count1d",
            ),
        ),
        ("serin:exchanges:increase1h", exchanges_query("", "1h")),
        (
            "serin:asked:increase1m",
            asked_query(&exchanges_query("", "1m"), "", "1m"),
        ),
        (
            "serin:asked:increase1h",
            asked_query("serin:exchanges:increase1h", "", "1h"),
        ),
        (
            "serin:withdrawn:expected1m",
            withdrawn_query(
                "serin:asked:increase1h",
                "serin:exchanges:increase1h",
                "",
                "serin:asked:increase1m",
            ),
        ),
    ] {
        assert_eq!(written(record)?, dense(&formula), "{record}");
    }
    Ok(())
}

/// The rules that serve-verdict reads in place of a thousand proxies' series.
#[test]
fn the_rules_of_a_fleet_are_what_serve_verdict_would_ask_itself() -> Result<()> {
    let mut written = Vec::new();
    for document in documents("alerts/fleet.yaml")? {
        let groups = document["spec"]["groups"].as_array().context("groups")?;
        for rule in groups
            .iter()
            .filter_map(|group| group["rules"].as_array())
            .flatten()
        {
            let text = |field: &str| rule[field].as_str().map(str::to_owned).context("a text");
            written.push((text("record")?, dense(&text("expr")?)));
        }
    }
    let made = fleet_question::rules();
    let made: Vec<_> = made
        .into_iter()
        .map(|(name, expression)| (name, dense(&expression)))
        .collect();
    assert_eq!(written, made);
    Ok(())
}

/// An expression without white space.
fn dense(expression: &str) -> String {
    expression.split_whitespace().collect()
}

/// What a config's `rollout` becomes.
const NUMBER: u32 = 4_294_967_295;
/// Stands for all routes together.
const ALL: &str = "";

/// What one proxy shows: its role, its routes, and its evidence in thousandths of a nat, by route
/// and category, as (for, against).
fn page(
    role: &str,
    routes: &[&str],
    evidence: &[(&str, &str, Option<u64>, Option<u64>)],
) -> String {
    let mut lines = Vec::new();
    let mut line = |metric: &Metric, labels: &[(&str, &str)], value: u64| {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        lines.push(format!("{}{{{}}} {value}\n", metric.name, labels.join(",")));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let rollout = [("destination", "shop"), ("version", "v2")];
    line(&CONFIG_BROKEN, &[], 0);
    line(&HEARTBEAT, &[("role", role)], now.as_secs());
    line(&ROLLOUT_ID, &[("role", role)], u64::from(NUMBER));
    line(&FLEET_THRESHOLD, &rollout, 3_000);
    line(&HELD_BY_PLACEBO, &rollout, 0);
    line(&ROLLOUT_START_TIME, &rollout, 1_770_000_000);
    line(&VERDICT, &rollout, 1);
    line(&ROLLOUT_THRESHOLD, &rollout, 4_605);
    for route in routes {
        for version in ["v1", "v2"] {
            let labels = [
                ("destination", "shop"),
                ("route", route),
                ("version", version),
            ];
            line(&EXCHANGES, &labels, 100);
        }
    }
    for (route, category, worse, better) in evidence {
        let labels = [
            ("destination", "shop"),
            ("route", route),
            ("version", "v2"),
            ("category", category),
        ];
        // A pair over all routes has no label for one.
        let [destination, _, version, category] = labels;
        let of_all = [destination, version, category];
        let (metrics, labels) = match *route {
            ALL => (
                [&POOLED_EVIDENCE_FOR, &POOLED_EVIDENCE_AGAINST],
                of_all.as_slice(),
            ),
            _ => ([&EVIDENCE_FOR, &EVIDENCE_AGAINST], labels.as_slice()),
        };
        for (metric, value) in metrics.into_iter().zip([worse, better]) {
            if let Some(value) = value {
                line(metric, labels, *value);
            }
        }
    }
    lines.concat()
}

/// Two proxies that compare, and a guard. Which parts of a page count is what the three readers
/// could disagree on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_serve_verdict_and_status_come_to_the_same_evidence() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = serin_integration::turn::alone().await;
    let evidence = [
        ("/a", "error", Some(3_000), Some(0)),
        ("/b", "slow_p90", Some(0), Some(1_000)),
        (ALL, "error", Some(2_000), Some(0)),
    ];
    let first = Page::serve(page("comparer", &["/a", "/b", "/gone"], &evidence))?;
    let second = Page::serve(page(
        "comparer",
        &["/a", "/c"],
        &[
            ("/a", "error", Some(2_500), Some(0)),
            // A full table kept the other half out.
            ("/c", "error", Some(8_000), None),
            (ALL, "error", Some(0), Some(500)),
            (ALL, "slow_p90", Some(7_000), None),
        ],
    ))?;
    let guard = Page::serve(page(
        "guard",
        &["/guarded"],
        &[
            ("/a", "error", Some(9_000), Some(0)),
            (ALL, "error", Some(9_000), Some(0)),
        ],
    ))?;
    let targets = [
        ("first", first.address),
        ("second", second.address),
        ("guard", guard.address),
    ];
    let prometheus = Prometheus::start(&binary, &targets, &hurried_rule_groups()?).await?;
    prometheus
        .wait_for("serin:routes:count1d{destination=\"shop\"} == 5")
        .await?;
    // A route that nobody shows any more still shares the weights.
    first.show(page("comparer", &["/a", "/b"], &evidence));
    let gone = format!("absent({}{{route=\"/gone\"}})", EXCHANGES.name);
    prometheus.wait_for(&gone).await?;
    let of_routes = (5.5_f64.exp() + (-1.0_f64).exp()) / (64.0 * 5.0);
    let expected = (of_routes + 1.5_f64.exp() / 32.0).ln();
    let hooks = Hooks::start(prometheus.address()).await?;
    eventually(async || {
        let rule = prometheus
            .query("serin:fleet_evidence:nats{destination=\"shop\", version=\"v2\"}")
            .await?;
        let served = hooks.fleet_evidence("shop", "v2").await?;
        let status = status(prometheus.address()).await?;
        for (reader, nats) in [
            ("the rule", rule.first().map(|sample| sample.value)),
            ("serve-verdict", served),
            ("status", status),
        ] {
            let nats = nats.with_context(|| format!("{reader} has none"))?;
            ensure!(
                (nats - expected).abs() < 1e-9,
                "{reader} has {nats}, expected {expected}"
            );
        }
        Ok(())
    })
    .await?;
    eventually(async || what_is_recorded_says_what_the_proxies_say(&prometheus).await).await
}

/// serve-verdict reads the same from the rules' series as from those of all proxies.
async fn what_is_recorded_says_what_the_proxies_say(prometheus: &Prometheus) -> Result<()> {
    let scope = Scope {
        destination: "shop".to_owned(),
        rollout: Some(NUMBER),
    };
    let window = Duration::from_secs(300);
    let recorded = scope.recorded_question(window).context("a question")?;
    let mut verdicts = Vec::new();
    for question in [recorded, scope.question(window)] {
        let samples = prometheus.query(&question).await?;
        let samples: Vec<_> = samples
            .into_iter()
            .map(|sample| Sample {
                labels: sample.labels,
                value: sample.value,
            })
            .collect();
        let mut verdict = scope.verdict(&samples, None);
        let age = verdict.age_seconds.take();
        ensure!(age.is_some_and(|age| age < 300.0), "{age:?}");
        verdicts.push(verdict);
    }
    ensure!(verdicts[0] == verdicts[1], "{verdicts:?}");
    let verdict = &verdicts[0];
    // The guard is none of them.
    ensure!(
        verdict.proxies == 2 && verdict.threshold == 3.0,
        "{verdict:?}"
    );
    ensure!(verdict.reasons.len() == 2, "{verdict:?}");
    Ok(())
}

/// What `serin status --prometheus` has of the candidate v2 of `shop`.
async fn status(prometheus: SocketAddr) -> Result<Option<f64>> {
    tokio::task::spawn_blocking(move || {
        let fetcher = Fetcher::new(&Access::default())?;
        let mut source = Source::prometheus(&format!("http://{prometheus}"))?;
        let proxies = source.look(&fetcher)?;
        let routes: BTreeMap<String, usize> = source.routes(&fetcher)?;
        let fleet = Fleet::new(&proxies, &routes, STALE_IN_PROMETHEUS);
        let rollout = fleet.rollouts.first().context("no rollout")?;
        ensure!(rollout.candidate == "v2", "{rollout:?}");
        Ok(rollout.together)
    })
    .await?
}
