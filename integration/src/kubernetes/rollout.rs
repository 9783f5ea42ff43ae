//! A stand-in for the mesh and for the shop's pods during a rollout.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Api;
use crate::shop::{Regression, Shop, Shops};
use crate::topology::Topology;

/// Pause between two looks: short beside the seconds of a controller.
const LOOK: Duration = Duration::from_millis(100);

/// What a rollout is made of, by name; all of it is in one namespace.
#[derive(Debug, Clone)]
pub struct Services {
    /// The namespace.
    pub namespace: &'static str,
    /// The VirtualService with the weights.
    pub virtual_service: &'static str,
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
    /// The images of the stable version's pods and of the canary's.
    pub images: (Option<String>, Option<String>),
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

/// Moves the weights of a [`Topology`] to those of a VirtualService, and lets its two shops behave
/// as the images that their services select; it stops when dropped.
///
/// A tag names what is wrong with its image behind a hyphen: `shop:1.2` is healthy, and `shop:1.3-errors`
/// has [`Regression::Errors`]. The shop takes the place of its pods: a new image changes how it
/// behaves from the next request on.
#[derive(Debug)]
pub struct Rollout {
    progress: Arc<Mutex<Progress>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rollout {
    /// Begins.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(api: Api, services: Services, topology: Topology, shops: Shops) -> Result<Self> {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let mut mesh = Mesh {
            api,
            services,
            topology,
            shops,
            weights: None,
        };
        let shared = Arc::clone(&progress);
        let (stop, mut stopped) = oneshot::channel();
        // A runtime of its own: what waits for Envoy's answer stays on one thread.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("a runtime")?;
        let follow = move || {
            runtime.block_on(async {
                while matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                    // The next look finds what this one missed.
                    if let Err(error) = mesh.follow(&shared).await {
                        eprintln!("the mesh's stand-in: {error:#}");
                    }
                    sleep(LOOK).await;
                }
            });
        };
        let thread = thread::Builder::new()
            .name("mesh".to_owned())
            .spawn(follow)
            .context("a thread")?;
        Ok(Self {
            progress,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What has come of it so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        locked(&self.progress).clone()
    }
}

impl Drop for Rollout {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It fails only after a panic, which has been printed.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Mesh {
    api: Api,
    services: Services,
    topology: Topology,
    shops: Shops,
    weights: Option<(u32, u32)>,
}

impl Mesh {
    async fn follow(&mut self, progress: &Mutex<Progress>) -> Result<()> {
        let (stable, canary) = (self.services.stable, self.services.canary);
        // Images first: a weight must not lead to the pods of the last release.
        let images = (self.image(stable).await?, self.image(canary).await?);
        let known = locked(progress).images.clone();
        if images != known {
            behave(&self.shops.v1, images.0.as_deref())?;
            behave(&self.shops.v2, images.1.as_deref())?;
            locked(progress).images = images;
        }
        let path = format!(
            "/apis/networking.istio.io/v1/namespaces/{}/virtualservices/{}",
            self.services.namespace, self.services.virtual_service
        );
        let Some(service) = self.api.get(&path).await? else {
            return Ok(());
        };
        let weights = (weight_of(&service, stable), weight_of(&service, canary));
        if self.weights == Some(weights) || weights == (0, 0) {
            return Ok(());
        }
        self.topology.set_weights(weights.0, weights.1).await?;
        self.weights = Some(weights);
        let mut progress = locked(progress);
        if weights.1 > 0 || !progress.weights.is_empty() {
            progress.weights.push((Instant::now(), weights.1));
        }
        Ok(())
    }

    /// The image of the pods that a service selects; `None` while there are none.
    async fn image(&self, service: &str) -> Result<Option<String>> {
        let namespace = self.services.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/services/{service}");
        let Some(service) = self.api.get(&path).await? else {
            return Ok(None);
        };
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else {
            return Ok(None);
        };
        for kind in ["deployments", "replicasets"] {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/{kind}");
            for owner in self.api.list(&path).await? {
                let labels = owner.pointer("/spec/template/metadata/labels");
                let selected = selector
                    .iter()
                    .all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value));
                let image = owner.pointer("/spec/template/spec/containers/0/image");
                if let (true, Some(image)) = (selected, image.and_then(Value::as_str)) {
                    return Ok(Some(image.to_owned()));
                }
            }
        }
        Ok(None)
    }
}

fn locked(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

fn behave(shop: &Shop, image: Option<&str>) -> Result<()> {
    let regression = match image {
        Some(image) => regression_of(image)?,
        None => Regression::None,
    };
    shop.set_regression(regression);
    Ok(())
}

fn regression_of(image: &str) -> Result<Regression> {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    match tag.split_once('-') {
        Some((_, name)) => name.parse().with_context(|| image.to_owned()),
        None => Ok(Regression::None),
    }
}

/// The weight of a service in the first route of a VirtualService. A host may be a short name.
fn weight_of(virtual_service: &Value, service: &str) -> u32 {
    let routes = virtual_service.pointer("/spec/http/0/route");
    let routes = routes.and_then(Value::as_array).into_iter().flatten();
    let weights = routes.filter_map(|route| {
        let host = route.pointer("/destination/host").and_then(Value::as_str)?;
        let name = host.split('.').next()?;
        let weight = route.get("weight").and_then(Value::as_u64)?;
        (name == service).then(|| u32::try_from(weight).ok())?
    });
    weights.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn weights_belong_to_services_by_their_short_names() {
        let service = json!({"spec": {"http": [{"route": [
            {"destination": {"host": "shop-primary"}, "weight": 75},
            {"destination": {"host": "shop-canary.shop.svc.cluster.local"}, "weight": 25}
        ]}]}});
        assert_eq!(weight_of(&service, "shop-primary"), 75);
        assert_eq!(weight_of(&service, "shop-canary"), 25);
        assert_eq!(weight_of(&service, "shop"), 0);
        assert_eq!(weight_of(&json!({}), "shop"), 0);
    }

    #[test]
    fn a_tag_says_what_is_wrong_with_its_image() {
        let of = |image| regression_of(image).ok();
        assert_eq!(
            of("registry.example.com:5000/shop:1.2"),
            Some(Regression::None)
        );
        assert_eq!(of("shop:1.3-lost-field"), Some(Regression::LostField));
        assert_eq!(of("shop:1.3-unheard-of"), None);
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
