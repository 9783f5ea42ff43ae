//! The objects of the cluster, with a history that watchers follow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::kinds::Kind;

/// Creation time of every object: Istio orders by it, and by name where it is the same.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// Namespace and name.
type Key = (String, String);

/// A change of one object.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) kind: Kind,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) what: &'static str,
    pub(super) object: Value,
}

#[derive(Debug, Default)]
struct Content {
    objects: BTreeMap<(&'static str, &'static str), BTreeMap<Key, Value>>,
    /// Everything that ever happened; the version is the length.
    history: Vec<Event>,
}

/// All objects. The version counts changes, as `resourceVersion` does.
#[derive(Debug)]
pub(super) struct Store {
    content: Mutex<Content>,
    version: watch::Sender<u64>,
}

impl Store {
    /// A cluster with the CRDs of Istio and nothing else.
    pub(super) fn new() -> Result<Self> {
        let store = Self {
            content: Mutex::default(),
            version: watch::channel(0).0,
        };
        for name in Kind::crds() {
            store.apply(&json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": name}
            }))?;
        }
        Ok(store)
    }

    /// Adds an object, or replaces the one of the same name.
    pub(super) fn apply(&self, manifest: &Value) -> Result<()> {
        let (kind, key) = identity(manifest)?;
        let mut object = manifest.clone();
        let mut content = self.content();
        let version = content.history.len() as u64 + 1;
        let metadata = object
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
            .context("metadata is no object")?;
        metadata.insert("resourceVersion".to_owned(), json!(version.to_string()));
        metadata.insert("uid".to_owned(), json!(format!("{}.{}", key.1, key.0)));
        metadata.insert("creationTimestamp".to_owned(), json!(CREATED));
        if !key.0.is_empty() {
            metadata.insert("namespace".to_owned(), json!(key.0));
        }
        let of_kind = content
            .objects
            .entry((kind.group, kind.plural))
            .or_default();
        let what = match of_kind.insert(key, object.clone()) {
            None => "ADDED",
            Some(_) => "MODIFIED",
        };
        self.record(content, kind, what, object);
        Ok(())
    }

    /// Removes the object that a manifest names; whether it was there.
    pub(super) fn delete(&self, manifest: &Value) -> Result<bool> {
        let (kind, key) = identity(manifest)?;
        let mut content = self.content();
        let of_kind = content
            .objects
            .entry((kind.group, kind.plural))
            .or_default();
        let Some(object) = of_kind.remove(&key) else {
            return Ok(false);
        };
        self.record(content, kind, "DELETED", object);
        Ok(true)
    }

    fn record(
        &self,
        mut content: MutexGuard<'_, Content>,
        kind: Kind,
        what: &'static str,
        object: Value,
    ) {
        let version = content.history.len() as u64 + 1;
        content.history.push(Event {
            version,
            kind,
            what,
            object,
        });
        drop(content);
        self.version.send_replace(version);
    }

    /// All objects of a kind, in one namespace or in all, and the version that they are of.
    pub(super) fn list(&self, kind: Kind, namespace: Option<&str>) -> (u64, Vec<Value>) {
        let content = self.content();
        let objects = content.objects.get(&(kind.group, kind.plural));
        let wanted = |key: &Key| namespace.is_none_or(|namespace| namespace == key.0);
        let found = objects
            .into_iter()
            .flatten()
            .filter(|(key, _)| wanted(key))
            .map(|(_, object)| object.clone())
            .collect();
        (content.history.len() as u64, found)
    }

    /// What happened to a kind after `version`, and the version to ask from next.
    pub(super) fn since(&self, kind: Kind, version: u64) -> (u64, Vec<Event>) {
        let content = self.content();
        let seen = usize::try_from(version).unwrap_or(usize::MAX);
        let events = content.history.get(seen..).unwrap_or_default();
        let events = events.iter().filter(|event| event.kind == kind);
        (content.history.len() as u64, events.cloned().collect())
    }

    /// Tells of new versions.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kind, namespace and name of a manifest. What has no namespace is in `default`, but for the
/// kinds that have none.
fn identity(manifest: &Value) -> Result<(Kind, Key)> {
    let text = |pointer| manifest.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").context("a manifest without apiVersion")?;
    let name = text("/kind").context("a manifest without kind")?;
    let kind = Kind::of_manifest(api_version, name)
        .with_context(|| format!("{api_version} {name}: not a kind that the stand-in knows"))?;
    let object = text("/metadata/name").context("a manifest without name")?;
    let without_namespace = matches!(
        kind.plural,
        "namespaces" | "nodes" | "customresourcedefinitions"
    );
    let namespace = if without_namespace {
        ""
    } else {
        text("/metadata/namespace").unwrap_or("default")
    };
    Ok((kind, (namespace.to_owned(), object.to_owned())))
}
