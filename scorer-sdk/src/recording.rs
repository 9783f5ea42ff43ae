//! Recordings: exchanges as JSON lines, one object a line.
//!
//! The filter leaves such a line in the filter state `serin.exchange` when `record` is on, and the
//! access log writes it; `serin replay` and `serin snapshot` read it. A line holds facts and no
//! values: names of headers, no contents.

use crate::facts::{Ending, Exchange, HeaderNames};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// One exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Response status; missing when there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// gRPC status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// How it ended; complete when missing.
    #[serde(default, skip_serializing_if = "RecordEnding::is_complete")]
    pub ending: RecordEnding,
    /// From the first byte of the request to the last of the response, in milliseconds.
    pub duration_ms: f64,
    /// Length of the response body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// The response's content type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// Names of the response headers; missing when they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
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
            status: exchange.status,
            grpc_status: exchange.grpc_status,
            ending: match exchange.ending {
                Ending::Complete | Ending::InFlight => RecordEnding::Complete,
                Ending::Reset => RecordEnding::Reset,
                Ending::ClientGone => RecordEnding::ClientGone,
            },
            duration_ms: duration_us as f64 / 1e3,
            response_bytes: exchange.response_bytes,
            content_type: exchange.content_type.to_owned(),
            headers: exchange.header_names.map(|names| {
                let mut found = Vec::new();
                names.visit(&mut |name| {
                    if !name.starts_with(':') {
                        found.push(name.to_owned());
                    }
                });
                found
            }),
        }
    }

    /// Parses one line.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(line: &str) -> Result<Self, String> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!("the line has more than {MAX_LINE_BYTES} bytes"));
        }
        let record: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        record.check()?;
        Ok(record)
    }

    /// Checks that the numbers make sense.
    ///
    /// # Errors
    /// What does not, for people.
    pub fn check(&self) -> Result<(), String> {
        if !(self.start.is_finite() && (0.0..1e11).contains(&self.start)) {
            return Err(format!("start {} is not a time in seconds", self.start));
        }
        if !(self.duration_ms.is_finite() && self.duration_ms >= 0.0) {
            return Err(format!(
                "duration_ms {} is not a duration",
                self.duration_ms
            ));
        }
        if let Some(status) = self.status
            && !(100..=599).contains(&status)
        {
            return Err(format!("status {status} is not an HTTP status"));
        }
        if self.version.is_empty() || self.destination.is_empty() {
            return Err("destination and version must not be empty".to_owned());
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
        let taken = Duration::try_from_secs_f64(self.duration_ms / 1e3).unwrap_or_default();
        self.start().saturating_add(taken)
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
            status: self.status,
            grpc_status: self.grpc_status,
            ending: match self.ending {
                RecordEnding::Complete => Ending::Complete,
                RecordEnding::Reset => Ending::Reset,
                RecordEnding::ClientGone => Ending::ClientGone,
            },
            duration_us: Some((self.duration_ms * 1e3).round() as u64),
            response_bytes: self.response_bytes,
            content_type: &self.content_type,
            header_names: self.headers.as_ref().map(|names| names as &dyn HeaderNames),
            ..Exchange::default()
        }
    }
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
    fn nonsense_is_refused_with_its_reason() {
        let line = |start: &str, duration: &str, status: u16| {
            format!(
                r#"{{"start":{start},"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":{duration},"status":{status}}}"#
            )
        };
        assert!(Record::parse(&line("1", "2", 200)).is_ok());
        for (bad, word) in [
            (line("-1", "2", 200), "start"),
            (line("1", "-2", 200), "duration_ms"),
            (line("1", "NaN", 200), "expected"),
            (line("1", "1", 42), "status"),
            ("{\"start\":1".to_owned(), "EOF"),
            ("x".repeat(MAX_LINE_BYTES + 1), "bytes"),
        ] {
            let error = Record::parse(&bad).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
