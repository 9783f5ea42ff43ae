//! A stand-in for controllers and kubelets: whatever pods are asked for are there and ready.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Api;

/// Pause between two looks: short beside the seconds of a controller.
const LOOK: Duration = Duration::from_millis(200);

/// Says of every Deployment and every ReplicaSet that as many pods are ready as it asks for; it
/// stops when dropped.
#[derive(Debug)]
pub struct Pods {
    task: JoinHandle<()>,
}

impl Pods {
    /// Begins.
    #[must_use]
    pub fn start(api: Api) -> Self {
        let task = tokio::spawn(async move {
            loop {
                // An object that changes or goes between list and patch comes again, or not at all.
                if let Err(error) = look(&api).await {
                    eprintln!("the pods' stand-in: {error:#}");
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { task }
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(api: &Api) -> Result<()> {
    for deployment in api.list("/apis/apps/v1/deployments").await? {
        let replicas = asked_for(&deployment);
        let status = json!({
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": [
                condition("Available", "MinimumReplicasAvailable"),
                condition("Progressing", "NewReplicaSetAvailable"),
            ],
        });
        report(api, "deployments", &deployment, status).await?;
    }
    for set in api.list("/apis/apps/v1/replicasets").await? {
        let replicas = asked_for(&set);
        let status = json!({
            "replicas": replicas,
            "fullyLabeledReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        });
        report(api, "replicasets", &set, status).await?;
    }
    Ok(())
}

/// A Deployment or ReplicaSet that does not say how many has one.
fn asked_for(object: &Value) -> i64 {
    let replicas = object.pointer("/spec/replicas").and_then(Value::as_i64);
    replicas.unwrap_or(1)
}

fn condition(kind: &str, reason: &str) -> Value {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    json!({
        "type": kind, "status": "True", "reason": reason,
        "lastUpdateTime": now, "lastTransitionTime": now,
    })
}

/// Writes the status of an object whose spec has changed since the last one.
async fn report(api: &Api, kind: &str, object: &Value, mut status: Value) -> Result<()> {
    let text = |path| object.pointer(path).and_then(Value::as_str);
    let generation = object.pointer("/metadata/generation");
    let (Some(namespace), Some(name), Some(generation)) = (
        text("/metadata/namespace"),
        text("/metadata/name"),
        generation,
    ) else {
        return Ok(());
    };
    if object.pointer("/status/observedGeneration") == Some(generation) {
        return Ok(());
    }
    if let Some(fields) = status.as_object_mut() {
        fields.insert("observedGeneration".to_owned(), generation.clone());
    }
    let path = format!("/apis/apps/v1/namespaces/{namespace}/{kind}/{name}/status");
    api.patch(&path, &json!({"status": status})).await
}
