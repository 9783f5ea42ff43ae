//! How an Envoy process is started.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::folder::{Folder, run_dir, workspace};
use super::watcher::Watcher;
use super::{Envoy, discovery_response};
use crate::http;
use crate::wait::wait_until;

pub(super) const LOG: &str = "envoy.log";
pub(super) const LISTENERS: &str = "listeners.json";
pub(super) const ROUTES: &str = "routes.json";
const ADMIN_ADDRESS: &str = "admin.address";
const BASE_ID: &str = "base.id";
/// Longer than a busy machine stands still: what is under way when a listener is replaced ends before
/// its connection does.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What Envoy is started with.
///
/// The bootstrap needs neither admin address nor listeners: those are merged over it.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    bootstrap: String,
    listeners: Vec<Value>,
    routes: Vec<Value>,
    concurrency: u32,
    log_level: String,
    component_log_level: String,
    drain_time: Duration,
    under: Vec<String>,
    hot_restart: HotRestart,
}

/// Whether an Envoy can hand over to another.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HotRestart {
    Disabled,
    /// The first: it chooses a base id and leaves it in a file of this name in its folder.
    First,
    /// The one after that, with the base id of the first.
    Second(String),
}

impl Launch {
    /// An Envoy with a bootstrap in JSON or YAML. `name` is its folder under
    /// `target/integration/` and must be its own among those that run at the same time.
    #[must_use]
    pub fn new(name: &str, bootstrap: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            bootstrap: bootstrap.into(),
            listeners: Vec::new(),
            routes: Vec::new(),
            concurrency: 2,
            log_level: "warning".to_owned(),
            component_log_level: "wasm:info".to_owned(),
            drain_time: DRAIN_TIME,
            under: Vec::new(),
            hot_restart: HotRestart::Disabled,
        }
    }

    /// Makes [`Envoy::hot_restart`] possible.
    #[must_use]
    pub fn hot_restart(mut self) -> Self {
        self.hot_restart = HotRestart::First;
        self
    }

    /// The one that takes over from the Envoy in `dir`, which was started from this; with a folder
    /// of its own.
    pub(super) fn successor(&self, dir: &Path) -> Result<Self> {
        let path = dir.join(BASE_ID);
        let base_id = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            name: format!("{}-successor", self.name),
            hot_restart: HotRestart::Second(base_id.trim().to_owned()),
            ..self.clone()
        })
    }

    /// Listeners (each with its `@type`), replaceable by [`Envoy::replace_listeners`].
    #[must_use]
    pub fn listeners(mut self, listeners: Vec<Value>) -> Self {
        self.listeners = listeners;
        self
    }

    /// Route configurations for listeners whose `rds` reads [`routes_source`].
    ///
    /// [`routes_source`]: Self::routes_source
    #[must_use]
    pub fn routes(mut self, routes: Vec<Value>) -> Self {
        self.routes = routes;
        self
    }

    /// The `config_source` of the routes of an Envoy of this name.
    #[must_use]
    pub fn routes_source(name: &str) -> Value {
        file_source(&run_dir(name).join(ROUTES))
    }

    /// Worker threads, 2 unless said otherwise.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Log level of Envoy, `warning` unless said otherwise; the wasm component logs at `info`.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        self.log_level = level.to_owned();
        self
    }

    /// Log levels by component, as in `wasm:debug,router:trace`.
    #[must_use]
    pub fn component_log_level(mut self, levels: &str) -> Self {
        self.component_log_level = levels.to_owned();
        self
    }

    /// How long old connections may stay after a change of listeners; whole seconds, 5 s unless
    /// said otherwise.
    #[must_use]
    pub fn drain_time(mut self, time: Duration) -> Self {
        self.drain_time = time;
        self
    }

    /// Runs it under another program, such as `valgrind --tool=callgrind`.
    #[must_use]
    pub fn under(mut self, command: Vec<String>) -> Self {
        self.under = command;
        self
    }

    /// Starts it and waits until it serves all its listeners.
    ///
    /// # Errors
    /// When there is no Envoy binary (with the repair), when it ends or rejects its config (with
    /// the end of its log), or does not get ready.
    pub async fn start(self) -> Result<Envoy> {
        let binary = binary()?;
        let folder = Folder::take(&self.name)?;
        let dir = &folder.path;
        write_resources(dir, LISTENERS, 1, &self.listeners)?;
        write_resources(dir, ROUTES, 1, &self.routes)?;
        let child = self.spawn(&binary, dir)?;

        // From here on a failure kills the process, by dropping it.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Envoy {
            launch: self,
            folder,
            admin: unknown,
            child,
            watcher: None,
            version: 1,
        };
        envoy.watcher = Some(Watcher::of(envoy.pid())?);
        let listeners = envoy.launch.listeners.clone();
        match wait_until_ready(&mut envoy, &listeners).await {
            Ok(()) => Ok(envoy),
            Err(error) => Err(error.context(envoy.failure("did not start"))),
        }
    }

    fn spawn(&self, binary: &Path, dir: &Path) -> Result<Child> {
        // The file's ending tells Envoy the format.
        let json = self.bootstrap.trim_start().starts_with('{');
        let bootstrap = dir.join(if json {
            "bootstrap.json"
        } else {
            "bootstrap.yaml"
        });
        fs::write(&bootstrap, &self.bootstrap)
            .with_context(|| format!("write {}", bootstrap.display()))?;
        let log = File::create(dir.join(LOG)).context("create the log")?;

        let local = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        let admin = json!({"address": local});
        let overlay = if self.listeners.is_empty() {
            json!({"admin": admin})
        } else {
            let source = file_source(&dir.join(LISTENERS));
            json!({"admin": admin, "dynamic_resources": {"lds_config": source}})
        };
        let mut command = match self.under.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .arg("-c")
            .arg(&bootstrap)
            .args(["--config-yaml", &overlay.to_string()])
            .arg("--admin-address-path")
            .arg(dir.join(ADMIN_ADDRESS))
            .args(self.hot_restart_arguments(dir))
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--log-level", &self.log_level])
            .args(["--component-log-level", &self.component_log_level])
            .args(["--drain-time-s", &self.drain_time.as_secs().to_string()])
            .args(["--drain-strategy", "immediate"])
            .args([
                "--parent-shutdown-time-s",
                &(self.drain_time.as_secs() + 1).to_string(),
            ])
            .args(["--file-flush-interval-msec", "100"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("log handle")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))
    }
}

impl Launch {
    fn hot_restart_arguments(&self, dir: &Path) -> Vec<String> {
        let base_id = || dir.join(BASE_ID).to_string_lossy().into_owned();
        match &self.hot_restart {
            // Instead of a base id: no shared memory, hence nothing that two Envoys could share.
            HotRestart::Disabled => vec!["--disable-hot-restart".to_owned()],
            HotRestart::First => vec![
                "--use-dynamic-base-id".to_owned(),
                "--base-id-path".to_owned(),
                base_id(),
            ],
            HotRestart::Second(base_id) => vec![
                "--restart-epoch".to_owned(),
                "1".to_owned(),
                "--base-id".to_owned(),
                base_id.clone(),
            ],
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Envoy {
    pub(super) fn failure(&self, what: &str) -> String {
        format!(
            "envoy {} {what}; config and log are in {}; end of the log:\n{}",
            self.name(),
            self.dir().display(),
            self.log_tail()
        )
    }
}

async fn wait_until_ready(envoy: &mut Envoy, listeners: &[Value]) -> Result<()> {
    let address = envoy.dir().join(ADMIN_ADDRESS);
    // Compiling a module for every VM takes most of the time.
    wait_until("answer that it is ready", async || {
        if let Some(status) = envoy.child.try_wait().context("look at the process")? {
            bail!("ended with {status}");
        }
        // The file may be there before its content.
        let text = fs::read_to_string(&address).ok();
        let Some(admin) = text.and_then(|text| text.parse().ok()) else {
            return Ok(false);
        };
        envoy.admin = admin;
        let answer = http::get(admin, "/ready").await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    })
    .await?;
    // The workers begin a little later.
    let stats = envoy
        .wait_for("workers", |stats| {
            stats.get("listener_manager.workers_started") == Some(1)
        })
        .await?;
    // A rejected listener does not keep Envoy from saying that it is ready.
    let active = stats.get("listener_manager.total_listeners_active");
    ensure!(
        active >= Some(listeners.len() as u64),
        "{active:?} of {} listeners are active",
        listeners.len()
    );
    // Each worker opens its sockets when its own thread comes to it.
    for address in listeners.iter().filter_map(listens_at) {
        wait_until("open listener", async || {
            Ok(TcpStream::connect(address).await.is_ok())
        })
        .await?;
    }
    Ok(())
}

/// Where a listener listens, if it is at an address of its own.
fn listens_at(listener: &Value) -> Option<SocketAddr> {
    let socket = listener.get("address")?.get("socket_address")?;
    let port = u16::try_from(socket.get("port_value")?.as_u64()?).ok()?;
    let ip = socket.get("address")?.as_str()?.parse().ok()?;
    (port != 0).then_some(SocketAddr::new(ip, port))
}

/// The Envoy binary: `$ENVOY`, else `.cache/envoy/envoy` in the workspace.
///
/// # Errors
/// When the file is not there: with the repair.
pub fn binary() -> Result<PathBuf> {
    let cached = || workspace().join(".cache/envoy/envoy");
    let path = std::env::var_os("ENVOY").map_or_else(cached, PathBuf::from);
    ensure!(
        path.is_file(),
        "no Envoy at {}; run `make setup`, or set ENVOY=/path/to/envoy",
        path.display()
    );
    Ok(path)
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Errors
/// When none of some thousands is free.
pub fn free_port() -> Result<u16> {
    // Below Linux's ephemeral ports: those can become the near end of an outgoing connection
    // between this look and Envoy's bind. The process id keeps two test runs apart.
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() * 37 % u32::from(COUNT)).unwrap_or_default();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + step) % COUNT;
        if TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST} to {}", FIRST + COUNT)
}

/// Writes resources beside their place and moves them there: Envoy looks at moves only, and
/// never sees half a file.
pub(super) fn write_resources(
    dir: &Path,
    file: &str,
    version: u64,
    resources: &[Value],
) -> Result<()> {
    let path = dir.join(file);
    let new = dir.join(format!("{file}.new"));
    fs::write(&new, discovery_response(version, resources).to_string())
        .with_context(|| format!("write {}", new.display()))?;
    fs::rename(&new, &path).with_context(|| format!("move to {}", path.display()))
}

pub(super) fn read_log(dir: &Path) -> String {
    let bytes = fs::read(dir.join(LOG)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn file_source(path: &Path) -> Value {
    json!({"resource_api_version": "V3", "path_config_source": {"path": path.to_string_lossy()}})
}
