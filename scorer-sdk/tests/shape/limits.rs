//! What bounds the observation of a body, what counts as data, and what order does not change.

use scorer_sdk::shape::{Limits, MAX_PATHS, Masks, Seen, Shape, ShapeFacts};
use serde_json::{Value, json};
use std::sync::Arc;

fn observe(limits: &Limits, body: &str) -> ShapeFacts {
    let mut shape = Shape::new(Arc::new(limits.clone()));
    shape.feed(body.as_bytes());
    shape.finish()
}

/// Sorted, as `$.items[].price number`.
fn paths(facts: &ShapeFacts) -> Vec<String> {
    let mut paths: Vec<String> = facts
        .paths()
        .map(|path| {
            let mut text = String::new();
            facts.write_path(path.index, &mut text);
            let kinds: Vec<&str> = path.kinds.iter().map(|kind| kind.name()).collect();
            format!("{text} {}", kinds.join("|"))
        })
        .collect();
    paths.sort_unstable();
    paths
}

fn default_paths(body: &Value) -> Vec<String> {
    paths(&observe(&Limits::default(), &body.to_string()))
}

#[test]
fn elements_of_an_array_share_their_paths() {
    let body = json!({"items": [{"price": 1}, {"price": "2"}, {"tags": []}], "next": null});
    let expected = [
        "$ object",
        "$.items array",
        "$.items[] object",
        "$.items[].price number|string",
        "$.items[].tags array",
        "$.next null",
    ];
    assert_eq!(default_paths(&body), expected);
}

#[test]
fn keys_that_are_data_by_their_form_share_their_paths() {
    let body = json!({
        "12": {"a": 1}, "9b2f7a5e-36c1-4a66-9a51-1b9b7d3a7f10": {"b": 1}, "2026-11-23": 1,
        "someone@example.com": null, "1f3a5c7e9b": true, "total": 3, "x".repeat(65): "long",
    });
    let expected = [
        "$ object",
        "$.total number",
        "${*} null|boolean|number|string|object",
        "${*}.a number",
        "${*}.b number",
    ];
    assert_eq!(default_paths(&body), expected);
}

#[test]
fn an_object_with_very_many_keys_is_a_map_and_one_with_fewer_is_not() {
    let keys = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("key-{number}z"), json!(1)))
            .collect()
    };
    assert_eq!(default_paths(&keys(128)).len(), 129);
    assert_eq!(default_paths(&keys(129)), ["$ object", "${*} number"]);
    // Over all elements of a list, too: each has one key, and always another.
    let spread: Vec<Value> = (0..200)
        .map(|number| json!({"user": {format!("u-{number}z"): number}}))
        .collect();
    let expected = [
        "$ array",
        "$[] object",
        "$[].user object",
        "$[].user{*} number",
    ];
    assert_eq!(default_paths(&json!(spread)), expected);
}

#[test]
fn an_object_with_many_objects_is_a_map_whose_values_are_merged() {
    let users: serde_json::Map<String, Value> = (0..40)
        .map(|number| {
            let mut user = json!({"name": "x", "address": {"city": "y"}});
            if number % 2 == 0 {
                user["address"]["zip"] = json!(number);
            }
            (format!("user-{number}z"), user)
        })
        .collect();
    let expected = [
        "$ object",
        "$.after boolean",
        "$.users object",
        "$.users{*} object",
        "$.users{*}.address object",
        "$.users{*}.address.city string",
        "$.users{*}.address.zip number",
        "$.users{*}.name string",
    ];
    // A key that comes after the map has been found out is still in its right place.
    assert_eq!(
        default_paths(&json!({"users": users, "after": true})),
        expected
    );
}

#[test]
fn configured_keys_are_masked() {
    let masks = Masks::new(["alice", "tenant-*", "users{*}"]);
    let limits = Limits {
        masks,
        ..Limits::default()
    };
    let body = json!({
        "alice": 1, "tenant-7a": 2, "bob": 3,
        "users": {"carol": {"age": 1}}, "more": {"users": [{"dave": true}]},
    });
    let expected = [
        "$ object",
        "$.bob number",
        "$.more object",
        "$.more.users array",
        "$.more.users[] object",
        "$.more.users[]{*} boolean",
        "$.users object",
        "$.users{*} object",
        "$.users{*}.age number",
        "${*} number",
    ];
    assert_eq!(paths(&observe(&limits, &body.to_string())), expected);
}

#[test]
fn no_value_and_no_masked_key_is_in_any_text() {
    let body = r#"{"secretkey-1": "secretvalue", "list": ["secretvalue", 4711], "n": 4711.25}"#;
    let masks = Masks::new(["secretkey*"]);
    let facts = observe(
        &Limits {
            masks,
            ..Limits::default()
        },
        body,
    );
    let mut name = String::new();
    facts.describe(&mut name);
    let all = format!("{name} {:?} {facts:?}", paths(&facts));
    assert!(
        !all.contains("secretvalue") && !all.contains("4711"),
        "{all}"
    );
    assert!(
        !name.contains("secretkey") && !paths(&facts).concat().contains("secretkey"),
        "{all}"
    );
}

#[test]
fn what_is_nested_deeper_than_the_limit_is_checked_and_not_told_apart() {
    let limits = Limits {
        max_depth: 2,
        ..Limits::default()
    };
    let facts = observe(&limits, r#"{"a":[{"b":{"c":[1]}},2],"d":3}"#);
    assert_eq!(facts.seen(), Seen::Whole);
    let expected = ["$ object", "$.a array", "$.a[] number|object", "$.d number"];
    assert_eq!(paths(&facts), expected);
    let broken = r#"{"a":[{"b":{"c":[1}},2],"d":3}"#;
    assert_eq!(observe(&limits, broken).seen(), Seen::Malformed);
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(observe(&limits, &nested(512)).seen(), Seen::Whole);
    assert_eq!(observe(&limits, &nested(513)).seen(), Seen::Truncated);
}

#[test]
fn a_body_beyond_the_limit_of_bytes_is_truncated_and_has_the_paths_so_far() {
    let body = r#"{"a":1,"b":{"c":[{"d":"ä"}]},"e":2}"#;
    let whole = paths(&observe(&Limits::default(), body));
    for max_bytes in 0..body.len() {
        let limits = Limits {
            max_bytes: max_bytes as u64,
            ..Limits::default()
        };
        let mut shape = Shape::new(Arc::new(limits));
        shape.feed(&body.as_bytes()[..max_bytes]);
        assert!(shape.wanted() > 0);
        shape.feed(&body.as_bytes()[max_bytes..]);
        assert_eq!(shape.wanted(), 0);
        let facts = shape.finish();
        assert_eq!(
            (facts.seen(), facts.bytes()),
            (Seen::Truncated, max_bytes as u64)
        );
        assert!(facts.may_be_judged());
        assert!(paths(&facts).iter().all(|path| whole.contains(path)));
    }
    let limits = Limits {
        max_bytes: body.len() as u64,
        ..Limits::default()
    };
    assert_eq!(observe(&limits, body).seen(), Seen::Whole);
}

#[test]
fn a_key_is_everywhere_if_every_object_at_its_path_has_it() {
    let everywhere = |body: &str, limits: &Limits| -> Vec<String> {
        let facts = observe(limits, body);
        let mut names: Vec<String> = facts
            .paths()
            .filter(|path| path.everywhere && path.parent != path.index)
            .map(|path| {
                let mut text = String::new();
                facts.write_path(path.index, &mut text);
                text
            })
            .collect();
        names.sort_unstable();
        names
    };
    let body = r#"[{"id":1,"price":2},{"id":3},{"price":1,"id":4,"x":{"y":1}}]"#;
    let all = ["$[]", "$[].id", "$[].x.y"];
    assert_eq!(everywhere(body, &Limits::default()), all);
    // The cut leaves one object without its last keys: that is not held against them.
    let cut = Limits {
        max_bytes: 27,
        ..Limits::default()
    };
    assert_eq!(
        everywhere(r#"[{"a":1,"b":2},{"a":1,"b":2}]"#, &cut),
        ["$[]", "$[].a", "$[].b"]
    );
}

/// A random tree, some of whose objects are maps.
fn tree(random: &mut fastrand::Rng, depth: u32) -> Value {
    match random.u32(0..if depth == 0 { 2 } else { 6 }) {
        0 => json!(1),
        1 => json!("x"),
        2 => (0..random.usize(0..4))
            .map(|_| tree(random, depth - 1))
            .collect(),
        _ => (0..random.usize(0..7))
            .map(|_| {
                (
                    format!("k{}", random.u8(b'a'..b'i') as char),
                    tree(random, depth - 1),
                )
            })
            .collect(),
    }
}

/// The same tree as text, with keys and elements in another order.
fn shuffled(random: &mut fastrand::Rng, value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let mut texts: Vec<String> = items.iter().map(|item| shuffled(random, item)).collect();
            random.shuffle(&mut texts);
            format!("[{}]", texts.join(","))
        }
        Value::Object(entries) => {
            let mut texts: Vec<String> = entries
                .iter()
                .map(|(key, item)| format!("\"{key}\":{}", shuffled(random, item)))
                .collect();
            random.shuffle(&mut texts);
            format!("{{{}}}", texts.join(","))
        }
        _ => value.to_string(),
    }
}

#[test]
fn the_order_of_keys_and_elements_does_not_matter_even_where_objects_turn_out_to_be_maps() {
    let mut random = fastrand::Rng::with_seed(21);
    let limits = Limits {
        max_keys: 5,
        max_nested_keys: 3,
        ..Limits::default()
    };
    let mut maps = 0;
    for _ in 0..3_000 {
        let tree = tree(&mut random, 5);
        let one = observe(&limits, &shuffled(&mut random, &tree));
        let two = observe(&limits, &shuffled(&mut random, &tree));
        assert_eq!(paths(&one), paths(&two), "{tree}");
        assert_eq!(one.hash(), two.hash());
        maps += usize::from(paths(&one).concat().contains("{*}"));
        let distinct: std::collections::HashSet<u64> = one.paths().map(|path| path.hash).collect();
        assert_eq!(distinct.len(), one.paths().count());
    }
    assert!(maps > 500, "{maps}");
}

#[test]
fn the_number_of_paths_is_bounded_and_chunks_do_not_matter_at_the_bound() {
    let mut random = fastrand::Rng::with_seed(22);
    let limits = Limits {
        max_paths: 12,
        max_depth: 4,
        ..Limits::default()
    };
    let mut full = 0;
    for _ in 0..3_000 {
        let body = tree(&mut random, 6).to_string();
        let facts = observe(&limits, &body);
        assert!(facts.paths().count() <= 12);
        let mut shape = Shape::new(Arc::new(limits.clone()));
        body.as_bytes().chunks(1).for_each(|byte| shape.feed(byte));
        assert_eq!(shape.finish().hash(), facts.hash(), "{body}");
        full += usize::from(facts.is_full());
    }
    assert!(full > 500, "{full}");
    let wide: Vec<Value> = (0..100)
        .map(|number| json!({format!("a{number}x"): {"b": {"c": {"d": 1}}, "e": [[[1]]]}}))
        .collect();
    let limits = Limits {
        max_paths: usize::MAX,
        max_keys: u16::MAX,
        max_nested_keys: u16::MAX,
        ..Limits::default()
    };
    let facts = observe(&limits, &json!(wide).to_string());
    assert!(facts.paths().count() <= MAX_PATHS);
}

#[test]
fn the_name_of_a_whole_shape_is_short_and_its_own() {
    let name = |body: &Value| {
        let mut name = String::new();
        observe(&Limits::default(), &body.to_string()).describe(&mut name);
        name
    };
    let one = name(&json!({"page": 1, "items": [{"a": 1}]}));
    assert!(one.starts_with("object .items .page (5 paths, "), "{one}");
    let list = name(&json!([{"id": 1, "a": {"b": 1}}]));
    assert!(list.starts_with("array [].a [].id (5 paths, "), "{list}");
    assert_ne!(one, name(&json!({"page": 1, "items": [{"b": 1}]})));
    assert_ne!(one, name(&json!({"page": 1, "items": [{"a": "1"}]})));
    let wide: Value = (0..100)
        .map(|n| ("x".repeat(50) + &n.to_string(), json!(n)))
        .collect();
    assert!(name(&wide).len() < 600);
}

#[test]
fn the_hash_is_the_same_on_every_platform_and_today_as_tomorrow() {
    let body = r#"{"items": [{"id": 1, "a long key name": null, "12": []}], "größe": true}"#;
    assert_eq!(
        format!("{:016x}", observe(&Limits::default(), body).hash()),
        "5bda9a5372f4df02"
    );
    assert_eq!(observe(&Limits::default(), "").hash(), 0);
}
