//! What Flagger and Argo Rollouts are told, by the manifests as they are.

use super::manifests::documents;
use super::scene::Scene;
use super::tools::{Phase, argo_phase, filled, flagger_check, json_path};
use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use serin_cli::fetch::{Access, encoded};
use serin_cli::verdict_server::Options;
use serin_cli::verdict_server::http::Server;
use serin_integration::http;
use std::net::SocketAddr;
use std::time::Duration;

/// Destinations of the scene with what is to become of their rollouts.
const EXPECTED: [(&str, &str); 3] = [("good", "promote"), ("bad", "abort"), ("idle", "wait")];
/// The candidate of all of them; in `idle` it never came.
const CANDIDATE: &str = "v2";

/// `serin serve-verdict`, running.
pub(crate) struct Hooks {
    address: SocketAddr,
}

impl Hooks {
    pub(crate) async fn start(prometheus: SocketAddr) -> Result<Self> {
        let options = Options {
            prometheus: format!("http://{prometheus}"),
            access: Access::default(),
            timeout: Duration::from_secs(9),
            window: Duration::from_secs(300),
            fleet_token_file: None,
        };
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?;
        let address = server.address()?;
        tokio::spawn(server.run(std::future::pending()));
        Ok(Self { address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let answer = http::get(self.address, path).await?;
        Ok((
            answer.status().as_u16(),
            serde_json::from_slice(answer.body())?,
        ))
    }

    /// Posts what Flagger would, with the metadata of a webhook.
    async fn post(&self, path: &str, metadata: &Value) -> Result<(u16, Value)> {
        self.post_of("85d557f47b", path, metadata).await
    }

    /// The same, of the release with this checksum.
    pub(crate) async fn post_of(
        &self,
        checksum: &str,
        path: &str,
        metadata: &Value,
    ) -> Result<(u16, Value)> {
        let body = json!({
            "name": "shop", "namespace": "shop", "phase": "Progressing", "checksum": checksum,
            "metadata": metadata,
        });
        let headers = [("content-type", "application/json")];
        let answer =
            http::request(self.address, Method::POST, path, &headers, body.to_string()).await?;
        Ok((
            answer.status().as_u16(),
            serde_json::from_slice(answer.body())?,
        ))
    }

    /// The fleet's evidence in nats in the verdict on a candidate.
    pub(crate) async fn fleet_evidence(
        &self,
        destination: &str,
        candidate: &str,
    ) -> Result<Option<f64>> {
        let path = format!("/verdict?destination={destination}&candidate={candidate}");
        let (status, verdict) = self.get(&path).await?;
        ensure!(status == 200, "{status} {verdict}");
        Ok(verdict["evidence"]["fleet"].as_f64())
    }

    pub(crate) async fn serve_verdict_and_the_rule_agree(&self, scene: &Scene) -> Result<()> {
        ensure!(self.get("/healthz").await?.0 == 200, "healthz");
        for (destination, expected) in EXPECTED {
            let (status, verdict) = self
                .get(&format!(
                    "/verdict?destination={destination}&candidate={CANDIDATE}"
                ))
                .await?;
            ensure!(
                status == 200 && verdict["decision"] == expected,
                "{status} {verdict}"
            );
            ensure!(
                !verdict["reason"].as_str().unwrap_or_default().is_empty(),
                "{verdict}"
            );
            let query =
                format!("serin:decision{{destination=\"{destination}\", version=\"{CANDIDATE}\"}}");
            let recorded = scene.prometheus.query(&query).await?;
            match recorded.first() {
                Some(sample) => ensure!(
                    verdict["decision_number"].as_f64() == Some(sample.value),
                    "the rule has {}: {verdict}",
                    sample.value
                ),
                None => ensure!(destination == "idle", "no {query}"),
            }
            // Without a candidate it is the one that is being compared.
            let (_, alone) = self
                .get(&format!("/verdict?destination={destination}"))
                .await?;
            ensure!(alone["decision"] == expected, "{alone}");
            println!("{destination}: {}", verdict["reason"]);
        }
        let (_, bad) = self.get("/verdict?destination=bad").await?;
        let strongest = bad["strongest"][0]["category"].as_str().unwrap_or_default();
        ensure!(strongest.starts_with("slow_p"), "{bad}");
        let [onset, verdict] = ["onset_time", "verdict_time"].map(|name| bad[name].as_f64());
        ensure!(onset > Some(0.0) && onset <= verdict, "{bad}");
        ensure!(bad["proxies"] == 2.0, "{bad}");
        let (fleet, rule) = (
            bad["evidence"]["fleet"].as_f64().context("fleet")?,
            scene
                .prometheus
                .query("serin:fleet_evidence:nats{destination=\"bad\"}")
                .await?[0]
                .value,
        );
        // A condemned candidate is judged no further, so that the number stands still.
        ensure!((fleet - rule).abs() < 1e-6, "{fleet} and {rule}");
        Ok(())
    }

    pub(crate) async fn flagger_rolls_back_promotes_or_waits(&self, scene: &Scene) -> Result<()> {
        let canary = documents("flagger-example/canary.yaml")?.remove(0);
        let templates = documents("flagger/metric-templates.yaml")?;
        let webhooks = canary["spec"]["analysis"]["webhooks"]
            .as_array()
            .context("webhooks")?;
        assert_eq!(webhooks.len(), 4);
        for (destination, expected) in EXPECTED {
            let values = [("destination", destination), ("candidate", CANDIDATE)];
            for webhook in webhooks {
                let url = webhook["url"].as_str().context("url")?;
                let path = url
                    .find("/flagger/")
                    .and_then(|at| url.get(at..))
                    .context("a path")?;
                ensure!(webhook["metadata"]["destination"] == "shop", "{webhook}");
                let metadata = json!({"destination": destination, "candidate": CANDIDATE});
                let (status, body) = self.post(path, &metadata).await?;
                let yes = match webhook["type"].as_str().context("type")? {
                    "rollback" => expected == "abort",
                    "confirm-promotion" => expected == "promote",
                    // Without traffic, as before the first step, it may get some.
                    "confirm-traffic-increase" => expected == "promote" || destination == "idle",
                    _ => expected != "abort",
                };
                // Above 202 is a no.
                ensure!(
                    (status <= 202) == yes,
                    "{destination} {url}: {status} {body}"
                );
            }
            let metric = &canary["spec"]["analysis"]["metrics"][0];
            let passes = self
                .template_passes(
                    scene,
                    &templates,
                    &metric["templateRef"]["name"],
                    &values,
                    &metric["thresholdRange"],
                )
                .await?;
            ensure!(passes == (expected != "abort"), "{destination}: {passes}");
            // The strict form fails until there is a verdict of health.
            let strict = self
                .template_passes(
                    scene,
                    &templates,
                    &json!("serin-decision-strict"),
                    &values,
                    &json!({"min": 1}),
                )
                .await?;
            ensure!(strict == (expected == "promote"), "{destination}: {strict}");
        }
        let (status, body) = self.post("/flagger/rollback", &json!({})).await?;
        ensure!(
            status == 400 && body["error"].to_string().contains("metadata"),
            "{status} {body}"
        );
        Ok(())
    }

    async fn template_passes(
        &self,
        scene: &Scene,
        templates: &[Value],
        name: &Value,
        values: &[(&str, &str)],
        range: &Value,
    ) -> Result<bool> {
        let template = templates
            .iter()
            .find(|template| template["metadata"]["name"] == *name)
            .with_context(|| format!("no template {name}"))?;
        let query = filled(template["spec"]["query"].as_str().context("query")?, values)?;
        let found = scene.prometheus.query(&query).await?;
        ensure!(found.len() <= 1, "Flagger wants one number: {found:?}");
        Ok(flagger_check(
            found.first().map(|sample| sample.value),
            range,
        ))
    }

    pub(crate) async fn argo_aborts_promotes_or_pauses(&self, scene: &Scene) -> Result<()> {
        let mut templates = documents("argo-rollouts/prometheus.yaml")?;
        templates.extend(documents("argo-rollouts/web.yaml")?);
        assert_eq!(templates.len(), 4);
        for template in &templates {
            let name = template["metadata"]["name"].as_str().context("name")?;
            for (destination, expected) in EXPECTED {
                let values = [
                    ("destination", destination),
                    ("candidate", CANDIDATE),
                    ("release", "6f8d9c5b7"),
                    ("prometheus", "http://prometheus"),
                    ("serve-verdict", "http://serve-verdict"),
                ];
                let metric = &template["spec"]["metrics"][0];
                let phase = argo_phase(metric, &self.measured(scene, metric, &values).await?)?;
                let guard = name.starts_with("serin-guard");
                let right = match expected {
                    "abort" => Phase::Failed,
                    // A background analysis only aborts; a step waits for a verdict.
                    "promote" => Phase::Successful,
                    _ if guard => Phase::Successful,
                    _ => Phase::Inconclusive,
                };
                ensure!(phase == right, "{name} on {destination}: {phase:?}");
            }
        }
        Ok(())
    }

    /// What a provider gives Argo Rollouts as `result`.
    async fn measured(
        &self,
        scene: &Scene,
        metric: &Value,
        values: &[(&str, &str)],
    ) -> Result<Value> {
        if let Some(query) = metric["provider"]["prometheus"]["query"].as_str() {
            let found = scene.prometheus.query(&filled(query, values)?).await?;
            return Ok(found.iter().map(|sample| sample.value).collect());
        }
        let web = &metric["provider"]["web"];
        let url = filled(web["url"].as_str().context("url")?, values)?;
        let path = url
            .strip_prefix("http://serve-verdict")
            .context("an address")?;
        let (status, body) = self.get(path).await?;
        ensure!(status == 200, "{status} {body}");
        Ok(json_path(&body, web["jsonPath"].as_str().context("jsonPath")?)?.clone())
    }

    pub(crate) async fn without_prometheus_nothing_is_promoted_and_nothing_rolled_back(
        &self,
    ) -> Result<()> {
        let (status, body) = self.get("/verdict?destination=bad").await?;
        assert_eq!(status, 502, "{body}");
        for path in ["/flagger/rollback", "/flagger/gate", "/flagger/check"] {
            let (status, body) = self
                .post(path, &json!({"destination": encoded("bad")}))
                .await?;
            assert_eq!(status, 502, "{body}");
        }
        assert_eq!(self.get("/healthz").await?.0, 200);
        Ok(())
    }
}
