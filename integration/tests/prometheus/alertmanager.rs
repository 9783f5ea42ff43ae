//! A real Alertmanager as a child process, with the config of the manifests, and who hears of it.

use super::daemon::Daemon;
use super::server::binary;
use anyhow::{Context as _, Result};
use serde_json::Value;
use serin_integration::envoy::{free_port, run_dir, workspace};
use serin_integration::wait_until;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

const CONFIG: &str = "envoyfilter-manifests/alerts/alertmanager.yaml";
/// Where the manifest's receivers are, their name behind it.
const RECEIVERS: &str = "https://hooks.example.com/";
/// Largest message that is taken.
const MAX_MESSAGE: usize = 1 << 20;

/// A running Alertmanager; it is killed when dropped.
pub(crate) struct Alertmanager(Daemon);

impl Alertmanager {
    /// Where it is, if it is to be had here.
    pub(crate) fn binary() -> Option<PathBuf> {
        binary("alertmanager", "alertmanager")
    }

    /// Starts it with the manifest's config, whose receivers are at `webhook` instead.
    pub(crate) async fn start(binary: &PathBuf, webhook: &Webhook) -> Result<Self> {
        let dir = run_dir("alertmanager");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let config = fs::read_to_string(workspace().join(CONFIG)).context(CONFIG)?;
        let config = config.replace(RECEIVERS, &format!("http://{}/", webhook.address));
        let file = dir.join("alertmanager.yaml");
        fs::write(&file, config)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let log = dir.join("alertmanager.log");
        let mut command = Command::new(binary);
        command
            // What Debian's has instead of templates of its own is beside it.
            .current_dir(binary.parent().context("a folder")?)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            // Alone: no other one is looked for.
            .arg("--cluster.listen-address=");
        Daemon::start("Alertmanager", &mut command, address, log)
            .await
            .map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// One alert that a receiver was told of.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) receiver: String,
    pub(crate) alert: Value,
}

impl Told {
    pub(crate) fn is(&self, receiver: &str, name: &str, status: &str) -> bool {
        self.receiver == receiver
            && self.alert["labels"]["alertname"] == name
            && self.alert["status"] == status
    }
}

/// Takes what Alertmanager sends to all receivers.
pub(crate) struct Webhook {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Webhook {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&told);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                // Alertmanager keeps its connections.
                thread::spawn(move || receive(&stream, &all));
            }
        });
        Ok(Self { address, told })
    }

    /// Everything so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until a receiver was told this of an alert, and gives the first time.
    pub(crate) async fn wait_for(&self, receiver: &str, name: &str, status: &str) -> Result<Told> {
        let mut found = None;
        wait_until(&format!("{status} {name} at {receiver}"), async || {
            found = self
                .told()
                .into_iter()
                .find(|told| told.is(receiver, name, status));
            Ok(found.is_some())
        })
        .await
        .with_context(|| format!("{:?}", self.told()))?;
        found.context("told")
    }
}

/// Takes the requests of one connection.
fn receive(stream: &TcpStream, all: &Mutex<Vec<Told>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let receiver = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; usize::min(length, MAX_MESSAGE)];
        reader.read_exact(&mut body).ok()?;
        let at = Instant::now();
        let message: Value = serde_json::from_slice(&body).ok()?;
        let alerts = message["alerts"].as_array()?.iter().map(|alert| Told {
            at,
            receiver: receiver.clone(),
            alert: alert.clone(),
        });
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(alerts);
        let mut stream = stream;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
    }
}
