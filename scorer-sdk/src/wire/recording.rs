//! Recordings: exchanges as JSON lines, one object a line.
//!
//! The filter leaves such a line in the filter state `serin.exchange` when `record` is on, and the
//! access log writes it; `serin replay` and `serin snapshot` read it. A line holds facts and no
//! values: names of headers, no contents, and of a session only a hash.

use crate::count::examples::Id;
use crate::count::identity::identity;
use crate::exchange::{Ending, Exchange, HeaderNames};
use crate::wire::envoy::STATUSES;
use core::fmt;
use core::time::Duration;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// Longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Most header names of one exchange on each side: many times what proxies let through.
pub const MAX_HEADERS: usize = 512;
/// Longest exchange that is believed, in milliseconds: thirty days.
pub const MAX_DURATION_MS: f64 = 30.0 * 86_400e3;
/// From here on a start is no time in seconds: the year 5138. Today's milliseconds are above it.
const MAX_START: f64 = 1e11;

/// One exchange.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Start of the request in seconds since the Unix epoch.
    pub start: f64,
    /// The service that was called.
    pub destination: String,
    /// Name of the proxy's route.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// Request method.
    pub method: String,
    /// Request path; its query does not matter and need not be there.
    pub path: String,
    /// The version that answered.
    pub version: String,
    /// Under which its log line or trace is found, as [`Exchange::id`] has it; empty where that is not
    /// known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Response status; missing when there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// gRPC status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// How it ended; complete when missing.
    #[serde(default, skip_serializing_if = "RecordEnding::is_complete")]
    pub ending: RecordEnding,
    /// The version's time in milliseconds, as [`Exchange::duration_us`] has it.
    pub duration_ms: f64,
    /// From the first byte of the request until the exchange ended, in milliseconds; missing where
    /// that is the version's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<f64>,
    /// Length of the response body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// The response's content type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// Names of the response headers; missing when they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
    /// Address of the host that answered; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// Stands for the client's session: in a line, a whole number as it is, or any other number or
    /// text, of which the hash is kept.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "session"
    )]
    pub session: Option<u64>,
    /// Stands for the request that several attempts have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// Whether the exchange was counted and not judged.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub surplus: bool,
    /// Length of the request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// Names of the request headers; missing when they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Vec<String>>,
    /// The calls that the application made meanwhile, as [`crate::signal::fan_out::describe`]
    /// writes them; missing where nobody reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<String>,
}

/// How a recorded exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordEnding {
    /// The response was delivered.
    #[default]
    Complete,
    /// The upstream broke off.
    Reset,
    /// The client went away first.
    ClientGone,
}

impl RecordEnding {
    /// How an exchange ended, for its line: one in flight has not.
    #[must_use]
    pub fn of(ending: Ending) -> Self {
        match ending {
            Ending::Complete | Ending::InFlight => Self::Complete,
            Ending::Reset => Self::Reset,
            Ending::ClientGone => Self::ClientGone,
        }
    }

    fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

impl Record {
    /// The record of an exchange that has ended. `start` is the time since the Unix epoch;
    /// `duration_us` stands in where the exchange's own was counted before.
    #[must_use]
    pub fn new(exchange: &Exchange<'_>, start: Duration, duration_us: u64) -> Self {
        let path = exchange.path.split(['?', '#']).next().unwrap_or_default();
        Self {
            start: start.as_micros() as f64 / 1e6,
            destination: exchange.destination.to_owned(),
            route: exchange.route_name.to_owned(),
            method: exchange.method.to_owned(),
            path: path.to_owned(),
            version: exchange.version.to_owned(),
            id: Id::clean(exchange.id.as_bytes()).to_string(),
            status: exchange.status,
            grpc_status: exchange.grpc_status,
            ending: RecordEnding::of(exchange.ending),
            duration_ms: duration_us as f64 / 1e3,
            lasted_ms: exchange
                .lasted_us
                .filter(|lasted| *lasted != duration_us)
                .map(|lasted| lasted as f64 / 1e3),
            response_bytes: exchange.response_bytes,
            content_type: exchange.content_type.to_owned(),
            headers: exchange.header_names.map(list),
            upstream: exchange.upstream_host.to_owned(),
            session: exchange.session,
            request: exchange.request,
            surplus: exchange.is_surplus,
            request_bytes: exchange.request_bytes,
            request_headers: exchange.request_header_names.map(list),
            fan_out: exchange.fan_out.map(str::to_owned),
        }
    }

    /// Parses one line.
    ///
    /// # Errors
    /// What is wrong with it and what would mend it, for people.
    pub fn parse(line: &str) -> Result<Self, String> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!("the line has more than {MAX_LINE_BYTES} bytes"));
        }
        let record: Self =
            serde_json::from_str(line).map_err(|error| json_problem(&error, line))?;
        record.check()?;
        Ok(record)
    }

    /// Checks that the numbers make sense.
    ///
    /// # Errors
    /// What does not and what would mend it, for people.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..MAX_START).contains(&self.start) {
            let unit = [
                (1e3, "milliseconds"),
                (1e6, "microseconds"),
                (1e9, "nanoseconds"),
            ]
            .into_iter()
            .find(|(factor, _)| (MAX_START..MAX_START * factor).contains(&self.start));
            let repair = unit.map_or_else(String::new, |(factor, unit)| {
                format!("; if these are {unit}, divide by {factor}")
            });
            return Err(format!(
                "start {} is no time in seconds since 1970{repair}",
                self.start
            ));
        }
        for (name, duration) in [
            ("duration_ms", Some(self.duration_ms)),
            ("lasted_ms", self.lasted_ms),
        ] {
            if let Some(duration) = duration
                && !(0.0..=MAX_DURATION_MS).contains(&duration)
            {
                return Err(format!(
                    "{name} {duration} is no duration: milliseconds from 0 to 30 days"
                ));
            }
        }
        if let Some(status) = self.status
            && !STATUSES.contains(&status)
        {
            return Err(format!(
                "status {status} is no HTTP status from 100 to 999; leave it out where no response \
                 came"
            ));
        }
        if self.version.is_empty() || self.destination.is_empty() {
            return Err("destination and version must not be empty".to_owned());
        }
        for (name, headers) in [
            ("headers", &self.headers),
            ("request_headers", &self.request_headers),
        ] {
            if headers
                .as_ref()
                .is_some_and(|names| names.len() > MAX_HEADERS)
            {
                return Err(format!("{name} has more than {MAX_HEADERS} names"));
            }
        }
        Ok(())
    }

    /// Start of the request since the Unix epoch.
    #[must_use]
    pub fn start(&self) -> Duration {
        Duration::try_from_secs_f64(self.start).unwrap_or_default()
    }

    /// End of the exchange since the Unix epoch.
    #[must_use]
    pub fn end(&self) -> Duration {
        let taken = self.lasted_ms.unwrap_or(self.duration_ms);
        let taken = Duration::try_from_secs_f64(taken / 1e3).unwrap_or_default();
        self.start().saturating_add(taken)
    }

    /// The version's time in milliseconds; none of a stream whose line has its whole time alone.
    fn time_of_version(&self) -> Option<f64> {
        let is_whole = self
            .lasted_ms
            .is_none_or(|lasted| lasted == self.duration_ms);
        (!(is_whole && is_stream(&self.content_type))).then_some(self.duration_ms)
    }

    /// The facts.
    #[must_use]
    pub fn exchange(&self) -> Exchange<'_> {
        Exchange {
            destination: &self.destination,
            route_name: &self.route,
            method: &self.method,
            path: &self.path,
            version: &self.version,
            started_ms: (self.start * 1e3) as u64,
            id: &self.id,
            status: self.status,
            grpc_status: self.grpc_status,
            ending: match self.ending {
                RecordEnding::Complete => Ending::Complete,
                RecordEnding::Reset => Ending::Reset,
                RecordEnding::ClientGone => Ending::ClientGone,
            },
            duration_us: self.time_of_version().map(micros),
            lasted_us: Some(micros(self.lasted_ms.unwrap_or(self.duration_ms))),
            response_bytes: self.response_bytes,
            content_type: &self.content_type,
            header_names: self.headers.as_ref().map(|names| names as &dyn HeaderNames),
            upstream_host: &self.upstream,
            session: self.session,
            request: self.request,
            is_surplus: self.surplus,
            request_bytes: self.request_bytes,
            request_header_names: self
                .request_headers
                .as_ref()
                .map(|names| names as &dyn HeaderNames),
            fan_out: self.fan_out.as_deref(),
            ..Exchange::default()
        }
    }
}

fn micros(milliseconds: f64) -> u64 {
    (milliseconds * 1e3).round() as u64
}

/// Whether a content type is that of a response which lasts as long as somebody listens.
#[must_use]
pub fn is_stream(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("text/event-stream")
}

fn list(names: &dyn HeaderNames) -> Vec<String> {
    let mut found = Vec::new();
    names.visit(&mut |name| {
        if !name.starts_with(':') {
            found.push(name.to_owned());
        }
    });
    found
}

/// Reads a session: a text or a number.
fn session<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Session;

    impl Visitor<'_> for Session {
        type Value = Option<u64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a text or a number")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(session_of(&number.to_string())))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(session_of(&number.to_string())))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok((!text.is_empty()).then(|| session_of(text)))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Session)
}

/// The session that a text stands for: a whole number from 0 up itself, else its hash.
#[must_use]
pub fn session_of(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| identity(text.as_bytes()))
}

/// What is wrong with a line of JSON, for people: the column without the parser's own count of
/// lines, and the repair where the mistake is a common one.
#[must_use]
pub fn json_problem(error: &serde_json::Error, line: &str) -> String {
    let full = error.to_string();
    let (problem, at) = match full.rsplit_once(" at line ") {
        Some((problem, _)) => (problem, format!(" at column {}", error.column())),
        None => (full.as_str(), String::new()),
    };
    let text = line.trim_start();
    if !text.starts_with('{') {
        let begin: String = text.chars().take(20).collect();
        return format!(
            "is not a JSON object: begins with `{begin}`; is this the proxy's text format? Set the \
             JSON format"
        );
    }
    if error.is_eof() {
        return format!("is cut off after {} bytes: {problem}", line.len());
    }
    match word_at(line, error.column()) {
        Some(word) if error.is_syntax() && is_no_number(word) => {
            format!(
                "`{word}`{at} is no number in JSON; leave the field out, or the line if it is needed"
            )
        }
        _ => format!("{problem}{at}"),
    }
}

/// The word of letters, digits and signs around the column, which counts bytes from 1.
fn word_at(line: &str, column: usize) -> Option<&str> {
    let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let (before, after) = line.as_bytes().split_at_checked(column.saturating_sub(1))?;
    let begin = before.len() - before.iter().rev().take_while(in_word).count();
    let end = before.len() + after.iter().take_while(in_word).count();
    line.get(begin..end)
}

fn is_no_number(word: &str) -> bool {
    let word = word.trim_start_matches(['+', '-']).to_ascii_lowercase();
    ["nan", "inf", "infinity"].contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_survives_its_line() {
        let names = vec!["etag", "vary"];
        let exchange = Exchange {
            header_names: Some(&names),
            ..crate::testing::exchange()
        };
        let record = Record::new(&exchange, Duration::from_millis(1_700_000_000_123), 5_000);
        let line = serde_json::to_string(&record).unwrap();
        let read = Record::parse(&line).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.exchange().duration_us, Some(5_000));
        assert_eq!(read.path, "/api/products/7");
        assert_eq!(read.headers.unwrap(), names);
    }

    #[test]
    fn who_answered_and_what_was_asked_survive_too() {
        let names = vec!["accept", ":path", "user-agent"];
        let exchange = Exchange {
            upstream_host: "10.1.2.3:8080",
            id: "9c1b0f6e",
            session: Some(u64::MAX - 1),
            request: Some(3),
            is_surplus: true,
            lasted_us: Some(9_000),
            request_bytes: Some(12),
            request_header_names: Some(&names),
            fan_out: Some("stock GET /items/{int} 1"),
            ..crate::testing::exchange()
        };
        let record = Record::new(&exchange, Duration::from_secs(1), 1);
        let line = serde_json::to_string(&record).unwrap();
        let read = Record::parse(&line).unwrap();
        assert_eq!(read, record);
        let facts = read.exchange();
        assert_eq!((facts.started_ms, facts.id), (1_000, "9c1b0f6e"));
        assert_eq!(facts.upstream_host, "10.1.2.3:8080");
        assert_eq!(facts.session, Some(u64::MAX - 1));
        assert_eq!((facts.request, facts.is_surplus), (Some(3), true));
        assert_eq!(facts.lasted_us, Some(9_000));
        assert_eq!(read.end(), Duration::from_millis(1_009));
        assert_eq!(facts.request_bytes, Some(12));
        assert_eq!(facts.fan_out, exchange.fan_out);
        assert_eq!(read.request_headers.unwrap(), ["accept", "user-agent"]);
    }

    const LINE: &str = r#"{"start":1,"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":2}"#;

    fn with(field: &str) -> String {
        LINE.replace('}', &format!(",{field}}}"))
    }

    #[test]
    fn a_session_is_a_whole_number_or_the_hash_of_anything_else() {
        let session = |text: &str| {
            Record::parse(&with(&format!("\"session\":{text}")))
                .unwrap()
                .session
        };
        assert_eq!(session("17"), Some(17));
        assert_eq!(session("\"17\""), Some(17));
        assert_eq!(session("\"abc\""), Some(identity(b"abc")));
        assert!(session("-3").is_some() && session("1e300").is_some());
        assert_eq!((session("null"), session("\"\"")), (None, None));
        assert!(Record::parse(&with("\"session\":[1]")).is_err());
    }

    #[test]
    fn a_line_of_the_first_format_is_read_as_it_was() {
        let record = Record::parse(LINE).unwrap();
        let facts = record.exchange();
        assert_eq!((facts.upstream_host, facts.session), ("", None));
        assert_eq!(facts.request_bytes, None);
        assert!(facts.request_header_names.is_none());
    }

    #[test]
    fn nonsense_is_refused_with_its_reason_and_repair() {
        let line = |start: &str, duration: &str, status: u16| {
            format!(
                r#"{{"start":{start},"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":{duration},"status":{status}}}"#
            )
        };
        assert!(Record::parse(&line("1", "2", 200)).is_ok());
        let headers = vec!["\"a\""; MAX_HEADERS + 1].join(",");
        for (bad, words) in [
            (line("-1", "2", 200), "start -1 is no time"),
            (
                line("1770000000125", "2", 200),
                "milliseconds, divide by 1000",
            ),
            (line("1.7e15", "2", 200), "divide by 1000000"),
            (line("1.7e18", "2", 200), "divide by 1000000000"),
            (line("1", "-2", 200), "duration_ms -2"),
            (line("1", "1e300", 200), "30 days"),
            (with("\"lasted_ms\":-1"), "lasted_ms -1"),
            (line("1", "1e999", 200), "number out of range"),
            (line("1", "NaN", 200), "`NaN` at column"),
            (line("1", "nan", 200), "`nan` at column"),
            (line("1", "Infinity", 200), "`Infinity` at column"),
            (line("1", "-Infinity", 200), "`-Infinity` at column"),
            (line("\"1\"", "1", 200), "expected f64 at column 12"),
            (line("1", "1", 42), "status 42"),
            (with("\"start\":2"), "duplicate field `start`"),
            (with("\"colour\":2"), "unknown field `colour`"),
            (
                with(&format!("\"headers\":[{headers}]")),
                "headers has more than 512",
            ),
            (
                with(&format!("\"request_headers\":[{headers}]")),
                "request_headers has more than 512",
            ),
            ("{\"start\":1".to_owned(), "cut off after 10 bytes"),
            (
                "[2026-02-03] \"GET / HTTP/1.1\"".to_owned(),
                "Set the JSON format",
            ),
            ("x".repeat(MAX_LINE_BYTES + 1), "bytes"),
        ] {
            let error = Record::parse(&bad).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("line 1"), "{error}");
        }
    }
}
