//! A stand-in for scheduler and kubelet: a pod gets an address, and a shop that listens there.
//!
//! KWOK would say of pods that they run and start nothing, so there would be no shop to send
//! requests to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, block_in_place};

use super::sidecars::is_asked_for;
use super::{Api, ControlPlane, Sidecars};
use crate::istio::Proxy;
use crate::shop::{Regression, Shop};

/// Pause between two looks: short beside the seconds of a controller.
const LOOK: Duration = Duration::from_millis(100);
/// The only node.
const NODE: &str = "node";
/// The pods' addresses, with the number of a pod in the last two places. `scripts/own-network.sh` makes
/// them addresses of this machine.
const NETWORK: u32 = u32::from_be_bytes([10, 88, 0, 0]);
/// As many pods as there are addresses, but for the first few.
const PODS: u32 = 65_000;

/// Starts a [`Shop`] for each pod, with a sidecar where the pod asks for one, and says of the pod that it
/// is ready. The shop of a pod that is deleted serves on for the pod's grace period. It stops when
/// dropped, and all shops with it.
///
/// The shop says that its version is the image's tag. A tag also names what is wrong with its image,
/// behind a hyphen: `shop:1.2` is healthy, and `shop:1.3-errors` has [`Regression::Errors`].
#[derive(Debug)]
pub struct Kubelet {
    task: JoinHandle<()>,
    pods: Pods,
}

/// What runs for a pod.
#[derive(Debug)]
struct Running {
    /// The pod's label of this name.
    app: String,
    shop: Shop,
    sidecar: Option<Proxy>,
}

/// The pods that run, by their paths.
type Pods = Arc<Mutex<BTreeMap<String, Running>>>;

impl Kubelet {
    /// Adds the node and begins. A pod that asks for a sidecar gets one of `sidecars`.
    ///
    /// # Errors
    /// When pods' addresses are not those of this machine.
    pub async fn start(plane: &ControlPlane, sidecars: Sidecars, seed: u64) -> Result<Self> {
        let first = address(1);
        TcpListener::bind((first, 0)).with_context(|| {
            format!("{first} is not this machine; run this by scripts/own-network.sh")
        })?;
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        plane.apply(&[node]).await?;
        let pods = Pods::default();
        let mut node = Node {
            api: *plane.api(),
            seed,
            started: 0,
            pods: Arc::clone(&pods),
            sidecars,
        };
        let task = tokio::spawn(async move {
            loop {
                // The next look finds what this one missed.
                if let Err(error) = node.look().await {
                    eprintln!("the kubelet's stand-in: {error:#}");
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { task, pods })
    }

    /// From the next request on, the shops of an image behave like this.
    pub fn spoil(&self, image: &str, regression: Regression) {
        for Running { shop, .. } in locked(&self.pods).values() {
            if shop.version() == tag(image) {
                shop.set_regression(regression);
            }
        }
    }

    /// Where the sidecar of the pods with this label `app` has its admin pages; `None` while none
    /// runs.
    #[must_use]
    pub fn sidecar(&self, app: &str) -> Option<SocketAddr> {
        let pods = locked(&self.pods);
        let mut of_app = pods.values().filter(|pod| pod.app == app);
        of_app.find_map(|pod| Some(pod.sidecar.as_ref()?.admin_address()))
    }
}

fn locked(pods: &Pods) -> MutexGuard<'_, BTreeMap<String, Running>> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Node {
    api: Api,
    seed: u64,
    /// Pods that there were so far.
    started: u32,
    pods: Pods,
    sidecars: Sidecars,
}

impl Node {
    async fn look(&mut self) -> Result<()> {
        for pod in self.api.list("/api/v1/pods").await? {
            let text = |path| pod.pointer(path).and_then(Value::as_str);
            let (Some(namespace), Some(name)) =
                (text("/metadata/namespace"), text("/metadata/name"))
            else {
                continue;
            };
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
            if let Some(time) = text("/metadata/deletionTimestamp") {
                let end = humantime::parse_rfc3339(time).context("time of deletion")?;
                if end <= SystemTime::now() {
                    let gone = locked(&self.pods).remove(&path);
                    if gone.is_some_and(|pod| pod.sidecar.is_some()) {
                        self.tell()?;
                    }
                    self.api.remove(&path).await?;
                }
            } else if text("/spec/nodeName").is_none() {
                let binding = json!({
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": name},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
                });
                self.api
                    .create(&format!("{path}/binding"), &binding)
                    .await?;
            } else if !locked(&self.pods).contains_key(&path) {
                let (address, started) = self.run(&pod).await.with_context(|| path.clone())?;
                let status = json!({"status": running(&pod, address)});
                self.api.patch(&format!("{path}/status"), &status).await?;
                let has_sidecar = started.sidecar.is_some();
                locked(&self.pods).insert(path, started);
                if has_sidecar {
                    self.tell()?;
                }
            }
        }
        Ok(())
    }

    /// Starts what a pod asks for, and gives the address at which it can be reached.
    async fn run(&mut self, pod: &Value) -> Result<(SocketAddr, Running)> {
        let image = pod.pointer("/spec/containers/0/image");
        let image = image.and_then(Value::as_str).context("an image")?;
        let port = pod.pointer("/spec/containers/0/ports/0/containerPort");
        let port = port.and_then(Value::as_u64).context("a port")?;
        self.started += 1;
        let address = SocketAddr::from((address(self.started), u16::try_from(port)?));
        let seed = self.seed.wrapping_add(u64::from(self.started));
        // A sidecar takes the pod's port.
        let has_sidecar = is_asked_for(pod);
        let shop = if has_sidecar {
            Shop::start(tag(image), seed).await?
        } else {
            Shop::start_at(tag(image), seed, address).await?
        };
        shop.set_regression(regression(image)?);
        let sidecar = if has_sidecar {
            let application = shop.address();
            let started = self.sidecars.start(&self.api, pod, address, application);
            // What waits for a proxy cannot move between threads.
            Some(block_in_place(|| Handle::current().block_on(started))?)
        } else {
            None
        };
        let app = pod.pointer("/metadata/labels/app").and_then(Value::as_str);
        let app = app.unwrap_or_default().to_owned();
        Ok((address, Running { app, shop, sidecar }))
    }

    /// Says to Prometheus which sidecars run.
    fn tell(&self) -> Result<()> {
        let pods = locked(&self.pods);
        let sidecars = pods.values().filter_map(|pod| {
            let sidecar = pod.sidecar.as_ref()?;
            Some((pod.app.as_str(), sidecar.admin_address()))
        });
        self.sidecars.tell(sidecars)
    }
}

/// The address of a pod by its number.
fn address(pod: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(NETWORK + 1 + pod % PODS)
}

/// The status of a pod that runs and is ready.
fn running(pod: &Value, address: SocketAddr) -> Value {
    let address = address.ip();
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let field = |name: &str| pod.pointer(&format!("/spec/containers/0/{name}"));
    json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        "startTime": now,
        "conditions": conditions,
        "containerStatuses": [{
            "name": field("name"),
            "image": field("image"),
            "imageID": "",
            "restartCount": 0,
            "ready": true,
            "started": true,
            "state": {"running": {"startedAt": now}},
        }],
    })
}

/// The tag of an image; empty where it has none.
fn tag(image: &str) -> &str {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    name.rsplit_once(':').map_or("", |(_, tag)| tag)
}

fn regression(image: &str) -> Result<Regression> {
    match tag(image).split_once('-') {
        Some((_, name)) => name.parse().with_context(|| image.to_owned()),
        None => Ok(Regression::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_what_is_wrong_with_its_image() {
        let of = |image| regression(image).ok();
        assert_eq!(
            of("registry.example.com:5000/shop:1.2"),
            Some(Regression::None)
        );
        assert_eq!(of("registry.example.com:5000/shop"), Some(Regression::None));
        assert_eq!(of("shop:1.3-lost-field"), Some(Regression::LostField));
        assert_eq!(of("shop:1.3-unheard-of"), None);
    }
}
