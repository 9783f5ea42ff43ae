//! A wasm filter as an entry of `http_filters`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::envoy::workspace;

/// One wasm HTTP filter: a module and its config.
#[derive(Debug, Clone)]
pub struct WasmFilter {
    path: PathBuf,
    config: String,
    name: String,
    failure_policy: String,
}

impl WasmFilter {
    /// A module from a local file with its config as JSON; `FAIL_OPEN`, empty `vm_id` as in
    /// Istio, plugin name `serin`. A relative path counts from the workspace's root.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, config: &Value) -> Self {
        Self {
            path: workspace().join(path),
            config: config.to_string(),
            name: "serin".to_owned(),
            failure_policy: "FAIL_OPEN".to_owned(),
        }
    }

    /// Replaces the config by any text, as for one that is not JSON.
    #[must_use]
    pub fn config_text(mut self, config: &str) -> Self {
        self.config = config.to_owned();
        self
    }

    /// Replaces the plugin name (the property `plugin_name`).
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Replaces the failure policy: `FAIL_OPEN`, `FAIL_CLOSED` or `FAIL_RELOAD`.
    #[must_use]
    pub fn failure_policy(mut self, policy: &str) -> Self {
        self.failure_policy = policy.to_owned();
        self
    }

    /// The entry of `http_filters`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": "envoy.filters.http.wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": self.name,
                    "failure_policy": self.failure_policy,
                    "vm_config": {
                        "runtime": "envoy.wasm.runtime.v8",
                        "vm_id": "",
                        "code": {"local": {"filename": self.path.to_string_lossy()}}
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": self.config
                    }
                }
            }
        })
    }
}
