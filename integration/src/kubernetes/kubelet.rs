//! A stand-in for scheduler and kubelet: a pod gets a shop that listens on its port.
//!
//! KWOK would say of pods that they run and start nothing, so there would be no shop to send
//! requests to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Api, ControlPlane};
use crate::shop::{Regression, Shop};

/// Pause between two looks: short beside the seconds of a controller.
const LOOK: Duration = Duration::from_millis(100);
/// The only node.
const NODE: &str = "node";

/// Starts a [`Shop`] for each pod and says of the pod that it is ready; the shop of a pod that is
/// deleted serves on for the pod's grace period. It stops when dropped, and all shops with it.
///
/// The shop says that its version is the image's tag. A tag also names what is wrong with its image,
/// behind a hyphen: `shop:1.2` is healthy, and `shop:1.3-errors` has [`Regression::Errors`].
#[derive(Debug)]
pub struct Kubelet {
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Adds the node and begins.
    ///
    /// # Errors
    /// When this machine has no address but loopback.
    pub async fn start(plane: &ControlPlane, seed: u64) -> Result<Self> {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        plane.apply(&[node]).await?;
        let mut node = Node {
            api: *plane.api(),
            address: address_of_this_machine()?,
            seed,
            shops: BTreeMap::new(),
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
        Ok(Self { task })
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Node {
    api: Api,
    address: IpAddr,
    seed: u64,
    /// By the pods' paths.
    shops: BTreeMap<String, Shop>,
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
                    self.shops.remove(&path);
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
            } else if !self.shops.contains_key(&path) {
                let shop = self.shop(&pod).await.with_context(|| path.clone())?;
                self.shops.insert(path.clone(), shop);
                let status = json!({"status": self.running(&pod)});
                self.api.patch(&format!("{path}/status"), &status).await?;
            }
        }
        Ok(())
    }

    async fn shop(&mut self, pod: &Value) -> Result<Shop> {
        let image = pod.pointer("/spec/containers/0/image");
        let image = image.and_then(Value::as_str).context("an image")?;
        let port = pod.pointer("/spec/containers/0/ports/0/containerPort");
        let port = port.and_then(Value::as_u64).context("a port")?;
        let address = SocketAddr::new(self.address, u16::try_from(port).context("a port")?);
        self.seed = self.seed.wrapping_add(1);
        let shop = Shop::start_at(tag(image), self.seed, address).await?;
        shop.set_regression(regression(image)?);
        Ok(shop)
    }

    fn running(&self, pod: &Value) -> Value {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let condition =
            |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
        let field = |name: &str| pod.pointer(&format!("/spec/containers/0/{name}"));
        json!({
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": self.address,
            "hostIPs": [{"ip": self.address}],
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
}

/// The address with which it would ask others.
fn address_of_this_machine() -> Result<IpAddr> {
    // Nothing is sent: this only looks up the route to an address for documentation.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).context("a socket")?;
    let found = socket
        .connect(("198.51.100.1", 9))
        .and_then(|()| socket.local_addr());
    let address = found
        .context("this machine has no address but loopback, which Kubernetes refuses for pods")?
        .ip();
    ensure!(!address.is_loopback(), "{address}: Kubernetes refuses it");
    Ok(address)
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
