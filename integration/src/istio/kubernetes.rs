//! A stand-in for the Kubernetes API: objects that can be listed and watched, and nothing else.
//!
//! istiod reads a WasmPlugin only where it comes from Kubernetes: since 1.30 what makes Envoy
//! config of it sits behind that source, and the plugins of a folder (`fs://`) are left unused.
//! So istiod gets an API server to read from. It has lists, watches and single objects, as JSON
//! over plain HTTP; whoever wants to write is told 403, as a cluster without the rights would.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::events::Events;
use super::kinds::Kind;
use super::store::Store;

/// Metadata alone, which is how Istio asks for CRDs.
const PARTIAL: &str = "PartialObjectMetadata";

/// A running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Kubernetes {
    address: SocketAddr,
    store: Arc<Store>,
    server: JoinHandle<()>,
}

impl Kubernetes {
    /// Starts it on a free port of 127.0.0.1, with Istio's CRDs and no objects.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("the Kubernetes API's stand-in")?;
        let address = listener.local_addr().context("its address")?;
        let store = Arc::new(Store::new()?);
        let server = tokio::spawn(serve(listener, Arc::clone(&store)));
        Ok(Self {
            address,
            store,
            server,
        })
    }

    /// Adds objects, or replaces those of the same kind and name.
    ///
    /// # Errors
    /// When a manifest has no kind, no name, or a kind that is not known here.
    pub fn apply(&self, manifests: &[Value]) -> Result<()> {
        manifests
            .iter()
            .try_for_each(|manifest| self.store.apply(manifest))
    }

    /// Removes the objects that the manifests name; one that is not there is passed over.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn delete(&self, manifests: &[Value]) -> Result<()> {
        for manifest in manifests {
            self.store.delete(manifest)?;
        }
        Ok(())
    }

    /// The content of a kubeconfig that leads here.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stand-in", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "istiod", "user": {}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "istiod"}}],
            "current-context": "stand-in"
        })
        .to_string()
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, store: Arc<Store>) {
    // Connections live in the set, so that dropping the server also closes them.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&store)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, store: Arc<Store>) {
    let over = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let answer = answer(&store, &over, &request);
        async move { answer }
    });
    // A connection that breaks is istiod's matter: it comes again.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    over.store(true, Ordering::Relaxed);
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

fn answer(
    store: &Arc<Store>,
    over: &Arc<AtomicBool>,
    request: &Request<Incoming>,
) -> Result<Answer> {
    if request.method() != Method::GET {
        return failure(StatusCode::FORBIDDEN, "Forbidden");
    }
    let path = request.uri().path();
    if path == "/version" {
        let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"});
        return reply(StatusCode::OK, &version);
    }
    let Some(asked) = Asked::of(path) else {
        return failure(StatusCode::NOT_FOUND, "NotFound");
    };
    let accept = request.headers().get("accept");
    let partial = accept.is_some_and(|accept| {
        accept
            .as_bytes()
            .windows(PARTIAL.len())
            .any(|part| part == PARTIAL.as_bytes())
    });
    let form = if partial {
        Form {
            api_version: "meta.k8s.io/v1".to_owned(),
            kind: PARTIAL.to_owned(),
        }
    } else {
        asked.form()
    };
    let (version, objects) = store.list(asked.kind, asked.namespace.as_deref());
    if let Some(name) = &asked.name {
        let named = |object: &&Value| {
            object.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
        };
        return match objects.iter().find(named) {
            Some(object) => reply(StatusCode::OK, &form.dress(object)),
            None => failure(StatusCode::NOT_FOUND, "NotFound"),
        };
    }
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| {
            pair.split_once('=')
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
        })
    };
    if parameter("watch").is_none() {
        let items: Vec<Value> = objects.iter().map(|object| form.dress(object)).collect();
        let list = json!({
            "apiVersion": form.api_version,
            "kind": format!("{}List", form.kind),
            "metadata": {"resourceVersion": version.to_string()},
            "items": items
        });
        return reply(StatusCode::OK, &list);
    }
    let from = parameter("resourceVersion")
        .and_then(|version| version.parse().ok())
        .filter(|version| *version > 0);
    let initial = parameter("sendInitialEvents") == Some("true");
    let mut first = Vec::new();
    if initial || from.is_none() {
        first.extend(
            objects
                .iter()
                .map(|object| line("ADDED", &form.dress(object))),
        );
    }
    if initial {
        let end = json!({
            "apiVersion": form.api_version,
            "kind": form.kind,
            "metadata": {
                "resourceVersion": version.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"}
            }
        });
        first.push(line("BOOKMARK", &end));
    }
    let from = if initial {
        version
    } else {
        from.unwrap_or(version)
    };
    let (lines, body) = mpsc::channel(64);
    tokio::spawn(watch(
        Arc::clone(store),
        Arc::clone(over),
        asked,
        form,
        from,
        first,
        lines,
    ));
    let response = Response::builder().header("content-type", "application/json");
    response.body(Events::new(body).boxed()).context("a watch")
}

/// Sends what is there, then what happens, until nobody listens any more.
async fn watch(
    store: Arc<Store>,
    over: Arc<AtomicBool>,
    asked: Asked,
    form: Form,
    mut from: u64,
    first: Vec<Bytes>,
    lines: mpsc::Sender<Bytes>,
) {
    let mut changes = store.changes();
    for line in first {
        if lines.send(line).await.is_err() {
            return;
        }
    }
    while !over.load(Ordering::Relaxed) {
        changes.mark_unchanged();
        let (next, events) = store.since(asked.kind, from);
        debug_assert!(events.iter().all(|event| event.version <= next));
        from = next;
        for event in events.iter().filter(|event| asked.covers(&event.object)) {
            if lines
                .send(line(event.what, &form.dress(&event.object)))
                .await
                .is_err()
            {
                return;
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = lines.closed() => return,
        }
    }
}

/// What a path asks for.
#[derive(Debug)]
struct Asked {
    version: String,
    kind: Kind,
    namespace: Option<String>,
    name: Option<String>,
}

/// How objects are named in an answer.
#[derive(Debug)]
struct Form {
    api_version: String,
    kind: String,
}

impl Asked {
    /// Reads `/api/v1/...` and `/apis/<group>/<version>/...`.
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", version, rest),
            ["apis", group, version, rest @ ..] => (*group, version, rest),
            _ => return None,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (Some(namespace), plural, None),
            ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
            [plural] => (None, plural, None),
            [plural, name] => (None, plural, Some(name)),
            _ => return None,
        };
        Some(Self {
            version: (*version).to_owned(),
            kind: Kind::of_path(group, plural)?,
            namespace: namespace.map(|namespace| (*namespace).to_owned()),
            name: name.map(|name| (*name).to_owned()),
        })
    }

    fn form(&self) -> Form {
        let group = self.kind.group;
        Form {
            api_version: if group.is_empty() {
                self.version.clone()
            } else {
                format!("{group}/{}", self.version)
            },
            kind: self.kind.kind.to_owned(),
        }
    }

    fn covers(&self, object: &Value) -> bool {
        let found = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        self.namespace.is_none() || self.namespace.as_deref() == found
    }
}

impl Form {
    /// The object under the version and kind that were asked for.
    fn dress(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!(self.api_version));
            fields.insert("kind".to_owned(), json!(self.kind));
        }
        object
    }
}

fn line(what: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": what, "object": object})))
}

fn reply(status: StatusCode, body: &Value) -> Result<Answer> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())).boxed())
        .context("an answer")
}

fn failure(status: StatusCode, reason: &str) -> Result<Answer> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "reason": reason,
        "message": reason,
        "code": status.as_u16()
    });
    reply(status, &body)
}
