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

/// The two sides of a rollout, as the gateway's Envoy calls their clusters.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// Of the stable version's pods.
    pub stable: &'static str,
    /// Of the new version's pods.
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
    pub fn follow(api: Api, clusters: Clusters, gateway: SocketAddr) -> Self {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = Arc::clone(&progress);
        let task = tokio::spawn(async move {
            loop {
                // The next look finds what this one missed.
                if let Err(error) = look(api, &clusters, gateway, &shared).await {
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
    clusters: &Clusters,
    gateway: SocketAddr,
    progress: &Mutex<Progress>,
) -> Result<()> {
    // The weights first: the API server may hang.
    let routes = page(gateway, "/config_dump?resource=dynamic_route_configs").await?;
    let stable = weight_of(&routes, clusters.stable);
    let canary = weight_of(&routes, clusters.canary);
    {
        let mut progress = locked(progress);
        progress.routed |= stable > 0;
        let last = progress.weights.last().map_or(0, |(_, weight)| *weight);
        if stable + canary > 0 && canary != last {
            progress.weights.push((Instant::now(), canary));
        }
    }
    let endpoints = page(gateway, "/clusters?format=json").await?;
    let pods = api.list("/api/v1/pods").await?;
    let images = (
        image(&pods, &addresses(&endpoints, clusters.stable)),
        image(&pods, &addresses(&endpoints, clusters.canary)),
    );
    locked(progress).images = images;
    Ok(())
}

/// An admin page of Envoy.
async fn page(gateway: SocketAddr, path: &str) -> Result<Value> {
    let answer = http::get(gateway, path).await?;
    ensure!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(answer.body()).with_context(|| path.to_owned())
}

/// The members of a list; none where there is no list.
fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.into_iter().flatten()
}

/// The addresses of a cluster's endpoints.
fn addresses<'a>(endpoints: &'a Value, cluster: &str) -> Vec<&'a str> {
    list(endpoints, "/cluster_statuses")
        .filter(|status| status.get("name").and_then(Value::as_str) == Some(cluster))
        .flat_map(|status| list(status, "/host_statuses"))
        .filter_map(|host| host.pointer("/address/socket_address/address")?.as_str())
        .collect()
}

/// The image of the pods with these addresses; `None` while there are none, or several.
fn image(pods: &[Value], addresses: &[&str]) -> Option<String> {
    let images = pods.iter().filter_map(|pod| {
        let address = pod.pointer("/status/podIP")?.as_str()?;
        let image = pod.pointer("/spec/containers/0/image")?.as_str()?;
        addresses.contains(&address).then(|| image.to_owned())
    });
    let mut images: Vec<String> = images.collect();
    images.sort();
    images.dedup();
    if images.len() > 1 { None } else { images.pop() }
}

/// The weight of a cluster, in percent, in the last route of the shop's virtual host: before it
/// stands at most the route of what is steered.
fn weight_of(routes: &Value, cluster: &str) -> u32 {
    let shop = list(routes, "/configs")
        .flat_map(|config| list(config, "/route_config/virtual_hosts"))
        .find(|host| list(host, "/domains").any(|domain| domain == DOMAIN));
    let Some(route) = shop.and_then(|host| list(host, "/routes").last()) else {
        return 0;
    };
    if route.pointer("/route/cluster").and_then(Value::as_str) == Some(cluster) {
        return 100;
    }
    let weights = list(route, "/route/weighted_clusters/clusters")
        .filter(|weighted| weighted.get("name").and_then(Value::as_str) == Some(cluster))
        .filter_map(|weighted| u32::try_from(weighted.get("weight")?.as_u64()?).ok());
    weights.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const STABLE: &str = "outbound|8080||shop-primary.shop.svc.cluster.local";
    const CANARY: &str = "outbound|8080||shop-canary.shop.svc.cluster.local";

    #[test]
    fn weights_are_those_of_the_last_route_of_the_shops_host() {
        let dump = |route: Value| {
            json!({"configs": [{"route_config": {"virtual_hosts": [
                {"domains": ["other"], "routes": []},
                {"domains": [DOMAIN], "routes": [{"route": {"cluster": STABLE}}, {"route": route}]},
            ]}}]})
        };
        let split = dump(json!({"weighted_clusters": {"clusters": [
            {"name": STABLE, "weight": 75},
            {"name": CANARY, "weight": 25},
        ]}}));
        assert_eq!(weight_of(&split, STABLE), 75);
        assert_eq!(weight_of(&split, CANARY), 25);
        assert_eq!(weight_of(&dump(json!({"cluster": CANARY})), CANARY), 100);
        assert_eq!(weight_of(&json!({}), CANARY), 0);
    }

    #[test]
    fn an_image_is_that_of_the_pods_behind_a_cluster() {
        let endpoint = |address| json!({"address": {"socket_address": {"address": address}}});
        let endpoints = json!({"cluster_statuses": [
            {"name": STABLE, "host_statuses": [endpoint("10.88.0.2"), endpoint("10.88.0.3")]},
            {"name": CANARY},
        ]});
        let pod = |image, address| json!({"spec": {"containers": [{"image": image}]}, "status": {"podIP": address}});
        let pods = [
            pod("shop:1", "10.88.0.2"),
            pod("shop:1", "10.88.0.3"),
            pod("shop:2", "10.88.0.4"),
        ];
        let stable = addresses(&endpoints, STABLE);
        assert_eq!(image(&pods, &stable).as_deref(), Some("shop:1"));
        assert_eq!(image(&pods, &addresses(&endpoints, CANARY)), None);
        assert_eq!(image(&pods, &["10.88.0.2", "10.88.0.4"]), None);
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
