//! Every object that is applied is one that its definition allows, and a wrong one is caught.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::turn;

use super::render::{folders, manifests, object, render};
use super::schema::Schemas;

#[test]
fn every_folder_renders_to_objects_that_their_definitions_allow() -> Result<()> {
    let _turn = turn::busy();
    let Some(schemas) = Schemas::fetched()? else {
        return Ok(());
    };
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for folder in folders(&manifests())? {
        let Some(objects) = render(&folder)? else {
            return Ok(());
        };
        for object in &objects {
            checked += usize::from(schemas.knows(object));
            let name = &object["metadata"]["name"];
            for error in schemas.errors(object) {
                wrong.push(format!("{}, {name}: {error}", folder.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(checked > 25, "only {checked} objects have a schema");
    Ok(())
}

/// Puts a value at a path of a rendered object and says what the schema has against it.
fn errors_with(schemas: &Schemas, object: &Value, path: &str, value: Value) -> Result<String> {
    let mut changed = object.clone();
    let (parent, field) = path.rsplit_once('/').context("a path")?;
    let parent = changed
        .pointer_mut(parent)
        .with_context(|| path.to_owned())?;
    match parent {
        Value::Array(items) => items[field.parse::<usize>()?] = value,
        other => other[field] = value,
    }
    Ok(schemas.errors(&changed).join("\n"))
}

#[test]
fn an_unknown_field_or_a_wrong_type_in_any_manifest_is_found() -> Result<()> {
    let _turn = turn::busy();
    let Some(schemas) = Schemas::fetched()? else {
        return Ok(());
    };
    let Some(objects) = render(&manifests().join("rescue"))? else {
        return Ok(());
    };
    let cases = [
        (
            "WasmPlugin",
            "serin",
            "/spec/failStrategie",
            json!("FAIL_OPEN"),
        ),
        ("WasmPlugin", "serin", "/spec/failStrategy", json!("OPEN")),
        ("WasmPlugin", "serin", "/spec/sha256", json!("abc")),
        (
            "WasmPlugin",
            "serin",
            "/spec/match/0/mode",
            json!("OUTBOUND"),
        ),
        (
            "WasmPlugin",
            "serin",
            "/spec/pluginConfig",
            json!("mode: observe"),
        ),
        (
            "VirtualService",
            "shop",
            "/spec/http/1/retrys",
            json!({"attempts": 2}),
        ),
        (
            "VirtualService",
            "shop",
            "/spec/http/1/retries/attempts",
            json!("two"),
        ),
        (
            "VirtualService",
            "shop",
            "/spec/http/1/route/0/destination/subsett",
            json!("v1"),
        ),
        (
            "DestinationRule",
            "shop",
            "/spec/trafficPolicy/retryBudget/percentage",
            json!(20),
        ),
        (
            "DestinationRule",
            "shop",
            "/spec/trafficPolicy/retryBudget/percent",
            json!(200),
        ),
        (
            "EnvoyFilter",
            "serin-rescue",
            "/spec/configPatches/0/applyTo",
            json!("HTTP_ROUTES"),
        ),
        (
            "Gateway",
            "shop",
            "/spec/servers/0/port/number",
            json!("http"),
        ),
    ];
    for (kind, name, path, value) in cases {
        let original = object(&objects, kind, name)?;
        ensure!(schemas.errors(original).is_empty());
        let errors = errors_with(&schemas, original, path, value)?;
        ensure!(!errors.is_empty(), "{kind}: {path} passes");
    }
    let plugin = object(&objects, "WasmPlugin", "serin")?;
    // What a definition leaves open stays open: the config itself is checked by the engine.
    let errors = errors_with(&schemas, plugin, "/spec/pluginConfig/anything", json!([1]))?;
    ensure!(errors.is_empty(), "{errors}");
    let mut unknown = plugin.clone();
    unknown["kind"] = json!("WasmPlug");
    ensure!(schemas.errors(&unknown)[0].starts_with("no schema of"));
    Ok(())
}

#[test]
fn kubernetes_own_words_in_a_schema_mean_what_an_api_server_takes_them_for() -> Result<()> {
    let definition = json!({"spec": {
        "group": "example.org", "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "port": {"x-kubernetes-int-or-string": true},
                "share": {"type": "number", "nullable": true},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"known": {"type": "string"}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}}
            }, "oneOf": [{"required": ["port"]}, {"required": ["share"]}]}
        }}}}]
    }});
    let schemas = Schemas::new(&[definition])?;
    let errors = |spec: Value| {
        let thing = json!({"apiVersion": "example.org/v1", "kind": "Thing",
            "metadata": {"name": "any"}, "spec": spec});
        schemas.errors(&thing)
    };
    for fine in [
        json!({"port": "http"}),
        json!({"port": 80, "labels": {"a": "b"}}),
        json!({"share": null, "free": {"other": 1}}),
    ] {
        ensure!(
            errors(fine.clone()).is_empty(),
            "{fine}: {:?}",
            errors(fine.clone())
        );
    }
    for wrong in [
        json!({"port": 80.5}),
        json!({"port": 80, "share": 1}),
        json!({"share": "1"}),
        json!({"share": 1, "free": {"known": 1}}),
        json!({"share": 1, "labels": {"a": 1}}),
        json!({"share": 1, "other": 1}),
    ] {
        ensure!(!errors(wrong.clone()).is_empty(), "{wrong} passes");
    }
    Ok(())
}
