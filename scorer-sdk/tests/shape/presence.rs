//! Presence of paths: what is lost, changed and gained, from counts that merge and travel.

use scorer_sdk::shape::presence::{Held, MAX_COUNTED_PATHS, Presence, Requirement};
use scorer_sdk::shape::{Kind, Limits, Shape, ShapeFacts};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};
use serde_json::{Value, json};
use std::sync::Arc;

fn observe(body: &str) -> ShapeFacts {
    let mut shape = Shape::new(Arc::new(Limits::default()));
    shape.feed(body.as_bytes());
    shape.finish()
}

fn counted(bodies: impl IntoIterator<Item = Value>) -> Presence {
    let mut presence = Presence::default();
    for body in bodies {
        presence.record(&observe(&body.to_string()));
    }
    presence
}

/// One answer of a shop: one list in ten is empty, one product in five has a discount, and the
/// field `note` is null at times.
fn page(number: u32) -> Value {
    let items: Vec<Value> = (0..if number.is_multiple_of(10) { 0 } else { 4 })
        .map(|item| {
            let mut item = json!({"id": item, "price": 3.5, "note": null});
            if number.is_multiple_of(5) {
                item["discount"] = json!(1);
            }
            if number.is_multiple_of(2) {
                item["note"] = json!("x");
            }
            item
        })
        .collect();
    json!({"items": items, "page": number, "links": {"next": "/2"}})
}

fn pages() -> impl Iterator<Item = Value> {
    (0..1_000).map(page)
}

/// The sentences about all requirements of the past that fail in more than half of a block's
/// answers in which they could hold.
fn failures(past: &Presence, block: &Presence) -> Vec<String> {
    let mut sentences: Vec<String> = past
        .requirements(0.995, 100.0)
        .into_iter()
        .filter(|(path, requirement)| {
            let held = block.count_as_known_to(past, *path, *requirement);
            held.failed() > held.could / 2.0
        })
        .map(|(path, requirement)| {
            let mut text = String::new();
            past.describe(path, requirement, &mut text);
            text
        })
        .collect();
    sentences.sort_unstable();
    sentences
}

fn with_items(change: impl Fn(usize, &mut Value)) -> Presence {
    counted(pages().map(|mut page| {
        let items = page["items"].as_array_mut().unwrap();
        items
            .iter_mut()
            .enumerate()
            .for_each(|(index, item)| change(index, item));
        page
    }))
}

#[test]
fn a_version_that_behaves_the_same_fails_nothing() {
    let past = counted(pages());
    assert_eq!(failures(&past, &counted((5_000..5_200).map(page))), [""; 0]);
}

#[test]
fn a_lost_field_is_named_though_some_lists_are_empty() {
    let past = counted(pages());
    let block = with_items(|_, item| {
        item.as_object_mut().unwrap().remove("price");
    });
    assert_eq!(failures(&past, &block), ["$.items[].price is missing"]);
    let price = past
        .requirements(0.995, 100.0)
        .into_iter()
        .find(|(path, requirement)| {
            let mut text = String::new();
            past.write_path(*path, &mut text);
            text == "$.items[].price" && *requirement == Requirement::Present
        })
        .unwrap();
    let held = |block: &Presence| block.count_as_known_to(&past, price.0, price.1);
    assert_eq!(
        held(&past),
        Held {
            could: 900.0,
            did: 900.0
        }
    );
    assert_eq!(
        held(&block),
        Held {
            could: 900.0,
            did: 0.0
        }
    );
}

#[test]
fn of_a_lost_object_only_the_object_is_named() {
    let past = counted(pages());
    let block = counted(pages().map(|mut page| {
        page.as_object_mut().unwrap().remove("items");
        page
    }));
    assert_eq!(failures(&past, &block), ["$.items is missing"]);
    let empty = counted(std::iter::repeat_n(json!({}), 50));
    let lost = [
        "$.items is missing",
        "$.links is missing",
        "$.page is missing",
    ];
    assert_eq!(failures(&past, &empty), lost);
}

#[test]
fn an_empty_body_lacks_everything_and_a_malformed_one_is_not_judged() {
    let past = counted(pages());
    let mut block = Presence::default();
    (0..10).for_each(|_| block.record(&observe("")));
    assert_eq!(failures(&past, &block), ["$ is missing"]);
    let mut block = Presence::default();
    block.record(&observe("{\"items\": [{]"));
    assert!(block.is_empty());
}

#[test]
fn a_list_or_map_that_was_never_empty_and_is_so_now_is_named() {
    let body = |list: Value, map: Value| json!({"list": list, "map": map});
    let full = || body(json!([{"a": 1}]), json!({"17": 1}));
    let past = counted(std::iter::repeat_with(full).take(200));
    let block = counted([body(json!([]), json!({}))]);
    let named = ["$.list[] has no entries", "$.map{*} has no entries"];
    assert_eq!(failures(&past, &block), named);
    assert_eq!(failures(&past, &counted([full()])), [""; 0]);
}

#[test]
fn a_changed_type_null_and_a_loss_in_part_are_told_apart() {
    let past = counted(pages());
    let block = with_items(|_, item| item["price"] = json!("3.5"));
    assert_eq!(
        failures(&past, &block),
        ["$.items[].price is not always of type number"]
    );
    let block = with_items(|_, item| item["price"] = Value::Null);
    assert_eq!(failures(&past, &block), ["$.items[].price is null"]);
    let block = with_items(|index, item| {
        if index > 0 {
            item.as_object_mut().unwrap().remove("price");
        }
    });
    assert_eq!(
        failures(&past, &block),
        ["$.items[].price is missing in some places"]
    );
    let block = counted(pages().map(|mut page| {
        page["links"] = json!([]);
        page
    }));
    assert_eq!(
        failures(&past, &block),
        ["$.links is not always of type object"]
    );
}

#[test]
fn what_is_optional_at_the_baseline_is_not_required() {
    let past = counted(pages());
    let block = with_items(|_, item| {
        item.as_object_mut().unwrap().remove("discount");
        item["note"] = json!("always");
    });
    assert_eq!(failures(&past, &block), [""; 0]);
    // A type is still required of values that are null at times.
    let block = with_items(|_, item| item["note"] = json!(1));
    assert_eq!(
        failures(&past, &block),
        ["$.items[].note is not always of type string"]
    );
}

#[test]
fn a_gain_is_named_and_fails_nothing() {
    let past = counted(pages());
    let block = with_items(|_, item| item["stock"] = json!({"left": 3}));
    assert_eq!(failures(&past, &block), [""; 0]);
    let names: Vec<String> = block
        .gains(&past, 0.001)
        .into_iter()
        .map(|path| {
            let mut text = String::new();
            block.write_path(path, &mut text);
            text
        })
        .collect();
    assert_eq!(names, ["$.items[].stock"]);
    assert!(past.gains(&past, 0.001).is_empty());
}

#[test]
fn a_type_that_was_never_seen_is_not_required() {
    let past = counted(pages());
    for (path, requirement) in past.requirements(0.995, 1.0) {
        let held = past.count(path, requirement);
        assert!(held.did >= 0.995 * held.could && held.could >= 1.0);
        assert_ne!(requirement, Requirement::Only(Kind::Null));
    }
}

#[test]
fn counts_of_parts_merge_to_the_counts_of_the_whole_in_any_order() {
    let whole = counted(pages());
    let parts: Vec<Presence> = (0..4)
        .map(|part| counted((0..1_000).filter(|number| number % 4 == part).map(page)))
        .collect();
    for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
        let mut sum = Presence::default();
        order.iter().for_each(|part| sum.merge(&parts[*part]));
        assert_eq!((sum.answers(), sum.len()), (whole.answers(), whole.len()));
        for (path, requirement) in whole.requirements(0.0, 0.0) {
            assert_eq!(sum.count(path, requirement), whole.count(path, requirement));
        }
    }
}

fn encoded(presence: &Presence) -> Vec<u8> {
    let mut writer = Writer::new();
    presence.encode(&mut writer);
    writer.into_bytes()
}

#[test]
fn counts_survive_the_codec_and_every_cut_is_an_error() {
    let mut presence = counted(pages());
    presence.merge(&counted([
        json!({"x,y": 1, "1234": {"a": [[null]]}, "": true}),
    ]));
    presence.decay(0.3);
    let bytes = encoded(&presence);
    assert!(bytes.len() < 40 * presence.len(), "{} bytes", bytes.len());
    let mut reader = Reader::new(&bytes);
    let mut decoded = Presence::decode(&mut reader).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(decoded, presence);
    // The hashes are made anew from the keys: what is recorded now meets what was decoded.
    decoded.record(&observe(&page(1).to_string()));
    assert_eq!(decoded.len(), presence.len());
    for cut in 0..bytes.len() {
        assert!(
            Presence::decode(&mut Reader::new(&bytes[..cut])).is_err(),
            "{cut}"
        );
    }
}

#[test]
fn random_bytes_decode_to_an_error_or_to_something_that_encodes() {
    let mut random = fastrand::Rng::with_seed(31);
    let valid = encoded(&counted(pages().take(3)));
    for _ in 0..20_000 {
        let mut bytes = valid.clone();
        for _ in 0..random.usize(1..4) {
            let index = random.usize(..bytes.len());
            bytes[index] = random.u8(..);
        }
        if let Ok(decoded) = Presence::decode(&mut Reader::new(&bytes)) {
            let again = encoded(&decoded);
            assert_eq!(Presence::decode(&mut Reader::new(&again)), Ok(decoded));
        }
    }
    let mut writer = Writer::new();
    writer.f32(-1.0);
    let negative = Presence::decode(&mut Reader::new(&writer.into_bytes()));
    assert!(matches!(
        negative,
        Err(CodecError::Unknown { what: "count", .. })
    ));
}

#[test]
fn the_table_is_bounded_and_what_comes_often_displaces_what_came_once() {
    let odd = |number: u32| json!({format!("rare-{number}z"): {"a": 1}, "id": 1});
    let mut past = Presence::default();
    for tick in 0..100 {
        let mut bodies: Vec<Value> = (0..20).map(|number| odd(tick * 20 + number)).collect();
        if tick > 50 {
            bodies.extend((0..100).map(|_| json!({"id": 1, "late": 2})));
        }
        past.decay(0.99);
        past.merge(&counted(bodies));
        assert!(past.len() <= MAX_COUNTED_PATHS);
    }
    let mut names: Vec<String> = past
        .requirements(0.4, 100.0)
        .into_iter()
        .filter(|(_, requirement)| *requirement == Requirement::Present)
        .map(|(path, requirement)| {
            let mut text = String::new();
            past.describe(path, requirement, &mut text);
            text
        })
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["$ is missing", "$.id is missing", "$.late is missing"]
    );
}

#[test]
fn paths_that_find_no_room_in_a_block_are_counted() {
    let block = counted((0..300).map(|number| json!({format!("rare-{number}z"): 1})));
    assert_eq!(block.len(), MAX_COUNTED_PATHS);
    // The root has a row, and one path of each answer asks for one.
    assert_eq!(block.left_out(), 300 - (MAX_COUNTED_PATHS as u64 - 1));
}

#[test]
fn the_past_fades() {
    let mut past = counted(pages());
    for _ in 0..3_000 {
        past.decay(0.99);
    }
    assert_eq!(past.len(), 0);
    assert!(past.answers() < 1e-3);
}
