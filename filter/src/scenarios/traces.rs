//! Traces: what is left in the filter state for the span of an exchange.

use super::*;

const KEYS: [&str; 3] = ["serin.version", "serin.candidate", "serin.verdict"];

fn proxy(fields: &str) -> Proxy {
    let mut proxy = Proxy::new("observe", 0);
    proxy.config = proxy.config.replacen('{', &format!("{{{fields}"), 1);
    proxy.add_worker();
    proxy
}

/// What one exchange leaves of version, candidate and verdict.
fn left_by(proxy: &mut Proxy, answer: Answer) -> [Option<String>; 3] {
    for key in KEYS {
        proxy.host.0.borrow_mut().properties.remove(key);
    }
    proxy.exchange(0, answer);
    let world = proxy.host.0.borrow();
    KEYS.map(|key| {
        let bytes = world.properties.get(key)?;
        Some(String::from_utf8(bytes.clone()).unwrap())
    })
}

fn said(version: &str, verdict: &str) -> [Option<String>; 3] {
    [version, "v2", verdict].map(|text| Some(text.to_owned()))
}

#[test]
fn each_exchange_leaves_its_version_and_what_is_thought_of_the_rollout() {
    let mut proxy = proxy(r#""traces": true,"#);
    let [version, candidate, verdict] = left_by(&mut proxy, GOOD[0]);
    assert_eq!(version.as_deref(), Some("v1"));
    assert_eq!((candidate, verdict), (None, None), "nothing was judged yet");
    proxy.traffic(20, 200, GOOD);
    assert_eq!(left_by(&mut proxy, GOOD[0]), said("v1", "healthy"));
    assert_eq!(left_by(&mut proxy, GOOD[1]), said("v2", "healthy"));
    proxy.traffic(20, 200, BAD);
    assert_eq!(proxy.verdict(), Some(3));
    assert_eq!(left_by(&mut proxy, GOOD[0]), said("v1", "anomalous"));
    assert_eq!(left_by(&mut proxy, BAD[1]), said("v2", "anomalous"));
}

#[test]
fn what_the_proxy_answers_itself_leaves_nothing() {
    let mut proxy = proxy(r#""traces": true,"#);
    proxy.traffic(20, 200, GOOD);
    let details = b"fault_filter_abort".to_vec();
    let name = "response.code_details";
    proxy
        .host
        .0
        .borrow_mut()
        .properties
        .insert(name.into(), details);
    assert_eq!(left_by(&mut proxy, BAD[1]), [None, None, None]);
}

#[test]
fn without_traces_in_the_config_nothing_is_left() {
    let mut proxy = proxy("");
    proxy.traffic(20, 200, GOOD);
    assert_eq!(left_by(&mut proxy, GOOD[1]), [None, None, None]);
}
