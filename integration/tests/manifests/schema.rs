//! Structural schemas of custom resource definitions, as an API server reads them.
//!
//! They are JSON schemas but for a few words of their own. An API server drops fields that a schema
//! does not name; here they are errors, because whoever wrote one meant something by it. Rules in
//! CEL (`x-kubernetes-validations`) are not evaluated.

use anyhow::{Context as _, Result};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use serin_integration::envoy::workspace;
use std::collections::BTreeMap;
use std::fs;

use super::render::{documents, left_out};

/// Built-in kinds that the manifests use: their fields are held against no schema here.
const BUILT_IN: [&str; 3] = ["apps/v1 Deployment", "v1 ConfigMap", "v1 Service"];

/// Compiled schemas by `apiVersion kind`.
pub(crate) struct Schemas {
    compiled: BTreeMap<String, Validator>,
}

impl Schemas {
    /// Those that `scripts/get-crds.py` has fetched; `None`, with a word about it, without them.
    pub(crate) fn fetched() -> Result<Option<Self>> {
        let folder = workspace().join(".cache/crds");
        let mut definitions = Vec::new();
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|ending| ending == "yaml") {
                    let read = documents(&fs::read_to_string(&path)?);
                    definitions.extend(read.with_context(|| path.display().to_string())?);
                }
            }
        }
        if definitions.is_empty() {
            left_out("no resource definitions in .cache/crds; `make manifest-tools` fetches them");
            return Ok(None);
        }
        Self::new(&definitions).map(Some)
    }

    /// Compiles all versions of the definitions.
    pub(crate) fn new(definitions: &[Value]) -> Result<Self> {
        let mut compiled = BTreeMap::new();
        for definition in definitions {
            let (group, kind) = (
                &definition["spec"]["group"],
                &definition["spec"]["names"]["kind"],
            );
            let (group, kind) = group
                .as_str()
                .zip(kind.as_str())
                .context("group and kind")?;
            let versions = definition["spec"]["versions"].as_array();
            for version in versions.context("versions")? {
                let name = version["name"].as_str().context("a version's name")?;
                let mut schema = strict(&version["schema"]["openAPIV3Schema"]);
                // These belong to every object, and not to the definition.
                for field in ["apiVersion", "kind"] {
                    schema["properties"][field] = json!({"type": "string"});
                }
                schema["properties"]["metadata"] = json!({"type": "object"});
                let key = format!("{group}/{name} {kind}");
                let validator = jsonschema::options()
                    .with_draft(jsonschema::Draft::Draft4)
                    .build(&schema)
                    .with_context(|| key.clone())?;
                compiled.insert(key, validator);
            }
        }
        Ok(Self { compiled })
    }

    /// Whether the kind has a schema.
    pub(crate) fn knows(&self, object: &Value) -> bool {
        self.compiled.contains_key(&key(object))
    }

    /// What is wrong with an object: path and reason. Kinds without a definition are also wrong.
    pub(crate) fn errors(&self, object: &Value) -> Vec<String> {
        let key = key(object);
        match self.compiled.get(&key) {
            None if BUILT_IN.contains(&key.as_str()) => Vec::new(),
            None => vec![format!("no schema of {key}")],
            Some(validator) => validator
                .iter_errors(object)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect(),
        }
    }
}

fn key(object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or("?").to_owned();
    format!("{} {}", text("apiVersion"), text("kind"))
}

/// The schema with what it does not name forbidden, and Kubernetes' own words in JSON schema's.
fn strict(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else {
        return schema.clone();
    };
    let says = |word: &str| fields.get(word).is_some_and(|value| *value == true);
    let mut found = Map::new();
    for (word, value) in fields {
        let value = match word.as_str() {
            // Under `allOf`, `anyOf`, `not` and the like only what is named is looked at.
            "properties" => Value::Object(
                value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, inner)| (name.clone(), strict(inner)))
                    .collect(),
            ),
            "items" | "additionalProperties" => strict(value),
            // Go's flag for any case is no word of JSON schema's: the case as written is asked for.
            "pattern" => value.as_str().map(|text| text.replace("(?i)", "")).into(),
            _ => value.clone(),
        };
        found.insert(word.clone(), value);
    }
    if fields.contains_key("properties")
        && !fields.contains_key("additionalProperties")
        && !says("x-kubernetes-preserve-unknown-fields")
    {
        found.insert("additionalProperties".to_owned(), false.into());
    }
    if says("x-kubernetes-int-or-string") {
        found.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if says("nullable") {
        return json!({"anyOf": [{"type": "null"}, found]});
    }
    found.into()
}
