//! etcd and the API server, and kubectl to talk to it.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Api, folder, program};
use crate::child::Process;
use crate::envoy::{free_port, workspace};
use crate::http;
use crate::topology::local;
use crate::wait::wait_until;

/// Who may do everything. It is worth something on this machine only, and while the test runs.
const TOKEN: &str = "an-administrator-of-one-test";
/// Where the API server keeps its certificate and key, which it makes at its start.
const CERTIFICATES: &str = "certificates";

/// A running API server with its store; they end when dropped, and take all objects with them.
#[derive(Debug)]
pub struct ControlPlane {
    // The order in which they end.
    door: Process,
    api_server: Process,
    _store: Process,
    api: Api,
    kubectl: PathBuf,
}

impl ControlPlane {
    /// Starts it and waits until it is ready. `name` is its folder under `target/integration/`.
    ///
    /// # Errors
    /// When a program was not built, ends, or does not get ready.
    pub async fn start(name: &str) -> Result<Self> {
        let (store, store_address) = start_store(&format!("{name}/etcd")).await?;
        let mut api_server = start_api_server(&format!("{name}/kube-apiserver"), store_address)?;
        let kubectl = program("kubectl")?;
        // kubectl reads the certificate once, at its start. The key is written after it.
        let key = certificate(api_server.dir()).with_extension("key");
        wait_until("certificate of the API server", async || {
            api_server.check()?;
            Ok(key.is_file())
        })
        .await
        .with_context(|| api_server.tail())?;
        let (door, door_address) = start_door(&format!("{name}/kubectl"), &kubectl, &api_server)?;
        let mut plane = Self {
            door,
            api_server,
            _store: store,
            api: Api::new(door_address),
            kubectl,
        };
        wait_until("API server ready", async || {
            plane.api_server.check()?;
            plane.door.check()?;
            let answer = http::get(door_address, "/readyz").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| plane.api_server.tail())?;
        Ok(plane)
    }

    /// Its objects.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The file that says to clients where it is and who they are.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.api_server.dir().join("kubeconfig")
    }

    /// Stops the API server where it stands: who asks it gets no answer.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<()> {
        self.api_server.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<()> {
        self.api_server.signal("CONT")
    }

    /// Runs kubectl with these arguments and gives its output, without the warnings.
    ///
    /// # Errors
    /// When it fails: with what it says.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, Vec::new()).await
    }

    /// Applies objects, as `kubectl apply --server-side` does.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let arguments = [
            "apply",
            "--server-side",
            "--validate=strict",
            "--filename=-",
        ];
        self.kubectl_with(&arguments, list.to_string().into_bytes())
            .await?;
        Ok(())
    }

    /// Removes the objects that the manifests name; one that is not there is passed over.
    ///
    /// # Errors
    /// When one of them cannot be removed.
    pub async fn delete(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let arguments = ["delete", "--ignore-not-found", "--filename=-"];
        self.kubectl_with(&arguments, list.to_string().into_bytes())
            .await?;
        Ok(())
    }

    /// Adds namespaces.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn add_namespaces(&self, names: &[&str]) -> Result<()> {
        let namespace = |name: &&str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let namespaces: Vec<Value> = names.iter().map(namespace).collect();
        self.apply(&namespaces).await
    }

    /// Adds the resource definitions of the manifests and then those that the built controllers
    /// come with, and waits until objects of these kinds can be made.
    ///
    /// # Errors
    /// When there are none, or one is refused.
    pub async fn add_definitions(&self) -> Result<()> {
        let mut files = yaml_files(&workspace().join(".cache/crds"))?;
        ensure!(
            !files.is_empty(),
            "no resource definitions; `make manifest-tools` fetches them"
        );
        for controller in ["flagger", "argo-rollouts"] {
            files.extend(yaml_files(&folder(controller))?);
        }
        for file in files {
            let file = format!("--filename={}", file.display());
            // Two versions of one definition may come, and the controller's is the one that counts.
            self.kubectl(&["apply", "--server-side", "--force-conflicts", &file])
                .await?;
        }
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all"])
            .await?;
        Ok(())
    }

    async fn kubectl_with(&self, arguments: &[&str], input: Vec<u8>) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command
            .env_clear()
            .env("HOME", self.api_server.dir())
            .arg(format!("--kubeconfig={}", self.kubeconfig().display()))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let what = format!("kubectl {}", arguments.join(" "));
        tokio::task::spawn_blocking(move || run(command, &input))
            .await
            .context("a thread for kubectl")?
            .context(what)
    }
}

fn run(mut command: Command, input: &[u8]) -> Result<String> {
    let mut child = command.spawn().context("start")?;
    let mut standard_input = child.stdin.take().context("its standard input")?;
    standard_input.write_all(input).context("its input")?;
    drop(standard_input);
    let output = child.wait_with_output().context("its output")?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("its output")
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.context("an entry of a folder")?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

async fn start_store(name: &str) -> Result<(Process, SocketAddr)> {
    let address = local(free_port()?);
    let clients = format!("http://{address}");
    let peers = format!("http://{}", local(free_port()?));
    let mut store = Process::start(
        name,
        &program("etcd")?,
        |_| Ok(()),
        |command| {
            command
                .args(["--data-dir", "data", "--log-level", "warn"])
                // Nothing of it outlives the test.
                .arg("--unsafe-no-fsync")
                .args(["--listen-client-urls", &clients])
                .args(["--advertise-client-urls", &clients])
                .args(["--listen-peer-urls", &peers])
                .args(["--initial-advertise-peer-urls", &peers])
                .args(["--initial-cluster", &format!("default={peers}")]);
        },
    )?;
    wait_until("etcd ready", async || {
        store.check()?;
        let answer = http::get(address, "/health").await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    })
    .await
    .with_context(|| store.tail())?;
    Ok((store, address))
}

fn start_api_server(name: &str, store: SocketAddr) -> Result<Process> {
    let port = free_port()?;
    let key = format!("{CERTIFICATES}/apiserver.key");
    Process::start(
        name,
        &program("kube-apiserver")?,
        |dir| {
            let tokens = format!("{TOKEN},administrator,administrator,\"system:masters\"\n");
            fs::write(dir.join("tokens.csv"), tokens).context("tokens")?;
            let kubeconfig = kubeconfig(port, &certificate(dir));
            fs::write(dir.join("kubeconfig"), kubeconfig).context("kubeconfig")
        },
        |command| {
            command
                .args(["--etcd-servers", &format!("http://{store}")])
                .args(["--secure-port", &port.to_string()])
                .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
                // A service of a loopback address is refused, and nobody here looks for it.
                .arg("--endpoint-reconciler-type=none")
                .args(["--cert-dir", CERTIFICATES])
                .args(["--token-auth-file", "tokens.csv"])
                .arg("--authorization-mode=RBAC")
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .args(["--service-account-key-file", &key])
                .args(["--service-account-signing-key-file", &key])
                .arg("--service-cluster-ip-range=10.96.0.0/16")
                // No controller makes accounts for pods.
                .arg("--disable-admission-plugins=ServiceAccount");
        },
    )
}

/// The API server's own certificate, in its folder.
fn certificate(dir: &Path) -> PathBuf {
    dir.join(CERTIFICATES).join("apiserver.crt")
}

/// kubectl's proxy: the API over plain HTTP, for this process.
fn start_door(name: &str, kubectl: &Path, api_server: &Process) -> Result<(Process, SocketAddr)> {
    let port = free_port()?;
    let kubeconfig = api_server.dir().join("kubeconfig");
    let door = Process::start(
        name,
        kubectl,
        |_| Ok(()),
        |command| {
            command
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .args(["proxy", "--address=127.0.0.1", "--port", &port.to_string()]);
        },
    )?;
    Ok((door, local(port)))
}

fn kubeconfig(port: u16, certificate: &Path) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": certificate,
        }}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}
