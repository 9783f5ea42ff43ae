//! Envoy's JSON access log, as `docs/recording.md` sets it up.
//!
//! Values may be numbers or texts; `null`, `-` and a missing field mean that Envoy had none. Fields
//! that are not listed here do no harm.

use jiff::Timestamp;
use scorer_sdk::Plan;
use scorer_sdk::wire::envoy::{self, Flags};
use scorer_sdk::wire::recording::{Record, RecordEnding, json_problem, session_of};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What a line of the log is.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// An exchange with a version.
    Exchange(Box<Record>),
    /// A request that no version is known for: the proxy's own answer or another service. The text
    /// says why.
    Unattributed(String),
}

/// A value as Envoy writes it.
#[derive(Default)]
enum Scalar<'a> {
    /// `null`, a dash, an empty text, or no such field.
    #[default]
    Absent,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(match text {
            "" | "-" => Scalar::Absent,
            text => Scalar::Text(Cow::Borrowed(text)),
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(match text {
            "" | "-" => Scalar::Absent,
            text => Scalar::Text(Cow::Owned(text.to_owned())),
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    start_time: Scalar<'a>,
    #[serde(borrow)]
    method: Scalar<'a>,
    #[serde(borrow)]
    path: Scalar<'a>,
    #[serde(borrow)]
    response_code: Scalar<'a>,
    #[serde(borrow)]
    response_flags: Scalar<'a>,
    #[serde(borrow)]
    response_code_details: Scalar<'a>,
    #[serde(borrow)]
    grpc_status: Scalar<'a>,
    #[serde(borrow)]
    duration: Scalar<'a>,
    #[serde(borrow)]
    bytes_sent: Scalar<'a>,
    #[serde(borrow)]
    bytes_received: Scalar<'a>,
    #[serde(borrow)]
    upstream_cluster: Scalar<'a>,
    #[serde(borrow)]
    upstream_host: Scalar<'a>,
    #[serde(borrow)]
    connection_id: Scalar<'a>,
    #[serde(borrow)]
    session: Scalar<'a>,
    #[serde(borrow)]
    route_name: Scalar<'a>,
    #[serde(borrow)]
    content_type: Scalar<'a>,
    #[serde(borrow)]
    upgrade: Scalar<'a>,
}

fn text(value: Scalar<'_>) -> Option<Cow<'_, str>> {
    match value {
        Scalar::Absent => None,
        Scalar::Text(text) => Some(text),
        Scalar::Number(number) => Some(Cow::Owned(number.to_string())),
    }
}

fn owned(value: Scalar<'_>) -> String {
    text(value).map(Cow::into_owned).unwrap_or_default()
}

fn number(name: &str, value: &Scalar<'_>) -> Result<Option<f64>, String> {
    let (number, written): (_, Cow<'_, str>) = match value {
        Scalar::Absent => return Ok(None),
        Scalar::Number(number) if *number >= 0.0 => return Ok(Some(*number)),
        Scalar::Number(number) => (None, number.to_string().into()),
        Scalar::Text(text) => (text.parse::<f64>().ok(), text.as_ref().into()),
    };
    match number {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
        _ => Err(format!("{name} `{written}` is not a number from 0 up")),
    }
}

fn whole(name: &str, value: &Scalar<'_>) -> Result<Option<u64>, String> {
    Ok(number(name, value)?.map(|number| number as u64))
}

fn needed<Value>(name: &str, value: Option<Value>) -> Result<Value, String> {
    value.ok_or_else(|| format!("{name} is missing: add it to the log's format"))
}

/// The earliest and the latest start that are believed, in seconds since the Unix epoch: the years
/// 2001 and 5138. In this range a number of seconds, of milliseconds, of microseconds and of
/// nanoseconds are never taken for each other.
const STARTS: core::ops::Range<f64> = 1e9..1e11;

/// A start in seconds since the Unix epoch: a time after RFC 3339, or a number as `%START_TIME(%s)%`
/// and its like write it.
fn seconds(written: &str) -> Result<f64, String> {
    if let Ok(number) = written.parse::<f64>() {
        let units = [1.0, 1e3, 1e6, 1e9];
        let found = units.into_iter().map(|unit| number / unit);
        return found
            .into_iter()
            .find(|seconds| STARTS.contains(seconds))
            .ok_or_else(|| {
                format!(
                    "start_time `{written}` is no time since 1970 in seconds, milliseconds, \
                     microseconds or nanoseconds; write it as %START_TIME%"
                )
            });
    }
    let start: Timestamp = written.parse().map_err(|error| {
        format!(
            "start_time `{written}` is neither a time after RFC 3339 nor a number since 1970: \
             {error}; write it as %START_TIME%"
        )
    })?;
    if start < Timestamp::UNIX_EPOCH {
        return Err(format!("start_time `{written}` is before 1970"));
    }
    Ok(start.as_microsecond() as f64 / 1e6)
}

/// A status; 0 is no response.
fn status(code: f64) -> Result<Option<u16>, String> {
    if code == 0.0 {
        return Ok(None);
    }
    let status = code as u16;
    if f64::from(status) != code || !envoy::STATUSES.contains(&status) {
        return Err(format!(
            "response_code {code} is no HTTP status from 100 to 999, and no 0 for no response"
        ));
    }
    Ok(Some(status))
}

/// Whether a request may be gRPC by its method and its path, `/package.Service/Method`.
#[must_use]
pub fn looks_like_grpc(method: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let (root, service, name, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    method == "POST"
        && root == Some("")
        && service.is_some_and(|service| service.contains('.'))
        && name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
        && more.is_none()
}

/// Parses one line. `plan` knows which cluster is which version of what.
///
/// # Errors
/// What is wrong with the line, for people.
pub fn parse(line: &str, plan: &Plan) -> Result<Entry, String> {
    let raw: Raw<'_> = serde_json::from_str(line).map_err(|error| json_problem(&error, line))?;
    let start = needed("start_time", text(raw.start_time))?;
    let start = seconds(&start)?;
    let method = needed("method", text(raw.method))?;
    let duration_ms = needed("duration", number("duration", &raw.duration)?)?;
    let status = status(number("response_code", &raw.response_code)?.unwrap_or(0.0))?;
    let asks_for_upgrade = text(raw.upgrade).is_some();
    if envoy::is_left_alone(method.as_bytes(), asks_for_upgrade, status) {
        return Ok(Entry::Unattributed(
            "an upgrade or CONNECT: what follows is no longer HTTP".to_owned(),
        ));
    }
    let flag_names = owned(raw.response_flags);
    let flags = Flags::named(&flag_names);
    let details = text(raw.response_code_details);
    let details = details.as_deref().map(str::as_bytes);
    if let Some(status) = status
        && flags.is_proxys_own(details, status)
    {
        return Ok(Entry::Unattributed(format!(
            "Envoy answered {status} itself (response_flags {})",
            if flag_names.is_empty() {
                "-"
            } else {
                &flag_names
            }
        )));
    }
    let ending = flags.ending(status, false);
    let content_type = owned(raw.content_type);
    let is_grpc = match content_type.as_str() {
        // A log without content types.
        "" => method == "POST",
        kind => envoy::is_grpc(kind.as_bytes()),
    };
    let grpc_status = match text(raw.grpc_status) {
        Some(value) if envoy::has_grpc_status(is_grpc, ending) => Some(
            envoy::grpc_status_of_log(&value)
                .ok_or_else(|| format!("grpc_status `{value}` is not known"))?,
        ),
        _ => None,
    };
    let (response_bytes, request_bytes) = (
        whole("bytes_sent", &raw.bytes_sent)?,
        whole("bytes_received", &raw.bytes_received)?,
    );
    let Some(cluster) = text(raw.upstream_cluster) else {
        return Ok(Entry::Unattributed(
            "no upstream_cluster: the proxy answered".to_owned(),
        ));
    };
    let Some(upstream) = plan.upstream(&cluster) else {
        return Ok(Entry::Unattributed(format!(
            "cluster `{cluster}` is not watched"
        )));
    };
    let Some(version) = upstream.version else {
        return Ok(Entry::Unattributed(format!(
            "cluster `{cluster}` does not say its version"
        )));
    };
    let record = Record {
        start,
        destination: upstream.destination.into_owned(),
        route: owned(raw.route_name),
        method: method.into_owned(),
        path: owned(raw.path),
        version: version.into_owned(),
        status,
        grpc_status,
        ending: RecordEnding::of(ending),
        duration_ms,
        response_bytes,
        content_type,
        upstream: owned(raw.upstream_host),
        session: text(raw.session)
            .or_else(|| text(raw.connection_id))
            .map(|session| session_of(&session)),
        request_bytes,
        ..Record::default()
    };
    record.check()?;
    Ok(Entry::Exchange(Box::new(record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"versions": {"destinations": {"shop": {"v2": ["shop-canary"]}}}}"#;

    fn parse_with(changes: &[(&str, serde_json::Value)]) -> Result<Entry, String> {
        let mut line = serde_json::json!({
            "start_time": "2026-02-03T04:05:06.789Z", "method": "GET", "path": "/a?b=c",
            "response_code": 200, "response_flags": "-", "duration": 12, "bytes_sent": 34,
            "upstream_cluster": "shop-canary", "content_type": "text/html", "extra": {"a": []}
        });
        for (name, value) in changes {
            line[*name] = value.clone();
        }
        parse(&line.to_string(), &Plan::from_json(CONFIG).unwrap())
    }

    fn record(changes: &[(&str, serde_json::Value)]) -> Record {
        match parse_with(changes).unwrap() {
            Entry::Exchange(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_may_be_texts_and_a_dash_or_null_is_missing() {
        let plain = record(&[]);
        assert_eq!((plain.start, plain.duration_ms), (1_770_091_506.789, 12.0));
        assert_eq!(
            (plain.destination.as_str(), plain.version.as_str()),
            ("shop", "v2")
        );
        let texts = record(&[
            ("duration", "12".into()),
            ("response_code", "200".into()),
            ("bytes_sent", "34".into()),
            ("response_flags", serde_json::Value::Null),
            ("route_name", "-".into()),
        ]);
        assert_eq!(texts, plain);
    }

    #[test]
    fn istio_cluster_names_carry_host_and_subset() {
        let found = record(&[("upstream_cluster", "outbound|80|v7|shop.prod.svc".into())]);
        assert_eq!(
            (found.destination.as_str(), found.version.as_str()),
            ("shop.prod.svc:80", "v7")
        );
        for cluster in ["-", "other", "outbound|80||shop.prod.svc", "inbound|80||"] {
            let entry = parse_with(&[("upstream_cluster", cluster.into())]).unwrap();
            assert!(matches!(entry, Entry::Unattributed(_)), "{cluster}");
        }
    }

    #[test]
    fn response_flags_tell_how_it_ended() {
        use RecordEnding::{ClientGone, Complete, Reset};
        for (flags, code, ending) in [
            ("UC", 0, Reset),
            ("UF,URX", 0, Complete),
            ("UF,URX", 503, Complete),
            ("UC", 200, Reset),
            ("URX", 404, Complete),
            ("DC", 0, ClientGone),
            ("DR", 200, ClientGone),
            ("-", 0, Complete),
        ] {
            let found = record(&[
                ("response_flags", flags.into()),
                ("response_code", code.into()),
            ]);
            assert_eq!(found.ending, ending, "{flags} {code}");
            assert_eq!(found.status.is_none(), code == 0);
        }
    }

    #[test]
    fn what_envoy_answers_itself_is_no_version_s() {
        let own = |flags: &str, code: u16, details: &str| {
            let entry = parse_with(&[
                ("response_flags", flags.into()),
                ("response_code", code.into()),
                ("response_code_details", details.into()),
            ]);
            matches!(entry.unwrap(), Entry::Unattributed(_))
        };
        for flags in ["RL", "UAEX", "FI", "DI,FI"] {
            assert!(own(flags, 429, "-"), "{flags}");
        }
        assert!(own("-", 403, "rbac_access_denied_matched_policy[none]"));
        assert!(own("-", 200, "direct_response"));
        assert!(!own("-", 429, "-") && !own("-", 429, "via_upstream"));
        for (flags, details) in [
            (
                "UF,URX",
                "upstream_reset_before_response_started{connection_failure}",
            ),
            ("UH", "no_healthy_upstream"),
            ("UO", "upstream_reset_before_response_started{overflow}"),
        ] {
            assert!(!own(flags, 503, details), "{flags}");
        }
        assert!(!own("UT", 504, "response_timeout"));
        assert!(!own("SI", 504, "stream_idle_timeout"));
        // The client did not send its request to the end.
        assert!(own("SI", 408, "stream_idle_timeout"));
    }

    #[test]
    fn a_grpc_status_counts_where_the_content_type_is_grpc() {
        let plain = record(&[("grpc_status", 2.into())]);
        assert_eq!(plain.grpc_status, None);
        for (value, number) in [
            ("14", 14),
            ("Unavailable", 14),
            ("DEADLINE_EXCEEDED", 4),
            ("Cancelled", 1),
        ] {
            let found = record(&[
                ("grpc_status", value.into()),
                ("content_type", "application/grpc+proto".into()),
            ]);
            assert_eq!(found.grpc_status, Some(number));
        }
    }

    #[test]
    fn a_grpc_status_does_not_count_where_the_answer_did_not_end() {
        for (flags, number) in [("UC", None), ("DC", None), ("-", Some(2))] {
            let found = record(&[
                ("response_flags", flags.into()),
                ("grpc_status", 2.into()),
                ("content_type", "application/grpc".into()),
            ]);
            assert_eq!(found.grpc_status, number, "{flags}");
        }
    }

    #[test]
    fn a_log_without_content_types_has_its_grpc_statuses_of_posts() {
        let bare = |method: &str, status: i64| {
            let found = record(&[
                ("method", method.into()),
                ("content_type", "-".into()),
                ("grpc_status", status.into()),
            ]);
            found.grpc_status
        };
        assert_eq!(bare("POST", 14), Some(14));
        assert_eq!(bare("POST", -1), Some(2));
        assert_eq!(bare("GET", 2), None);
    }

    #[test]
    fn a_path_with_a_service_and_a_method_looks_like_grpc() {
        for path in ["/shop.Cart/Add", "/grpc.health.v1.Health/Check"] {
            assert!(looks_like_grpc("POST", path), "{path}");
        }
        for path in [
            "/shop.js",
            "/shop.v1/items",
            "/shop/Add",
            "/a.b/C/D",
            "a.b/C",
            "",
        ] {
            assert!(!looks_like_grpc("POST", path), "{path}");
        }
        assert!(!looks_like_grpc("GET", "/shop.Cart/Add"));
    }

    #[test]
    fn a_start_may_be_a_number_of_any_unit() {
        for start in [
            serde_json::json!(1_770_091_506.789),
            "1770091506.789".into(),
            "1770091506.789000".into(),
            1_770_091_506_789_u64.into(),
            "1770091506789".into(),
            1_770_091_506_789_000_u64.into(),
            "1770091506789000000".into(),
        ] {
            let found = record(&[("start_time", start.clone())]).start;
            assert!((found - 1_770_091_506.789).abs() < 1e-5, "{start}: {found}");
        }
    }

    #[test]
    fn what_is_no_longer_http_is_of_no_version() {
        for changes in [
            ("response_code", 101.into()),
            ("method", "CONNECT".into()),
            ("upgrade", "websocket".into()),
        ] {
            let entry = parse_with(&[changes]).unwrap();
            assert!(matches!(entry, Entry::Unattributed(_)));
        }
        assert_eq!(record(&[("upgrade", "-".into())]).status, Some(200));
    }

    #[test]
    fn statuses_that_envoy_lets_pass_are_read() {
        for status in [100, 600, 999] {
            let found = record(&[("response_code", status.into())]);
            assert_eq!(found.status, Some(status));
        }
    }

    #[test]
    fn host_session_and_request_are_read_where_the_log_has_them() {
        let plain = record(&[]);
        assert_eq!((plain.upstream.as_str(), plain.session), ("", None));
        let found = record(&[
            ("upstream_host", "10.1.2.3:8080".into()),
            ("connection_id", 17.into()),
            ("bytes_received", 5.into()),
        ]);
        assert_eq!(
            (found.upstream.as_str(), found.session, found.request_bytes),
            ("10.1.2.3:8080", Some(17), Some(5))
        );
        let cookie = record(&[("connection_id", 17.into()), ("session", "abc".into())]);
        assert_eq!(cookie.session, Some(session_of("abc")));
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_its_field() {
        for (name, value) in [
            ("start_time", "yesterday".into()),
            ("start_time", "-".into()),
            ("method", serde_json::Value::Null),
            ("duration", serde_json::Value::from(-1)),
            ("duration", "NaN".into()),
            ("response_code", 1_000.into()),
            ("response_code", 99.into()),
            ("response_code", 200.5.into()),
            ("response_code", (-1).into()),
            ("bytes_sent", "many".into()),
            ("bytes_received", "-Infinity".into()),
            ("duration", 1e300.into()),
            ("start_time", "1969-12-31T23:59:59Z".into()),
            ("start_time", "9999-01-01T00:00:00Z".into()),
            ("start_time", 12.into()),
            ("start_time", "-1770000000".into()),
        ] {
            let error = parse_with(&[(name, value)]).unwrap_err();
            let name = name.trim_end_matches("_time");
            assert!(error.contains(name), "{error}");
        }
        let error = parse_with(&[("path", serde_json::json!({}))]).unwrap_err();
        assert!(error.contains("expected a text or a number"), "{error}");
    }
}
