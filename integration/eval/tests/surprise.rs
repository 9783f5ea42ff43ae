//! The evaluations of surprise on small data sets made here.

use serde_json::{Value, json};
use serin_eval::{api_traffic, traceanomaly};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use tempfile::TempDir;

/// Exchanges as the API security challenge has them; of the attacks only some can be seen.
fn pairs(random: &mut fastrand::Rng) -> Value {
    let pair = |path: String, accept: &str, attack: Option<&str>| {
        let mut request = json!({
            "headers": {"Host": "a", "Accept": accept},
            "method": "GET",
            "url": format!("http://127.0.0.1:5000{path}"),
            "body": "",
        });
        if let Some(attack) = attack {
            request["Attack_Tag"] = attack.into();
        }
        json!({
            "request": request,
            "response": {"headers": {"Content-Type": "a/b"}, "status_code": 200, "body": "abc"},
        })
    };
    let mut path = || format!("/items/{}", random.u32(0..99));
    let mut pairs: Vec<Value> = (0..1000).map(|_| pair(path(), "*/*", None)).collect();
    for _ in 0..20 {
        pairs.push(pair("/admin".to_owned(), "*/*", Some("route")));
        pairs.push(pair(path(), "*/*'(", Some("value")));
        pairs.push(pair(path(), "*/*", Some("nothing")));
    }
    pairs.into()
}

#[test]
fn attacks_are_caught_by_what_shows_and_not_by_their_label() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("data.json");
    fs::write(&file, pairs(&mut fastrand::Rng::with_seed(2)).to_string()).unwrap();
    let options = api_traffic::Options::default();
    let (value, document) = api_traffic::run(folder.path(), &options).unwrap();
    let recall = |looks: usize, kind: &str| -> f64 {
        value[looks]["recall_by_kind"][kind]["mean"]
            .as_f64()
            .unwrap()
    };
    assert_eq!((recall(0, "route"), recall(1, "route")), (1.0, 1.0));
    assert!(recall(0, "value") < 0.1);
    assert_eq!(recall(1, "value"), 1.0);
    assert!(recall(1, "nothing") < 0.1);
    for looks in 0..2 {
        let rate = &value[looks]["false_positive_rate"]["mean"];
        assert!(rate.as_f64().unwrap() < 0.02, "{rate}");
    }
    assert_eq!(document.tables[0].rows.len(), 5);
}

/// Traces of two structures, with latencies that fill whole buckets: one that is hardly ever hit
/// would be as strange as what is abnormal. Every tenth abnormal one has a structure of its
/// own, the others a call that takes far too long.
fn traces(random: &mut fastrand::Rng, count: usize, abnormal: bool) -> String {
    let mut text = String::new();
    for number in 0..count {
        let mut calls = [0.0; 8];
        let first = 4 * random.usize(0..2);
        for call in calls.iter_mut().skip(first).take(3) {
            *call = 2.048 * 4f64.powf(random.f64());
        }
        if abnormal && number % 10 == 0 {
            calls[first + 1] = 0.0;
        } else if abnormal {
            calls[first + 2] = 5000.0;
        }
        let calls = calls.map(|call| format!("{call}"));
        writeln!(text, "{number:x}:{}", calls.join(",")).unwrap();
    }
    text
}

fn zip(name: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    let (mut entry, config) = archive
        .new_file(name)
        .compression_method(rawzip::CompressionMethod::DEFLATE)
        .start()
        .unwrap();
    let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
    let mut writer = config.wrap(encoder);
    writer.write_all(text.as_bytes()).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap();
    bytes
}

#[test]
fn abnormal_traces_are_caught_packed_or_not() {
    let mut random = fastrand::Rng::with_seed(3);
    let normal = traces(&mut random, 2000, false);
    let abnormal = traces(&mut random, 100, true);
    let options = traceanomaly::Options {
        splits: 2,
        ..traceanomaly::Options::default()
    };
    let run = |files: [(&str, Vec<u8>); 2]| {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        traceanomaly::run(folder.path(), &options).unwrap().0
    };
    let packed = run([
        ("test_normal.zip", zip("test_normal", &normal)),
        ("test_abnormal.zip", zip("test_abnormal", &abnormal)),
    ]);
    let plain = run([
        ("test_normal", normal.clone().into_bytes()),
        ("test_abnormal", abnormal.clone().into_bytes()),
    ]);
    assert_eq!(packed, plain);
    assert_eq!(packed["serin"]["recall"]["mean"], 1.0);
    let rate = &packed["serin"]["false_positive_rate"]["mean"];
    assert!(rate.as_f64().unwrap() < 0.02, "{rate}");
}

#[test]
fn a_folder_without_the_data_set_is_told_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    let error = api_traffic::run(folder.path(), &api_traffic::Options::default()).unwrap_err();
    assert!(error.to_string().contains("dataset_1_train.7z"), "{error}");
    let error = traceanomaly::run(folder.path(), &traceanomaly::Options::default()).unwrap_err();
    assert!(error.to_string().contains("test_normal.zip"), "{error}");
    fs::write(folder.path().join("x.7z"), b"no archive").unwrap();
    let error = api_traffic::run(folder.path(), &api_traffic::Options::default()).unwrap_err();
    assert!(format!("{error:#}").contains("x.7z"), "{error:#}");
}

/// Figures on the data sets themselves, for whoever has them: `SERIN_DATA` names the folder.
#[test]
#[ignore = "needs data sets that are not in the tree"]
fn figures_on_the_data_sets() {
    let data = std::path::PathBuf::from(std::env::var("SERIN_DATA").unwrap());
    for (value, document) in [
        api_traffic::run(&data.join("api-traffic"), &api_traffic::Options::default()).unwrap(),
        traceanomaly::run(
            &data.join("traceanomaly"),
            &traceanomaly::Options::default(),
        )
        .unwrap(),
    ] {
        let text = serin_cli::report::terminal::to_markdown(&document);
        write!(std::io::stdout(), "{value:#}\n{text}").unwrap();
    }
}
