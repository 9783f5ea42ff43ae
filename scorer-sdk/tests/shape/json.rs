//! The push tokenizer accepts and rejects what `serde_json` does, and sees the same paths, whatever
//! the borders of the chunks: on seeded random documents and on mutations of them.

use scorer_sdk::route::classify;
use scorer_sdk::shape::{Limits, Seen, Shape, ShapeFacts};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

type Paths = BTreeSet<(String, &'static str)>;

/// Keys of the random documents: plain ones, ones that need quotes or escapes, and data.
const KEYS: [&str; 16] = [
    "id",
    "name",
    "price",
    "items",
    "a",
    "b",
    "x,y",
    "a b",
    "q\"uote",
    "back\\slash",
    "größe",
    "漢",
    "😀",
    "",
    "1234",
    "2026-11-23",
];
/// Numbers that JSON allows.
const NUMBERS: [&str; 8] = ["0", "-0", "7", "-12", "3.25", "1e3", "-0.5E-2", "120.0e+1"];

fn observe<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, lines: bool) -> ShapeFacts {
    let limits = Arc::new(Limits::default());
    let mut shape = if lines {
        Shape::lines(limits)
    } else {
        Shape::new(limits)
    };
    chunks.into_iter().for_each(|chunk| shape.feed(chunk));
    shape.finish()
}

fn paths(facts: &ShapeFacts) -> Paths {
    let mut paths = Paths::new();
    for path in facts.paths() {
        let mut text = String::new();
        facts.write_path(path.index, &mut text);
        path.kinds.iter().for_each(|kind| {
            paths.insert((text.clone(), kind.name()));
        });
    }
    paths
}

/// The whole grammar of RFC 8259: `IgnoredAny` checks syntax, escapes and control characters, and
/// takes numbers of any size and lone surrogates, as the grammar does; it leaves UTF-8 out.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok() && std::str::from_utf8(bytes).is_ok()
}

/// Collects paths and types while `serde_json` reads.
#[derive(Clone, Copy)]
struct Collect<'a> {
    path: &'a str,
    found: &'a RefCell<Paths>,
}

impl Collect<'_> {
    fn note<E>(self, kind: &'static str) -> Result<(), E> {
        self.found.borrow_mut().insert((self.path.to_owned(), kind));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.note("null")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.note("boolean")
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.note("number")
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.note("number")
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.note("number")
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.note("string")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.note("array")?;
        let path = format!("{}[]", self.path);
        let found = self.found;
        while items
            .next_element_seed(Collect { path: &path, found })?
            .is_some()
        {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.note("object")?;
        while let Some(key) = entries.next_key::<String>()? {
            let path = format!("{}{}", self.path, step(&key));
            let found = self.found;
            entries.next_value_seed(Collect { path: &path, found })?;
        }
        Ok(())
    }
}

fn step(key: &str) -> String {
    if key.len() > Limits::default().max_key_bytes || classify(key).is_typed() {
        return "{*}".to_owned();
    }
    let plain = |c: char| c.is_alphanumeric() || "_-$@:".contains(c);
    if !key.is_empty() && key.chars().all(plain) {
        return format!(".{key}");
    }
    let mut quoted = String::new();
    for c in key.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c == ',' || c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    format!("[\"{quoted}\"]")
}

/// What `serde_json` says; `None` where it refuses what the grammar allows (a number too large for
/// a float, half a surrogate pair).
fn expected(bytes: &[u8]) -> Option<Paths> {
    let found = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let collect = Collect {
        path: "$",
        found: &found,
    };
    collect.deserialize(&mut reader).ok()?;
    Some(found.into_inner())
}

/// A random document, with white space and escapes where they may be.
struct Writer {
    random: fastrand::Rng,
    text: String,
}

impl Writer {
    fn document(seed: u64) -> Vec<u8> {
        let random = fastrand::Rng::with_seed(seed);
        let mut writer = Self {
            random,
            text: String::new(),
        };
        writer.space();
        writer.value(4);
        writer.space();
        writer.text.into_bytes()
    }

    fn space(&mut self) {
        while self.random.u8(0..4) == 0 {
            self.text
                .push(self.random.choice([' ', '\n', '\t', '\r']).unwrap());
        }
    }

    fn string(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                c if self.random.u8(0..12) == 0 => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.text += &format!("\\u{unit:04X}");
                    }
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn value(&mut self, depth: u32) {
        let kinds = if depth == 0 { 5 } else { 9 };
        match self.random.u32(0..kinds) {
            0 => self.text += "null",
            1 => self.text += if self.random.bool() { "true" } else { "false" },
            2 => self.text += self.random.choice(NUMBERS).unwrap(),
            3 => self.text += &self.random.i32(..).to_string(),
            4 => {
                let long = self.random.usize(0..4);
                let value = [
                    "",
                    "tab\\t",
                    "größer als 漢字 😀",
                    "a plain text of some length",
                ][long];
                self.string(value);
            }
            5 | 6 => self.array(depth),
            _ => self.object(depth),
        }
    }

    fn array(&mut self, depth: u32) {
        self.text.push('[');
        self.space();
        for number in 0..self.random.u32(0..5) {
            if number > 0 {
                self.text.push(',');
                self.space();
            }
            self.value(depth - 1);
            self.space();
        }
        self.text.push(']');
    }

    fn object(&mut self, depth: u32) {
        self.text.push('{');
        self.space();
        for number in 0..self.random.u32(0..6) {
            if number > 0 {
                self.text.push(',');
                self.space();
            }
            let key = self.random.choice(KEYS).unwrap();
            self.string(key);
            self.space();
            self.text.push(':');
            self.space();
            self.value(depth - 1);
            self.space();
        }
        self.text.push('}');
    }
}

fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.u32(1..4) {
        let index = random.usize(..=bytes.len());
        match random.u8(0..6) {
            0 => bytes.insert(
                index,
                *random.choice(b"{}[]:,\"\\ ntf0-.eE1u\x01\xc3\x80").unwrap(),
            ),
            1 if index < bytes.len() => bytes[index] = random.u8(..),
            2 if index < bytes.len() => {
                bytes.remove(index);
            }
            3 => bytes.truncate(index),
            4 => bytes.extend_from_within(..index.min(9)),
            _ => {
                let end = (index + 5).min(bytes.len());
                bytes.extend_from_within(index..end);
            }
        }
    }
}

/// All borders at once, none, each single one of a short body, and random ones.
fn chunkings(random: &mut fastrand::Rng, bytes: &[u8]) -> Vec<Vec<usize>> {
    let mut chunkings = vec![vec![], (0..bytes.len()).collect()];
    if bytes.len() < 48 {
        chunkings.extend((0..bytes.len()).map(|border| vec![border]));
    }
    for _ in 0..4 {
        let mut borders: Vec<usize> = (0..random.usize(1..6))
            .map(|_| random.usize(..=bytes.len()))
            .collect();
        borders.sort_unstable();
        chunkings.push(borders);
    }
    chunkings
}

fn split<'a>(bytes: &'a [u8], borders: &[usize]) -> Vec<&'a [u8]> {
    let starts = std::iter::once(0).chain(borders.iter().copied());
    let ends = borders.iter().copied().chain([bytes.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| &bytes[start..end])
        .collect()
}

fn check(random: &mut fastrand::Rng, bytes: &[u8]) -> Seen {
    let blank = bytes.iter().all(|byte| b" \t\r\n".contains(byte));
    let seen = match is_json(bytes) {
        true => Seen::Whole,
        false if blank => Seen::Empty,
        false => Seen::Malformed,
    };
    let text = || String::from_utf8_lossy(bytes);
    let whole = observe([bytes], false);
    assert_eq!(whole.seen(), seen, "{:?}", text());
    if seen == Seen::Whole
        && let Some(expected) = expected(bytes)
    {
        assert_eq!(paths(&whole), expected, "{:?}", text());
    }
    for borders in chunkings(random, bytes) {
        let facts = observe(split(bytes, &borders), false);
        assert_eq!(facts.seen(), seen, "{:?} at {borders:?}", text());
        if seen == Seen::Whole {
            assert_eq!(facts.hash(), whole.hash(), "{:?} at {borders:?}", text());
            assert_eq!(paths(&facts), paths(&whole), "{:?} at {borders:?}", text());
        }
    }
    seen
}

#[test]
fn random_documents_have_the_paths_that_serde_json_sees_for_every_chunking() {
    let mut random = fastrand::Rng::with_seed(11);
    for seed in 0..6_000 {
        assert_eq!(check(&mut random, &Writer::document(seed)), Seen::Whole);
    }
}

#[test]
fn mutated_documents_are_accepted_or_rejected_as_by_serde_json_for_every_chunking() {
    let mut random = fastrand::Rng::with_seed(12);
    let mut seen = HashMap::new();
    for seed in 0..30_000 {
        let mut bytes = Writer::document(seed % 8_000);
        bytes.truncate(300);
        mutate(&mut random, &mut bytes);
        *seen
            .entry(format!("{:?}", check(&mut random, &bytes)))
            .or_insert(0) += 1;
    }
    assert!(
        seen["Whole"] > 1_500 && seen["Malformed"] > 1_500,
        "{seen:?}"
    );
}

/// Splits a short document into tokens: punctuation, strings, and whatever else stands together.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![];
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        let alone = !in_string && "{}[]:,\"".contains(c);
        match tokens.last_mut() {
            Some(last) if in_string || !(alone || "{}[]:,\"".contains(last as &str)) => {
                String::push(last, c);
            }
            _ => tokens.push(c.to_string()),
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
    }
    tokens
}

#[test]
fn documents_with_one_token_exchanged_are_judged_as_by_serde_json() {
    let mut random = fastrand::Rng::with_seed(13);
    let others = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"",
        "\\",
        "0",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-a",
        "+1",
        "1.5e-3",
        "true",
        "nul",
        "nulll",
        "False",
        " ",
        "\"\\ud83d\"",
        "\"\\u00g0\"",
        "\"\\x\"",
        "\"\n\"",
        "\u{feff}",
        "//",
    ];
    let mut seen = HashMap::new();
    for seed in 0..30_000 {
        let text = String::from_utf8(Writer::document(seed % 5_000)).unwrap();
        let mut tokens = tokens(&text);
        tokens.truncate(60);
        let index = random.usize(..tokens.len());
        let other = others[random.usize(..others.len())].to_owned();
        match random.u8(0..4) {
            0 => tokens.insert(index, other),
            1 => tokens[index] = tokens[random.usize(..tokens.len())].clone(),
            2 => {
                tokens.remove(index);
            }
            _ => tokens[index] = other,
        }
        let judged = check(&mut random, tokens.concat().as_bytes());
        *seen.entry(format!("{judged:?}")).or_insert(0) += 1;
    }
    assert!(
        seen["Whole"] > 1_500 && seen["Malformed"] > 1_500,
        "{seen:?}"
    );
}

#[test]
fn each_corner_of_the_grammar_is_judged_as_by_serde_json() {
    let mut random = fastrand::Rng::with_seed(15);
    let corners = [
        r#"{"a":1]"#,
        r#"[1}"#,
        r#"[{"a":[1]}]"#,
        r#"[{"a":[1}]]"#,
        "[,1]",
        "[1,]",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{,}"#,
        r#"{"a" 1}"#,
        r#"{1:2}"#,
        r#"{"a":1 "b":2}"#,
        "[1 2]",
        "-",
        "-0",
        "00",
        "0e0",
        "1.e1",
        "1E-07",
        "0x1",
        "1e999",
        "- 1",
        "tru",
        "truee",
        "true,",
        r#""\"#,
        r#""\u12"#,
        "\"\u{7f}\"",
        "\"\t\"",
        r#""\/\b\f\n\r\t\"\\""#,
        r#""\v""#,
        "'a'",
        r#"[{"q\"x":1},{"q\"x":2}]"#,
        r#"[{"q\"x":1},{"q"x":2}]"#,
        r#"[{"a\\":1},{"a\":2}]"#,
        r#"[{"ab":1},{"a":2},{"abc":3},{"ab":4}]"#,
        r#"[{"":1},{"":2},{"a":1}]"#,
        "\u{feff}1",
        r#"{"\ud83d\ude00":1,"\u0061":2}"#,
        r#"[{"a":1},{"\u0061":"x"}]"#,
        "[]]",
        "{}{}",
        "1 1",
    ];
    for corner in corners {
        check(&mut random, corner.as_bytes());
    }
}

#[test]
fn half_a_surrogate_pair_in_a_key_counts_as_a_replacement_character() {
    let cases = [
        (r#"{"\ud800":1}"#, "\u{fffd}"),
        (r#"{"\ud800\ud800x":1}"#, "\u{fffd}\u{fffd}x"),
        (r#"{"\ud800\n":1}"#, "\u{fffd}\n"),
        (r#"{"\udc00\ud83d\ude00":1}"#, "\u{fffd}\u{1f600}"),
        (r#"{"\ud83dx\ude00":1}"#, "\u{fffd}x\u{fffd}"),
    ];
    for (body, key) in cases {
        let expected = Paths::from([
            ("$".to_owned(), "object"),
            (format!("${}", step(key)), "number"),
        ]);
        for size in [1, 3, body.len()] {
            let facts = observe(body.as_bytes().chunks(size), false);
            assert_eq!(
                (facts.seen(), paths(&facts)),
                (Seen::Whole, expected.clone()),
                "{body}"
            );
        }
    }
}

#[test]
fn lines_are_judged_one_by_one() {
    let mut random = fastrand::Rng::with_seed(14);
    for seed in 0..2_000 {
        let mut all = Paths::new();
        let mut body = Vec::new();
        for line in 0..random.u64(0..4) {
            let mut document = Writer::document(seed * 10 + line);
            document
                .iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b' ');
            all.extend(expected(&document).unwrap());
            body.extend(document);
            body.extend_from_slice(if random.bool() { b"\n" } else { b"\r\n\n" });
        }
        let borders = chunkings(&mut random, &body).pop().unwrap();
        let facts = observe(split(&body, &borders), true);
        let seen = if all.is_empty() {
            Seen::Empty
        } else {
            Seen::Whole
        };
        assert_eq!((facts.seen(), paths(&facts)), (seen, all));
    }
    assert_eq!(observe([&b"{} {}"[..]], true).seen(), Seen::Malformed);
    assert_eq!(observe([&b"{}\n{}"[..]], false).seen(), Seen::Malformed);
    assert_eq!(observe([&b"1\n2"[..]], true).documents(), 2);
}

#[test]
fn two_documents_have_one_hash_exactly_if_they_have_the_same_paths_and_types() {
    let (mut by_hash, mut by_paths) = (HashMap::new(), HashMap::new());
    for seed in 0..20_000 {
        let facts = observe([&Writer::document(seed)[..]], false);
        let paths = paths(&facts);
        assert_eq!(
            by_hash.entry(facts.hash()).or_insert_with(|| paths.clone()),
            &paths
        );
        assert_eq!(by_paths.entry(paths).or_insert(facts.hash()), &facts.hash());
    }
    assert!(by_hash.len() > 5_000, "{}", by_hash.len());
}
