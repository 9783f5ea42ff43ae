//! Coarse looks at the texts of a request: path, query and header values ([`text`]).
//!
//! Which kinds of characters are in a text and how long it is, to a power of two; of the query also
//! the set of its parameters' names, as a hash. The texts themselves are not kept. Headers have a
//! feature each only where their names are in common use; what clients make up shares one, so that
//! they cannot make up features.

use super::features::feature;
use super::{Value, text};
use crate::signal::NameHasher;

/// Headers that are looked at one by one, sorted. The host is `:authority` at a proxy.
const HEADERS: [&str; 38] = [
    ":authority",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "forwarded",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "save-data",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-requested-with",
];
/// What else is looked at.
const PATH: &str = "the path";
const QUERY: &str = "the query";
const OTHER_HEADERS: &str = "other headers";
const PARAMETERS: &str = "names of query parameters";
/// The group of the looks at header values.
const HEADER_VALUES: u16 = 1;
/// About how many sets of parameter names there could be.
const PARAMETERS_ALPHABET: u32 = 1024;
/// Parameters whose names are read; the names of further ones count with those before them.
const MAX_PARAMETERS: usize = 32;

/// The two features of one text.
#[derive(Debug, Clone)]
struct Looked {
    name: &'static str,
    kinds: u64,
    length: u64,
    group: u16,
}

impl Looked {
    fn new(name: &'static str, group: u16) -> Self {
        Self {
            name,
            kinds: feature(&format!("characters of {name}")),
            length: feature(&format!("length of {name}")),
            group,
        }
    }

    fn values(&self, kinds: u16, bytes: usize) -> [Value; 2] {
        [
            Value {
                feature: self.kinds,
                token: u64::from(kinds),
                alphabet: text::KINDS_ALPHABET,
                group: self.group,
            },
            Value {
                feature: self.length,
                token: u64::from(text::length(bytes as u64)),
                alphabet: text::LENGTH_ALPHABET,
                group: self.group,
            },
        ]
    }
}

/// Looks at requests.
#[derive(Debug, Clone)]
pub struct RequestTexts {
    path: Looked,
    query: Looked,
    /// In the order of [`HEADERS`].
    headers: Vec<Looked>,
    others: Looked,
    parameters: u64,
    hasher: NameHasher,
}

impl RequestTexts {
    /// Features that one request can have at most.
    pub const MOST_FEATURES: usize = 2 * (HEADERS.len() + 3) + 1;

    /// Looks of which the names of parameters are hashed by `hasher`.
    #[must_use]
    pub fn new(hasher: NameHasher) -> Self {
        Self {
            path: Looked::new(PATH, 0),
            query: Looked::new(QUERY, 0),
            headers: HEADERS
                .iter()
                .map(|name| Looked::new(name, HEADER_VALUES))
                .collect(),
            others: Looked::new(OTHER_HEADERS, HEADER_VALUES),
            parameters: feature(PARAMETERS),
            hasher,
        }
    }

    /// Appends the looks at a request with these headers, names in lower case, `:path` among them.
    pub fn read<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        values: &mut Vec<Value>,
    ) {
        let expected = 2 * headers.size_hint().0 + 3;
        values.reserve(expected.min(Self::MOST_FEATURES));
        let mut others: Option<(u16, usize)> = None;
        for (name, value) in headers {
            if name == ":path" {
                self.read_target(value, values);
            } else if let Ok(index) = HEADERS.binary_search(&name) {
                if let Some(looked) = self.headers.get(index) {
                    values.extend(looked.values(text::kinds(value), value.len()));
                }
            } else if !name.starts_with(':') {
                let (kinds, bytes) = others.unwrap_or_default();
                let bytes = bytes.saturating_add(value.len());
                others = Some((kinds | text::kinds(value), bytes));
            }
            // A header that comes in many lines is not looked at without end.
            if values.len() >= Self::MOST_FEATURES {
                break;
            }
        }
        if let Some((kinds, bytes)) = others {
            values.extend(self.others.values(kinds, bytes));
        }
    }

    /// The path and its query.
    fn read_target(&self, target: &[u8], values: &mut Vec<Value>) {
        let mark = target.iter().position(|byte| *byte == b'?');
        let (path, query) = target.split_at(mark.unwrap_or(target.len()));
        let query = query.get(1..).unwrap_or_default();
        values.extend(self.path.values(text::kinds(path), path.len()));
        values.extend(self.query.values(text::kinds(query), query.len()));
        values.push(Value {
            feature: self.parameters,
            token: self.names_of_parameters(query),
            alphabet: PARAMETERS_ALPHABET,
            group: 0,
        });
    }

    /// The same for every order and repetition.
    fn names_of_parameters(&self, query: &[u8]) -> u64 {
        let mut seen: Vec<u64> = query
            .split(|byte| *byte == b'&')
            .take(MAX_PARAMETERS)
            .map(|part| part.split(|byte| *byte == b'=').next().unwrap_or_default())
            .map(|name| self.hasher.hash_bytes(name))
            .collect();
        crate::order::sort(&mut seen);
        seen.dedup();
        seen.into_iter().fold(0, u64::wrapping_add)
    }

    /// What a feature is called, such as `characters of cookie`; `None` for one of somebody else's.
    #[must_use]
    pub fn name(&self, feature: u64) -> Option<String> {
        if feature == self.parameters {
            return Some(PARAMETERS.to_owned());
        }
        let looked = self.looked(feature)?;
        let (name, kinds) = (looked.name, feature == looked.kinds);
        let what = if kinds { "characters" } else { "length" };
        Some(format!("{what} of {name}"))
    }

    /// What a value of a feature says, such as `digits, quotes` or `8 to 15 bytes`; `None` for
    /// features of somebody else's and for sets of names, which are hashes.
    #[must_use]
    pub fn describe(&self, feature: u64, token: u64) -> Option<String> {
        let looked = self.looked(feature)?;
        let token = u16::try_from(token).unwrap_or(u16::MAX);
        Some(if feature == looked.kinds {
            text::describe_kinds(token)
        } else {
            text::describe_length(token)
        })
    }

    fn looked(&self, feature: u64) -> Option<&Looked> {
        [&self.path, &self.query, &self.others]
            .into_iter()
            .chain(&self.headers)
            .find(|looked| feature == looked.kinds || feature == looked.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> RequestTexts {
        RequestTexts::new(NameHasher::new(1))
    }

    fn read(headers: &[(&str, &str)]) -> Vec<Value> {
        let mut values = Vec::new();
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        texts().read(headers, &mut values);
        values
    }

    fn described(values: &[Value]) -> Vec<String> {
        let texts = texts();
        values
            .iter()
            .map(|value| {
                let name = texts.name(value.feature).unwrap();
                match texts.describe(value.feature, value.token) {
                    Some(text) => format!("{name}: {text}"),
                    None => name,
                }
            })
            .collect()
    }

    #[test]
    fn the_headers_are_sorted_for_the_search() {
        assert!(HEADERS.is_sorted());
    }

    #[test]
    fn looks_tell_kinds_and_lengths_and_nothing_else() {
        let values = read(&[
            (":method", "GET"),
            (":path", "/items/7?page=2&q='"),
            ("cookie", "sid=abc"),
        ]);
        assert_eq!(
            described(&values),
            [
                "characters of the path: lower case, digits",
                "length of the path: 8 to 15 bytes",
                "characters of the query: lower case, digits, quotes, =&?",
                "length of the query: 8 to 15 bytes",
                "names of query parameters",
                "characters of cookie: lower case, =&?",
                "length of cookie: 4 to 7 bytes",
            ]
        );
    }

    #[test]
    fn names_of_parameters_are_a_set_whatever_their_values_and_order() {
        let names = |path: &str| read(&[(":path", path)]).last().copied().unwrap();
        assert_eq!(names("/a?x=1&y=2"), names("/b?y=&x=7&x=8"));
        assert_ne!(names("/a?x=1&y=2"), names("/a?x=1&z=2"));
        assert_ne!(names("/a?x=1"), names("/a"));
    }

    #[test]
    fn headers_that_clients_make_up_share_one_feature() {
        let one = read(&[("x-one", "a"), ("x-two", "1")]);
        let other = read(&[("x-other", "a"), ("x-name", "2")]);
        assert_eq!(one, other);
        assert_eq!(one.len(), 2);
        let many: Vec<(&str, &str)> = vec![("cookie", "a=b"); 1000];
        assert!(read(&many).len() <= RequestTexts::MOST_FEATURES + 3);
    }
}
