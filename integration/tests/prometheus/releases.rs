//! Releases in a row, under one name and under several: a verdict is about the release that was
//! judged, and none for the next one.

use super::eventually;
use super::hooks::Hooks;
use super::manifests::hurried_rule_groups;
use super::page::Page;
use super::server::{self, Prometheus};
use anyhow::{Result, ensure};
use scorer_sdk::telemetry::{
    BASELINE_FAILING, EXCHANGES, HEARTBEAT, JUDGED_EXCHANGES, Metric, ROLLOUT_START_TIME,
    ROLLOUT_THRESHOLD, VERDICT,
};
use serde_json::{Value, json};
use serin_integration::{turn, wait_until};
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

const HEALTHY: u64 = 1;
const ANOMALOUS: u64 = 3;
/// Flagger's hooks, each with whether it says yes to promote, to abort, and to a candidate that has
/// traffic and no verdict.
const HOOKS: [(&str, [bool; 3]); 4] = [
    ("/flagger/gate", [true, false, false]),
    ("/flagger/increase", [true, false, false]),
    ("/flagger/rollback", [false, true, false]),
    ("/flagger/check", [true, false, true]),
];

/// What a proxy says of one candidate, and how many requests it has counted.
struct Proxy {
    page: Page,
    requests: Cell<u64>,
}

/// A rollout that a proxy judges.
#[derive(Clone, Copy)]
struct Judged {
    version: &'static str,
    verdict: u64,
    /// Seconds since the Unix epoch.
    start: u64,
}

/// Waits until a start, which is given in whole seconds, lies in the past.
async fn has_begun(judged: Judged) -> Result<()> {
    wait_until("the clock", async || Ok(now()? > judged.start)).await
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

impl Proxy {
    /// Shows a rollout, with more requests than before.
    fn show(&self, judged: Judged) -> Result<()> {
        self.requests.set(self.requests.get() + 50);
        let mut text = String::new();
        let mut line = |metric: &Metric, labels: &str, value: u64| {
            text += &format!("{}{{{labels}}} {value}\n", metric.name);
        };
        line(&HEARTBEAT, "role=\"comparer\"", now()?);
        let rollout = format!("destination=\"shop\",version=\"{}\"", judged.version);
        for (metric, value) in [
            (&VERDICT, judged.verdict),
            (&ROLLOUT_START_TIME, judged.start),
            (&ROLLOUT_THRESHOLD, 4_605),
            (&JUDGED_EXCHANGES, 400),
            (&BASELINE_FAILING, 0),
        ] {
            line(metric, &rollout, value);
        }
        for version in ["stable", judged.version] {
            let labels = format!("destination=\"shop\",route=\"/\",version=\"{version}\"");
            line(&EXCHANGES, &labels, self.requests.get());
        }
        self.page.show(text);
        Ok(())
    }
}

/// Waits until each hook answers for a release as it should: `case` is the place in [`HOOKS`]. The
/// proxy goes on to count requests.
async fn answers(
    hooks: &Hooks,
    proxy: &Proxy,
    judged: Judged,
    (checksum, metadata): (&str, &Value),
    case: usize,
) -> Result<()> {
    eventually(async || {
        proxy.show(judged)?;
        for (path, yes) in HOOKS {
            let (status, body) = hooks.post_of(checksum, path, metadata).await?;
            ensure!((status == 200) == yes[case], "{path}: {status} {body}");
            ensure!(body["release"] == checksum, "{body}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_is_none_for_the_next_release() -> Result<()> {
    const PROMOTE: usize = 0;
    const ABORT: usize = 1;
    const UNKNOWN: usize = 2;
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    let proxy = Proxy {
        page: Page::serve(String::new())?,
        requests: Cell::new(0),
    };
    let targets = [("gateway", proxy.page.address)];
    let prometheus = Prometheus::start(&binary, &targets, &hurried_rule_groups()?).await?;
    let hooks = Hooks::start(prometheus.address()).await?;
    let canary = json!({"destination": "shop", "candidate": "canary"});
    let any = json!({"destination": "shop"});

    // The server comes amid a release, whose beginning it does not know.
    let first = Judged {
        version: "canary",
        verdict: HEALTHY,
        start: now()? - 600,
    };
    answers(&hooks, &proxy, first, ("a", &canary), PROMOTE).await?;

    // The next one under the same name inherits nothing, with its name and without.
    answers(&hooks, &proxy, first, ("b", &canary), UNKNOWN).await?;
    answers(&hooks, &proxy, first, ("b", &any), UNKNOWN).await?;
    let (_, body) = hooks.post_of("b", "/flagger/gate", &canary).await?;
    let reason = body["reason"].to_string();
    ensure!(
        reason.contains("judged since before this release"),
        "{body}"
    );
    let second = Judged {
        start: now()? + 1,
        ..first
    };
    answers(&hooks, &proxy, second, ("b", &canary), PROMOTE).await?;
    let (_, body) = hooks.post_of("b", "/flagger/gate", &canary).await?;
    ensure!(
        body["rollout_start_time"].as_f64() >= body["release_time"].as_f64(),
        "{body}"
    );

    // A condemned one does not roll the next one back, and the next one's own verdict does.
    let condemned = Judged {
        verdict: ANOMALOUS,
        ..second
    };
    has_begun(second).await?;
    answers(&hooks, &proxy, condemned, ("b", &canary), ABORT).await?;
    answers(&hooks, &proxy, condemned, ("c", &canary), UNKNOWN).await?;
    let third = Judged {
        start: now()? + 1,
        ..condemned
    };
    has_begun(third).await?;
    answers(&hooks, &proxy, third, ("c", &canary), ABORT).await?;

    // Releases with names of their own, which the hooks need not know.
    answers(&hooks, &proxy, third, ("d", &any), UNKNOWN).await?;
    let named = Judged {
        version: "1.4.3",
        verdict: HEALTHY,
        start: now()? + 1,
    };
    answers(&hooks, &proxy, named, ("d", &any), PROMOTE).await?;

    // Argo Rollouts names a release in the query; who names none asks about whatever is judged.
    has_begun(named).await?;
    for (release, decision) in [
        ("&release=6f8d", "promote"),
        ("&release=7c9e", "wait"),
        ("", "promote"),
    ] {
        let path = format!("/verdict?destination=shop&candidate=1.4.3{release}");
        eventually(async || {
            proxy.show(named)?;
            let (status, body) = hooks.get(&path).await?;
            ensure!(
                status == 200 && body["decision"] == decision,
                "{path}: {status} {body}"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}
