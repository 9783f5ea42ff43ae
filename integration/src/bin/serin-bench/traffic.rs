//! `--load`: requests other than the friendly ones.

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::load::Load;

/// Asks the upstream for a status; it is no header of the friendly load.
const ANSWER_HEADER: &str = "x-answer";
/// The statuses of six requests in turn: a third are 4xx, a sixth 5xx.
const STATUSES: [u16; 6] = [200, 404, 200, 503, 200, 429];
/// Sets of header names, none of them twice.
const HEADER_SETS: usize = 10_000;
/// Bytes of a form.
const FORM_BYTES: usize = 512;

/// What is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Traffic {
    /// GETs with one set of headers, each answered with 200, over kept connections.
    #[default]
    Friendly,
    /// POST with a form of 512 bytes.
    Post,
    /// A third of the answers are 4xx and a sixth 5xx.
    Errors,
    /// Three more headers, whose names no other of 10,000 requests has.
    HeaderSets,
    /// A path, a session, an address and three header names that no other of 10,000 requests has.
    Hostile,
    /// A connection for each request.
    Close,
    /// The friendly requests over one connection of HTTP/2.
    Http2,
}

impl Traffic {
    /// The requests in turn, each as it goes over the wire.
    pub(crate) fn requests(self, load: &Load) -> Vec<String> {
        let headers: String = load
            .request_headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let paths: Vec<String> = load.paths().collect();
        let count = match self {
            Self::HeaderSets | Self::Hostile => HEADER_SETS,
            // Each path meets each status.
            Self::Errors => paths.len() * STATUSES.len(),
            Self::Friendly | Self::Post | Self::Close | Self::Http2 => paths.len(),
        };
        if self == Self::Hostile {
            let mut random = SmallRng::seed_from_u64(1);
            return (0..count)
                .map(|number| hostile(load, number, &mut random))
                .collect();
        }
        let method = if self.has_body() { "POST" } else { "GET" };
        let request = |(number, path): (usize, &String)| {
            let (more, body) = self.beside(number, number / paths.len());
            format!("{method} {path} HTTP/1.1\r\n{headers}{more}\r\n{body}")
        };
        (0..count).zip(paths.iter().cycle()).map(request).collect()
    }

    /// Header lines and the body that the request of this number has beside the friendly ones, the
    /// paths being sent for the `turn`th time.
    fn beside(self, number: usize, turn: usize) -> (String, String) {
        match self {
            Self::Friendly | Self::Http2 | Self::Hostile => (String::new(), String::new()),
            Self::Post => {
                let head = format!(
                    "content-type: application/x-www-form-urlencoded\r\n\
                     content-length: {FORM_BYTES}\r\n"
                );
                (head, format!("{:x<FORM_BYTES$}", "filling="))
            }
            Self::Errors => {
                let status = STATUSES.get((number + turn) % STATUSES.len()).copied();
                let line = |status| format!("{ANSWER_HEADER}: {status}\r\n");
                (status.map(line).unwrap_or_default(), String::new())
            }
            Self::HeaderSets => {
                let line = |which| format!("x-{which}-{}: 1\r\n", word(number));
                (["a", "b", "c"].map(line).concat(), String::new())
            }
            Self::Close => ("connection: close\r\n".to_owned(), String::new()),
        }
    }

    /// Whether each request has a connection of its own.
    pub(crate) fn closes(self) -> bool {
        self == Self::Close
    }

    /// Whether requests have a body.
    pub(crate) fn has_body(self) -> bool {
        self == Self::Post
    }

    /// Whether this is an answer to it.
    pub(crate) fn accepts(self, status: u16) -> bool {
        if self == Self::Errors {
            STATUSES.contains(&status)
        } else {
            status == 200
        }
    }
}

/// A request of a client that makes everything new with each.
fn hostile(load: &Load, number: usize, random: &mut SmallRng) -> String {
    let mut letters = |bytes| -> String {
        (0..bytes)
            .map(|_| char::from(random.random_range(b'a'..=b'z')))
            .collect()
    };
    // Half of the paths lie below one that exists.
    let below = if number.is_multiple_of(2) {
        "/api/products"
    } else {
        ""
    };
    let segments: String = (0..1 + number % 5)
        .map(|at| format!("/{}", letters(5 + (number + at) % 8)))
        .collect();
    let mut lines: String = load
        .request_headers
        .iter()
        .map(|(name, value)| match name.as_str() {
            "cookie" => format!("cookie: session={number:016x}\r\n"),
            "x-forwarded-for" => {
                let [_, b, c, d] = (number as u32).to_be_bytes();
                format!("x-forwarded-for: 203.{b}.{c}.{d}\r\n")
            }
            _ => format!("{name}: {value}\r\n"),
        })
        .collect();
    for _ in 0..3 {
        lines += &format!("x-{}-{}: 1\r\n", letters(6), letters(7));
    }
    format!("GET {below}{segments} HTTP/1.1\r\n{lines}\r\n")
}

/// A number in letters, so that no name looks like an id.
fn word(number: usize) -> String {
    let letter = |digit: char| {
        digit
            .to_digit(10)
            .and_then(|at| char::from_digit(at + 10, 36))
    };
    number.to_string().chars().filter_map(letter).collect()
}

/// What the upstream matches for each status but 200.
pub(crate) fn failures() -> impl Iterator<Item = (u16, Value)> {
    STATUSES
        .into_iter()
        .filter(|status| *status != 200)
        .map(|status| {
            let asked =
                json!({"name": ANSWER_HEADER, "string_match": {"exact": status.to_string()}});
            (status, json!({"prefix": "/", "headers": [asked]}))
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_form_is_as_long_as_its_header_says() {
        let load = Load::read().unwrap();
        for request in Traffic::Post.requests(&load) {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /"), "{head}");
            assert_eq!(body.len(), FORM_BYTES);
        }
    }

    #[test]
    fn half_of_the_answers_fail_on_each_path() {
        let load = Load::read().unwrap();
        let requests = Traffic::Errors.requests(&load);
        let fails = |request: &&String| !request.contains("x-answer: 200");
        assert_eq!(requests.iter().filter(fails).count() * 2, requests.len());
        let asked: BTreeSet<_> = requests.iter().collect();
        let paths: BTreeSet<_> = load.paths().collect();
        // 429, 404 and 503 and the one 200 that three places stand for.
        assert_eq!(asked.len(), 4 * paths.len());
    }

    #[test]
    fn a_hostile_client_repeats_no_path_and_no_address() {
        let load = Load::read().unwrap();
        let requests = Traffic::Hostile.requests(&load);
        let distinct = |line: fn(&str) -> bool| {
            let lines = requests
                .iter()
                .filter_map(|text| text.lines().find(|it| line(it)));
            lines.collect::<BTreeSet<_>>().len()
        };
        assert_eq!(distinct(|line| line.starts_with("GET ")), HEADER_SETS);
        assert_eq!(
            distinct(|line| line.starts_with("x-forwarded-for")),
            HEADER_SETS
        );
        assert_eq!(distinct(|line| line.starts_with("cookie")), HEADER_SETS);
    }

    #[test]
    fn no_two_requests_have_the_same_names() {
        let load = Load::read().unwrap();
        let requests: BTreeSet<_> = Traffic::HeaderSets.requests(&load).into_iter().collect();
        assert_eq!(requests.len(), HEADER_SETS);
        assert!(
            requests
                .iter()
                .all(|request| request.matches("\r\nx-").count() >= 3)
        );
    }
}
