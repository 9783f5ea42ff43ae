//! `serin status` and `serin doctor` on real Envoys: what they say of a good canary, of a bad one,
//! and of an installation that lacks something.

use super::common::{self, config, filter};
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::Verdict;
use scorer_sdk::telemetry;
use serin_cli::doctor::{Finding, State, checks, gather};
use serin_cli::fetch::{Access, Fetcher};
use serin_cli::status::fleet::{Fleet, STALE};
use serin_cli::status::show::{Around, text};
use serin_cli::status::source::Source;
use serin_integration::envoy::{Envoy, Launch, free_port, run_dir, workspace};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Regression, Shops};
use serin_integration::topology::{Topology, WasmFilter};
use serin_integration::{http, turn, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::SystemTime;
use tokio::task::spawn_blocking;

pub(super) fn url(envoy: &Envoy) -> String {
    format!("http://{}", envoy.admin_address())
}

/// What `serin status` sees at some proxies.
pub(super) async fn status(urls: &[String]) -> Result<Fleet> {
    let urls = urls.to_vec();
    spawn_blocking(move || {
        let mut proxies = Vec::new();
        for url in &urls {
            proxies.extend(Source::new(url)?.look(&Fetcher::new(&Access::default())?)?);
        }
        Ok(Fleet::new(&proxies, &BTreeMap::new(), STALE))
    })
    .await?
}

pub(super) async fn doctor(envoy: &Envoy) -> Result<Vec<Finding>> {
    let url = url(envoy);
    spawn_blocking(move || {
        let facts = gather::gather(&url, false, &Fetcher::new(&Access::default())?)?;
        Ok(checks::run(&facts))
    })
    .await?
}

/// Looks until what is seen fulfils `come`, and goes on doing so: what was being published at the
/// first look is complete.
async fn until(envoy: &Envoy, what: &str, come: impl Fn(&Fleet) -> bool) -> Result<Fleet> {
    let urls = [url(envoy)];
    let mut seen = None;
    let mut held_since = None;
    wait_until(what, async || {
        let metrics = envoy.metrics().await?;
        let fleet = status(&urls).await?;
        let good = come(&fleet);
        seen = Some(fleet);
        if !good {
            held_since = None;
            return Ok(false);
        }
        let time = *held_since.get_or_insert_with(SystemTime::now);
        Ok(metrics.is_published_after(time))
    })
    .await
    .with_context(|| format!("{seen:?}"))?;
    seen.context("nothing was seen")
}

fn verdict(fleet: &Fleet) -> Option<Verdict> {
    fleet.rollouts.first().map(|rollout| rollout.verdict())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_a_good_canary_and_names_what_is_wrong_with_a_bad_one() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(61).await?;
    let topology = Topology::builder("operating", &shops)
        .weights(75, 25)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let load = common::load(&topology, 300.0, 62)?;
    let good = until(&topology.front, "verdict of health", |fleet| {
        verdict(fleet) == Some(Verdict::Healthy)
    })
    .await?;
    let rollout = good.rollouts.first().context("a rollout")?;
    assert_eq!((&*rollout.destination, &*rollout.candidate), ("shop", "v2"));
    assert_eq!(rollout.others, ["v1"]);
    let share = rollout.share(&rollout.exchanges).context("a share")?;
    assert!((0.15..0.35).contains(&share), "{share}");
    assert!(rollout.threshold() > 4.6 && rollout.judged > 100);
    assert!(good.problems.is_empty(), "{:?}", good.problems);

    let findings = doctor(&topology.front).await?;
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    assert!(!failed, "{findings:#?}");
    for check in ["filter", "heartbeat", "traffic", "arms", "judging"] {
        let found = findings.iter().find(|finding| finding.check == check);
        assert_eq!(
            found.map(|found| found.state),
            Some(State::Ok),
            "{findings:#?}"
        );
    }

    shops.v2.set_regression(Regression::Errors);
    let bad = until(&topology.front, "anomalous candidate", Fleet::is_anomalous).await?;
    let strongest = bad
        .rollouts
        .first()
        .and_then(|rollout| rollout.pairs.first());
    let strongest = strongest.context("a pair")?;
    assert!(
        ["error", "unusual_status"].contains(&&*strongest.category),
        "{strongest:?}"
    );
    assert!(strongest.candidate > strongest.others, "{strongest:?}");
    let shown = text(&bad, &Around::default());
    assert!(shown.contains("shop: v2 is anomalous"), "{shown}");
    load.stop().await;
    Ok(())
}

/// The module with another sum: a custom section that nobody reads, as in a build of other sources.
fn another_build() -> Result<std::path::PathBuf> {
    let mut module = fs::read(workspace().join("target/serin.wasm"))?;
    // Section 0, five bytes long: the length of its name, and the name.
    module.extend_from_slice(&[0, 5, 4]);
    module.extend_from_slice(b"next");
    let path = run_dir("operating-upgrade-module").join("serin.wasm");
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, module)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_build_of_the_module_goes_on_with_the_state_and_its_removal_leaves_traffic()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(65).await?;
    let mut topology = Topology::builder("operating-upgrade", &shops)
        .weights(75, 25)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let load = common::load(&topology, 200.0, 66)?;
    let merged = |metrics: &Metrics| {
        let of_comparer = [("role", "comparer")];
        metrics
            .value(telemetry::MERGED_EXCHANGES.name, &of_comparer)
            .unwrap_or(0.0)
    };
    let before = topology
        .front
        .wait_for_metrics("merged exchanges", |metrics| merged(metrics) > 500.0)
        .await?;
    let before = merged(&before);
    let next = WasmFilter::new(another_build()?, &config("observe"));
    topology.set_filters(vec![next]).await?;
    load.wait_for_answers(400).await?;
    let tally = load.stop().await;
    ensure!(tally.answered as f64 > before + 300.0, "{tally:?}");
    // Had the state been lost, the judge would have begun at 0 and never come so far.
    topology
        .front
        .wait_for_metrics("exchange of before and after", |metrics| {
            merged(metrics) >= tally.answered as f64
        })
        .await?;
    assert!(!topology.front.log_text().contains("starts anew"));

    topology.set_filters(vec![]).await?;
    let load = common::load(&topology, 200.0, 67)?;
    load.wait_for_answers(150).await?;
    let tally = load.stop().await;
    // A healthy version fails 0.3% of the time.
    ensure!(20 * tally.lost() < tally.sent, "{tally:?}");
    Ok(())
}

/// The bootstrap of the manifests without its tags, in front of a shop.
fn without_tags(shops: &Shops, port: u16) -> Result<String> {
    let path = workspace().join("envoyfilter-manifests/plain-envoy/envoy.yaml");
    let text = fs::read_to_string(path)?;
    let mut bootstrap: serde_json::Value = serde_saphyr::from_str(&text)?;
    let fields = bootstrap.as_object_mut().context("a bootstrap")?;
    fields.remove("stats_config").context("stats_config")?;
    // The launch brings its own.
    fields.remove("admin");
    let module = workspace().join("target/serin.wasm");
    let mut text = bootstrap.to_string();
    for (from, to) in [
        (
            "/etc/envoy/serin.wasm".to_owned(),
            module.display().to_string(),
        ),
        (
            "\"port_value\":8080".to_owned(),
            format!("\"port_value\":{port}"),
        ),
        (
            "\"port_value\":8081".to_owned(),
            format!("\"port_value\":{}", shops.v1.address().port()),
        ),
        (
            "\"port_value\":8082".to_owned(),
            format!("\"port_value\":{}", shops.v2.address().port()),
        ),
    ] {
        ensure!(text.matches(&from).count() == 1, "{from} is not there once");
        text = text.replace(&from, &to);
    }
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_names_the_repair_where_labels_stay_in_the_names() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(63).await?;
    let port = free_port()?;
    let envoy = Launch::new("operating-no-tags", without_tags(&shops, port)?)
        .start()
        .await?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut findings = Vec::new();
    wait_until("heartbeat and traffic", async || {
        http::get(address, "/api/products").await?;
        findings = doctor(&envoy).await?;
        let mut good = findings
            .iter()
            .filter(|finding| finding.state == State::Ok)
            .map(|finding| finding.check);
        Ok(good.clone().any(|check| check == "heartbeat") && good.any(|check| check == "traffic"))
    })
    .await
    .with_context(|| format!("{findings:#?}"))?;
    let failed: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.state == State::Fail)
        .collect();
    let [labels] = failed.as_slice() else {
        anyhow::bail!("{findings:#?}");
    };
    assert_eq!(labels.check, "labels");
    assert!(labels.text.contains("___serin_"), "{labels:?}");
    for word in [
        "extraStatTags",
        "stats_tags",
        "destination",
        "version",
        "started anew",
    ] {
        assert!(labels.repair.contains(word), "{labels:?}");
    }
    // The labels are in the names, so the table can be read all the same.
    let fleet = status(&[url(&envoy)]).await?;
    let seen = fleet.waiting.contains_key("shop") || !fleet.rollouts.is_empty();
    assert!(seen, "{fleet:?}");
    Ok(())
}
