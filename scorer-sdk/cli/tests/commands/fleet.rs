//! `GET /v1/fleet` as proxies ask it, held against docs/openapi.yaml.

use super::serve_verdict::{FakePrometheus, Served, parsed, status};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const ASK: &str = "/v1/fleet?destination=shop&candidate=v2&rollout=7";

/// A Prometheus that knows a candidate v2 with this evidence in nats, of 5.3 that are enough.
fn of_evidence(nats: f64) -> FakePrometheus {
    let version = |version: &str, more: &[(&str, &str)]| {
        let mut labels = json!({ "version": version });
        for (name, value) in more {
            labels[*name] = json!(value);
        }
        labels
    };
    let samples: Vec<Value> = [
        ("enough", version("v2", &[]), 5.3),
        ("enough_alone", version("v2", &[]), 7.6),
        ("evidence", version("v2", &[]), nats),
        ("age", version("v2", &[]), 1.5),
        ("lag_of_proxies", version("v2", &[]), 1.0),
        ("lag_of_routes", version("v2", &[]), 1.0),
        ("proxies", version("v2", &[]), 3.0),
        ("start", version("v2", &[]), 1_770_000_000.0),
        ("recent", version("v1", &[]), 900.0),
        (
            "pair",
            version("v2", &[("route", "GET /a"), ("category", "error")]),
            nats + 3.0,
        ),
        (
            "pooled",
            version("v2", &[("category", "error")]),
            nats + 4.0,
        ),
    ]
    .into_iter()
    .map(|(part, mut labels, value)| {
        labels["asked"] = json!(part);
        json!({ "metric": labels, "value": [0, value.to_string()] })
    })
    .collect();
    let answer = json!({
        "status": "success", "data": { "resultType": "vector", "result": samples }
    });
    FakePrometheus::start("200 OK", answer.to_string())
}

/// The document, with one of its schemas as the root.
fn schema(name: &str) -> jsonschema::Validator {
    let root = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document()["components"],
    });
    jsonschema::validator_for(&root).unwrap()
}

pub(super) fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

pub(super) fn is_valid(name: &str, answer: &Value) {
    let validator = schema(name);
    let errors: Vec<String> = validator
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?} in {answer}");
}

#[test]
fn answers_are_what_the_document_says() {
    let documented = document();
    let statuses = &documented["paths"]["/v1/fleet"]["get"]["responses"];
    for (nats, verdict) in [(7.9, "anomalous"), (3.0, "suspect"), (-1.0, "learning")] {
        let prometheus = of_evidence(nats);
        let served = Served::start(prometheus.address, &[]);
        let (status, answer) = served.get(ASK);
        assert_eq!((status, answer["verdict"].as_str()), (200, Some(verdict)));
        is_valid("Verdict", &answer);
        assert_eq!(answer["baseline"], "v1");
        assert_eq!(answer["reasons"][0]["route"], "all routes");
        let (_, unknown) = served.get("/v1/fleet?destination=shop&candidate=v9");
        assert_eq!(unknown["verdict"], "none");
        is_valid("Verdict", &unknown);
        for (path, expected) in [
            ("/v1/fleet", 400),
            ("/v1/fleet?destination=shop&rollout=x", 400),
            ("/v1/fleet?destination=shop&rollout=4294967296", 400),
        ] {
            let (status, answer) = served.get(path);
            assert_eq!(status, expected, "{path}");
            is_valid("Error", &answer);
            assert!(statuses[status.to_string()].is_object(), "{status}");
        }
        assert_eq!(served.post(ASK, "").0, 405);
    }
}

#[test]
fn prometheus_is_asked_once_however_many_ask_here() {
    let prometheus = of_evidence(7.9);
    let served = Served::start(prometheus.address, &[]);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(served.get(ASK).0, 200));
        }
    });
    let asked = prometheus.asked.lock().unwrap().len();
    // A machine that is busy may take longer than an answer serves.
    assert!(asked <= 5, "asked {asked} times for 20 questions");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let prometheus = of_evidence(7.9);
    let served = Served::start(prometheus.address, &[]);
    let ask = |tag: &str| {
        let head = format!("GET {ASK} HTTP/1.1\r\nhost: x\r\nif-none-match: {tag}\r\n\r\n");
        served.raw(head.as_bytes())
    };
    let first = ask("\"none\"");
    assert_eq!(status(&first), 200);
    let tag = first
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let again = ask(tag);
    assert_eq!(status(&again), 304);
    assert!(
        again.trim_end().ends_with(tag) || again.contains(tag),
        "{again}"
    );
    assert!(
        again.split_once("\r\n\r\n").unwrap().1.is_empty(),
        "{again}"
    );
}

#[test]
fn without_the_token_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "s3cret\n").unwrap();
    let prometheus = of_evidence(7.9);
    let file = path.to_str().unwrap();
    let served = Served::start(prometheus.address, &["--fleet-token-file", file]);
    let ask = |header: &str| {
        let head = format!("GET {ASK} HTTP/1.1\r\nhost: x\r\n{header}\r\n");
        served.raw(head.as_bytes())
    };
    for wrong in [
        "",
        "authorization: Bearer s3cre\r\n",
        "authorization: s3cret\r\n",
    ] {
        let answer = ask(wrong);
        assert_eq!(status(&answer), 401, "{wrong}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        is_valid("Error", &parsed(&answer).1);
    }
    assert_eq!(prometheus.asked.lock().unwrap().len(), 0);
    assert_eq!(status(&ask("authorization: Bearer s3cret\r\n")), 200);
    // Delivery tools cannot send one.
    assert_eq!(served.get("/verdict?destination=shop").0, 200);
    fs::remove_file(&path).unwrap();
    assert_eq!(status(&ask("authorization: Bearer s3cret\r\n")), 500);
}
