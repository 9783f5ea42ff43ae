//! What `serde_json` sees in a document: its paths with the types of their values.

use scorer_sdk::route::classify;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

/// Paths as text, each with the name of a type.
pub(crate) type Paths = BTreeSet<(String, &'static str)>;

/// Whether the bytes are a document of RFC 8259: numbers of any size and lone surrogates are. `None`
/// where `serde_json` does not say, because the document is too deep for it.
pub(crate) fn is_json(bytes: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => Some(core::str::from_utf8(bytes).is_ok()),
        Err(error) if error.to_string().starts_with("recursion limit") => None,
        Err(_) => Some(false),
    }
}

/// The paths of a document; `None` where `serde_json` refuses what the grammar allows. Keys longer
/// than `max_key_bytes` are data.
pub(crate) fn paths(bytes: &[u8], max_key_bytes: usize) -> Option<Paths> {
    let found = RefCell::default();
    let collect = Collect {
        path: "$",
        max_key_bytes,
        found: &found,
    };
    let mut document = serde_json::Deserializer::from_slice(bytes);
    collect.deserialize(&mut document).ok()?;
    Some(found.into_inner())
}

#[derive(Clone, Copy)]
struct Collect<'a> {
    path: &'a str,
    max_key_bytes: usize,
    found: &'a RefCell<Paths>,
}

impl<'a> Collect<'a> {
    fn note<E>(self, kind: &'static str) -> Result<(), E> {
        self.found.borrow_mut().insert((self.path.to_owned(), kind));
        Ok(())
    }

    fn at<'b>(self, path: &'b str) -> Collect<'b>
    where
        'a: 'b,
    {
        Collect { path, ..self }
    }

    fn step(self, key: &str) -> String {
        if key.len() > self.max_key_bytes || classify(key).is_typed() {
            return "{*}".to_owned();
        }
        let is_plain = |c: char| c.is_alphanumeric() || "_-$@:".contains(c);
        if !key.is_empty() && key.chars().all(is_plain) {
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
}

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
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
        while items.next_element_seed(self.at(&path))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.note("object")?;
        while let Some(key) = entries.next_key::<String>()? {
            let path = format!("{}{}", self.path, self.step(&key));
            entries.next_value_seed(self.at(&path))?;
        }
        Ok(())
    }
}
