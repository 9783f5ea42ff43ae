//! What becomes of a rollout: the weights that the gateway's Envoy has, and the images of the pods.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Api;
use crate::http;
use crate::istio::mesh::DOMAIN;

/// Pause between two looks: short beside the seconds of a controller.
const LOOK: Duration = Duration::from_millis(100);

/// What a rollout is made of, by name; all of it is in one namespace.
#[derive(Debug, Clone)]
pub struct Services {
    /// The namespace.
    pub namespace: &'static str,
    /// The service of the stable version's pods.
    pub stable: &'static str,
    /// The service of the new version's pods.
    pub canary: &'static str,
}

/// What has come of it so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The canary's part of the weights, and since when, from the first above zero on.
    pub weights: Vec<(Instant, u32)>,
    /// The image of the stable version's pods and of the canary's; `None` where there are no pods,
    /// or pods of several images.
    pub images: (Option<String>, Option<String>),
    /// Whether the gateway has a route to the stable version.
    pub routed: bool,
}

impl Progress {
    /// From the first request that the canary could get to the moment since when it gets none;
    /// `None` while it gets some, and where it never did.
    #[must_use]
    pub fn exposed(&self) -> Option<Duration> {
        let (begin, _) = self.weights.first()?;
        let (end, weight) = self.weights.last()?;
        (*weight == 0).then(|| end.duration_since(*begin))
    }

    /// The canary's weights in their order.
    pub fn steps(&self) -> impl Iterator<Item = u32> {
        self.weights.iter().map(|(_, weight)| *weight)
    }
}

/// Follows a rollout; it stops when dropped.
#[derive(Debug)]
pub struct Rollout {
    progress: Arc<Mutex<Progress>>,
    task: JoinHandle<()>,
}

impl Rollout {
    /// Begins. `gateway` is where its Envoy has the admin pages.
    #[must_use]
    pub fn follow(api: Api, services: Services, gateway: SocketAddr) -> Self {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = Arc::clone(&progress);
        let task = tokio::spawn(async move {
            loop {
                // The next look finds what this one missed.
                if let Err(error) = look(api, &services, gateway, &shared).await {
                    eprintln!("a look at the rollout: {error:#}");
                }
                sleep(LOOK).await;
            }
        });
        Self { progress, task }
    }

    /// What has come of it so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        locked(&self.progress).clone()
    }
}

impl Drop for Rollout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(
    api: Api,
    services: &Services,
    gateway: SocketAddr,
    progress: &Mutex<Progress>,
) -> Result<()> {
    // The weights first: the API server may hang.
    let answer = http::get(gateway, "/config_dump?resource=dynamic_route_configs").await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let dump: Value = serde_json::from_slice(answer.body()).context("config dump")?;
    let weight = |service| weight_of(&dump, service, services.namespace);
    let (stable, canary) = (weight(services.stable), weight(services.canary));
    {
        let mut progress = locked(progress);
        progress.routed |= stable > 0;
        let last = progress.weights.last().map_or(0, |(_, weight)| *weight);
        if stable + canary > 0 && canary != last {
            progress.weights.push((Instant::now(), canary));
        }
    }
    let images = (
        image(api, services.namespace, services.stable).await?,
        image(api, services.namespace, services.canary).await?,
    );
    locked(progress).images = images;
    Ok(())
}

/// The image of the ready pods that a service selects; `None` while there are none, or several.
async fn image(api: Api, namespace: &str, service: &str) -> Result<Option<String>> {
    let path = format!("/api/v1/namespaces/{namespace}/services/{service}");
    let Some(service) = api.get(&path).await? else {
        return Ok(None);
    };
    let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else {
        return Ok(None);
    };
    let pods = api
        .list(&format!("/api/v1/namespaces/{namespace}/pods"))
        .await?;
    let images = pods.iter().filter_map(|pod| {
        let labels = pod.pointer("/metadata/labels");
        let selected = selector
            .iter()
            .all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value));
        let runs = pod.pointer("/status/phase").and_then(Value::as_str) == Some("Running")
            && pod.pointer("/metadata/deletionTimestamp").is_none();
        let image = pod.pointer("/spec/containers/0/image")?.as_str()?;
        (selected && runs).then(|| image.to_owned())
    });
    let mut images: Vec<String> = images.collect();
    images.sort();
    images.dedup();
    Ok(if images.len() > 1 { None } else { images.pop() })
}

/// The weight of a service, in percent, in the last route of the shop's virtual host: before it
/// stands at most the route of what is steered.
fn weight_of(dump: &Value, service: &str, namespace: &str) -> u32 {
    let of_service = format!("||{service}.{namespace}.svc.cluster.local");
    let list = |value: &Value, pointer| -> Vec<Value> {
        let found = value.pointer(pointer).and_then(Value::as_array);
        found.cloned().unwrap_or_default()
    };
    let hosts = list(dump, "/configs")
        .into_iter()
        .flat_map(|config| list(&config, "/route_config/virtual_hosts"));
    let shop = hosts.into_iter().find(|host| {
        let domains = list(host, "/domains");
        domains.iter().any(|domain| domain == DOMAIN)
    });
    let routes = shop.map(|host| list(&host, "/routes")).unwrap_or_default();
    let Some(route) = routes.last() else {
        return 0;
    };
    let names = |value: &Value, pointer| {
        let name = value.pointer(pointer).and_then(Value::as_str);
        name.is_some_and(|name| name.ends_with(&of_service))
    };
    if names(route, "/route/cluster") {
        return 100;
    }
    let clusters = list(route, "/route/weighted_clusters/clusters");
    let weights = clusters.iter().filter_map(|cluster| {
        let weight = cluster.get("weight").and_then(Value::as_u64)?;
        names(cluster, "/name").then(|| u32::try_from(weight).ok())?
    });
    weights.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn weights_are_those_of_the_last_route_of_the_shops_host() {
        let dump = |route: Value| {
            let steered =
                json!({"route": {"cluster": "outbound|8080||shop-primary.shop.svc.cluster.local"}});
            json!({"configs": [{"route_config": {"virtual_hosts": [
                {"domains": ["other"], "routes": []},
                {"domains": [DOMAIN], "routes": [steered, {"route": route}]},
            ]}}]})
        };
        let split = dump(json!({"weighted_clusters": {"clusters": [
            {"name": "outbound|8080||shop-primary.shop.svc.cluster.local", "weight": 75},
            {"name": "outbound|8080||shop-canary.shop.svc.cluster.local", "weight": 25},
        ]}}));
        assert_eq!(weight_of(&split, "shop-primary", "shop"), 75);
        assert_eq!(weight_of(&split, "shop-canary", "shop"), 25);
        assert_eq!(weight_of(&split, "shop", "shop"), 0);
        let whole = dump(json!({"cluster": "outbound|8080||shop-canary.shop.svc.cluster.local"}));
        assert_eq!(weight_of(&whole, "shop-canary", "shop"), 100);
        assert_eq!(weight_of(&json!({}), "shop-canary", "shop"), 0);
    }

    #[test]
    fn exposure_ends_when_the_canary_gets_nothing_any_more() {
        let begin = Instant::now();
        let at = |seconds, weight| (begin + Duration::from_secs(seconds), weight);
        let mut progress = Progress::default();
        assert_eq!(progress.exposed(), None);
        progress.weights = vec![at(0, 25), at(10, 50)];
        assert_eq!(progress.exposed(), None);
        progress.weights.push(at(12, 0));
        assert_eq!(progress.exposed(), Some(Duration::from_secs(12)));
    }
}
