//! What each signal adds: Serin with the outcome alone, and with one signal more.

use std::fmt::Write as _;

use serde_json::{Value, json};
use serin_integration::topology::WasmFilter;

use crate::load::Load;
use crate::report::Outcome;
use crate::statistics::Spread;
use crate::variants::Variant;

/// Serin with as little as it can look at.
pub(crate) const BASE: &str = "outcome";
/// Signals that are on by default; the base has them off.
const DEFAULTS: [&str; 6] = [
    "latency",
    "size",
    "content_type",
    "header_names",
    "request_size",
    "request_headers",
];
/// Length of the answers' list of products, if not told otherwise.
pub(crate) const BODY_BYTES: usize = 4_000;

/// A list of products of at least so many bytes.
pub(crate) fn body(bytes: usize) -> String {
    let product = |number: usize| {
        json!({
            "id": number,
            "name": format!("Product number {number}"),
            "price_cents": 100 * number + 99,
            "tags": ["new", "offer"],
            "stock": {"count": number % 7, "warehouse": "north"}
        })
    };
    let mut products = Vec::new();
    let mut length = 0;
    while length < bytes {
        let product = product(products.len());
        length += product.to_string().len() + 1;
        products.push(product);
    }
    json!({"items": products, "next": null}).to_string()
}

/// The no-op filter, the base, and the base with one thing more; a tick takes `tick`.
pub(crate) fn variants(load: &Load, tick: &str) -> Vec<Variant> {
    let serin = |more: &[(&str, Value)], on: &str| {
        let mut signals: serde_json::Map<_, _> = DEFAULTS
            .map(|signal| (signal.to_owned(), json!(false)))
            .into_iter()
            .collect();
        if !on.is_empty() {
            signals.insert(on.to_owned(), json!(true));
        }
        let mut config = load.serin_config(tick);
        if let Some(config) = config.as_object_mut() {
            config.insert("signals".to_owned(), Value::Object(signals));
            config.insert("placebo".to_owned(), json!(false));
            config.extend(
                more.iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone())),
            );
        }
        vec![WasmFilter::new("target/serin.wasm", &config).to_json()]
    };
    let variant = |name: &str, filters| Variant {
        name: name.to_owned(),
        about: String::new(),
        filters,
        server: None,
    };
    let noop = || vec![WasmFilter::new("target/noop.wasm", &json!({})).to_json()];
    let mut all = vec![
        variant("noop", noop()),
        variant("noop-again", noop()),
        variant(BASE, serin(&[], "")),
        variant("outcome-again", serin(&[], "")),
    ];
    all.extend(DEFAULTS.map(|signal| variant(signal, serin(&[], signal))));
    all.extend([
        variant("placebo", serin(&[("placebo", json!(true))], "")),
        variant(
            "next_call",
            serin(&[("session", json!({"from": "connection"}))], ""),
        ),
        variant("fan_out, comparer", serin(&[], "fan_out")),
        variant(
            "fan_out, callee",
            serin(&[("role", json!("guard"))], "fan_out"),
        ),
        variant("body_shape", serin(&[("body", json!({}))], "")),
        variant("surprise", serin(&[("surprise", json!({}))], "")),
        variant("record", serin(&[("record", json!(true))], "")),
    ]);
    all
}

/// The table for people, Markdown.
pub(crate) fn table(outcomes: &[Outcome], body_bytes: usize) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_table(&mut text, outcomes, body_bytes);
    text
}

fn write_table(text: &mut String, outcomes: &[Outcome], body_bytes: usize) -> std::fmt::Result {
    let named = |name: &str| outcomes.iter().find(|outcome| outcome.name == name);
    let (Some(base), Some(noop)) = (named(BASE), named("noop")) else {
        return writeln!(
            text,
            "without {BASE} and noop there is nothing to compare with"
        );
    };
    writeln!(
        text,
        "| on beside the outcome | adds, us a request | quartiles | to no-op |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: |")?;
    for outcome in outcomes {
        let added = outcome.over(base, |mine, theirs| mine - theirs);
        let ratio = outcome.over(noop, |mine, theirs| mine / theirs).median;
        writeln!(
            text,
            "| {} | {:.2} | {:.2} to {:.2} | {ratio:.3} |",
            outcome.name, added.median, added.lower, added.upper
        )?;
    }
    if let Some(body) = named("body_shape") {
        let Spread {
            lower,
            median,
            upper,
            ..
        } = body.over(base, |mine, theirs| mine - theirs);
        let per = |us: f64, bytes: f64| us * bytes / body_bytes as f64;
        writeln!(
            text,
            "\nbody shape, with its calls into the proxy, on a list of {body_bytes} bytes: {:.2} us \
             a KiB (quartiles {:.2} to {:.2}), {:.1} ns a byte",
            per(median, 1_024.0),
            per(lower, 1_024.0),
            per(upper, 1_024.0),
            per(median, 1_000.0),
        )?;
    }
    Ok(())
}
