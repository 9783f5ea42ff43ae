//! `/v1/memory` as proxies use it, held against docs/openapi.yaml.

use super::fleet::{document, is_valid};
use super::serve_verdict::{FakePrometheus, Served, parsed, status};
use scorer_sdk::memory::{Envelope, MAX_BYTES};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const PATH: &str = "/v1/memory?plugin=serin&destination=shop&config=000000000000000a";

fn memory(written: u64) -> Vec<u8> {
    let envelope = Envelope {
        plugin: "serin".to_owned(),
        destination: "shop".to_owned(),
        layout: 10,
        written: Duration::from_secs(written),
    };
    envelope.seal(|writer| writer.text("inside"))
}

fn put(served: &Served, path: &str, more: &str, bytes: &[u8]) -> String {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {}\r\n\r\n",
        bytes.len()
    );
    served.raw(&[head.as_bytes(), bytes].concat())
}

fn get(served: &Served, path: &str) -> String {
    served.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
}

/// What is said of an error is what the document says.
fn is_error(answer: &str, expected: u16) {
    let (status, body): (u16, Value) = parsed(answer);
    assert_eq!(status, expected, "{answer}");
    is_valid("Error", &body);
    let path = &document()["paths"]["/v1/memory"];
    let documented = |method: &str| path[method]["responses"][expected.to_string()].is_object();
    assert!(documented("get") || documented("put"), "{expected}");
}

#[test]
fn a_memory_comes_back_as_it_was_and_what_is_wrong_is_told_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = FakePrometheus::of_verdict(1);
    let place = folder.path().join("memory");
    let served = Served::start(prometheus.address, &["--memory", place.to_str().unwrap()]);
    is_error(&get(&served, PATH), 404);
    assert_eq!(status(&put(&served, PATH, "", &memory(20))), 204);
    let answer = get(&served, PATH);
    assert_eq!(status(&answer), 200);
    assert!(
        answer.contains("content-type: application/octet-stream"),
        "{answer}"
    );
    assert!(answer.ends_with("inside"), "{answer}");
    is_error(&put(&served, PATH, "", &memory(19)), 409);
    is_error(&put(&served, PATH, "", b"something else"), 400);
    is_error(
        &put(&served, &PATH.replace("shop", "cart"), "", &memory(21)),
        400,
    );
    is_error(
        &get(&served, "/v1/memory?plugin=serin&destination=shop"),
        400,
    );
    is_error(&get(&served, &PATH.replace("00a", "00x")), 400);
    is_error(
        &served.raw(format!("DELETE {PATH} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()),
        405,
    );
    // None of it is read.
    let head = format!(
        "PUT {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        MAX_BYTES + 1
    );
    is_error(&served.raw(head.as_bytes()), 413);
    for file in fs::read_dir(&place).unwrap() {
        fs::write(file.unwrap().path(), "rot").unwrap();
    }
    is_error(&get(&served, PATH), 500);
}

#[test]
fn without_a_place_there_are_no_memories() {
    let prometheus = FakePrometheus::of_verdict(1);
    let served = Served::start(prometheus.address, &[]);
    is_error(&get(&served, PATH), 404);
    is_error(&put(&served, PATH, "", &memory(20)), 404);
}

#[test]
fn without_the_token_no_memory_is_told_or_taken() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "s3cret\n").unwrap();
    let prometheus = FakePrometheus::of_verdict(1);
    let place = folder.path().join("memory");
    let (token, place) = (token.to_str().unwrap(), place.to_str().unwrap());
    let served = Served::start(
        prometheus.address,
        &["--memory", place, "--fleet-token-file", token],
    );
    is_error(&get(&served, PATH), 401);
    is_error(
        &put(
            &served,
            PATH,
            "authorization: Bearer s3cre\r\n",
            &memory(20),
        ),
        401,
    );
    let allowed = "authorization: Bearer s3cret\r\n";
    assert_eq!(status(&put(&served, PATH, allowed, &memory(20))), 204);
}
