//! What the story is played on: two versions behind one Envoy, with or without sidecars.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, absolute};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, RunName};
use serin_integration::mesh::Mesh;
use serin_integration::shop::{Shop, Shops};
use serin_integration::topology::{AccessLog, Topology, WasmFilter};

use crate::args::{Args, Story};
use crate::filter::Opinion;

/// The filter's module, from the workspace's root.
pub(crate) const MODULE: &str = "target/serin.wasm";
const WARM_UP: &str = "3s";
/// A session that has been quiet for thirty of these is over.
const TICK_WITH_USERS: &str = "250ms";

/// Two versions and the Envoys between them and their users.
#[derive(Debug)]
pub(crate) enum Scene {
    /// One Envoy.
    Plain {
        shops: Shops,
        topology: Box<Topology>,
        _name: RunName,
    },
    /// A gateway, and a sidecar beside each version.
    Mesh { mesh: Box<Mesh>, _name: RunName },
}

impl Scene {
    /// What is about to be started.
    pub(crate) fn opening(args: &Args) -> &'static str {
        if args.story.has_sidecars() {
            "starting two versions of a shop, each with its sidecar, behind one gateway"
        } else {
            "starting two versions of a shop behind one Envoy"
        }
    }

    /// Starts everything.
    ///
    /// # Errors
    /// When Envoy is missing or does not start.
    pub(crate) async fn start(args: &Args) -> Result<Self> {
        // Another demo may run beside this one.
        let name = RunName::take(&format!("demo-{}", args.story))?;
        let config = config(args);
        let recording = args
            .record
            .as_deref()
            .map(|file| recording(file, &config))
            .transpose()?;
        let (stable, canary) = (100 - args.share, args.share);
        if args.story.has_sidecars() {
            let mut mesh = Mesh::builder(name.as_str(), MODULE, &config)
                .weights(stable, canary)
                .seed(args.seed);
            if let Some(log) = recording {
                mesh = mesh.access_log(log);
            }
            let mesh = mesh.start().await?;
            return Ok(Self::Mesh {
                mesh: Box::new(mesh),
                _name: name,
            });
        }
        let shops = Shops::start(args.seed).await?;
        let mut topology = Topology::builder(name.as_str(), &shops)
            .weights(stable, canary)
            .filter(WasmFilter::new(MODULE, &config));
        if let Some(log) = recording {
            topology = topology.access_log(log);
        }
        let topology = topology.start().await?;
        Ok(Self::Plain {
            shops,
            topology: Box::new(topology),
            _name: name,
        })
    }

    /// The Envoy that compares.
    pub(crate) fn front(&self) -> &Envoy {
        match self {
            Self::Plain { topology, .. } => &topology.front,
            Self::Mesh { mesh, .. } => &mesh.gateway,
        }
    }

    /// Where users send their requests.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Plain { topology, .. } => topology.address(),
            Self::Mesh { mesh, .. } => mesh.address(),
        }
    }

    /// Requests that came in so far, and those of them that the filter had sent to v1.
    pub(crate) fn received_and_steered(&self, opinion: &Opinion) -> (u64, u64) {
        let (v1, v2) = (self.v1().served(), self.v2().served());
        let served = || v1.values().chain(v2.values());
        let received = served().map(|counts| counts.received).sum();
        let steered = match self {
            Self::Plain { .. } => served().map(|counts| counts.steered).sum(),
            // The sidecar takes the mark of a steered request away.
            Self::Mesh { .. } => opinion.steered,
        };
        (received, steered)
    }

    /// The stable version.
    pub(crate) fn v1(&self) -> &Shop {
        match self {
            Self::Plain { shops, .. } => &shops.v1,
            Self::Mesh { mesh, .. } => &mesh.v1.shop,
        }
    }

    /// The canary.
    pub(crate) fn v2(&self) -> &Shop {
        match self {
            Self::Plain { shops, .. } => &shops.v2,
            Self::Mesh { mesh, .. } => &mesh.v2.shop,
        }
    }
}

/// The config of the filter that compares.
fn config(args: &Args) -> Value {
    let mut config = json!({
        "mode": args.mode.name(),
        "baseline": "v1",
        "candidate": "v2",
        "warm_up": WARM_UP,
        "body": {},
        "versions": {
            "from": "clusters",
            "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}},
        },
    });
    let more = if args.story.has_sidecars() {
        json!({"signals": {"fan_out": true}})
    } else if args.story.follows_users() {
        json!({"tick": TICK_WITH_USERS, "session": {"from": "cookie", "name": "session"}})
    } else if args.story == Story::SharedChange {
        // A past of seconds instead of hours.
        json!({"tick": "250ms", "drift": {"window": "500ms"}})
    } else {
        json!({})
    };
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
        if args.record.is_some() {
            config.insert("record".to_owned(), json!(true));
        }
    }
    config
}

/// A log of each exchange, in an emptied file, and beside it the filter's config for a replay. A
/// recording has no bodies.
fn recording(file: &Path, config: &Value) -> Result<AccessLog> {
    // Envoy appends.
    File::create(file).with_context(|| format!("--record {}", file.display()))?;
    let beside = file.with_extension("config.json");
    let mut config = config.clone();
    if let Value::Object(fields) = &mut config {
        fields.remove("body");
    }
    fs::write(&beside, format!("{config:#}\n"))
        .with_context(|| format!("write {}", beside.display()))?;
    let path = absolute(file).with_context(|| format!("--record {}", file.display()))?;
    Ok(AccessLog {
        path: path.to_string_lossy().into_owned(),
        format: json!("%FILTER_STATE(wasm.serin.exchange:PLAIN)%\n"),
    })
}
