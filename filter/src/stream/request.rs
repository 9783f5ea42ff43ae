//! What is kept of a request from its headers.

use crate::host::{Header, Headers};
use crate::stream::client::Clients;
use crate::stream::fan_out;
use crate::stream::ids;
use crate::stream::name_sets::{NameSet, NameSets};
use crate::stream::origin::session;
use crate::stream::response::number;
use crate::stream::surprise;
use scorer_sdk::config::{Plan, SessionSource};
use scorer_sdk::count::examples::Id;
use scorer_sdk::signal::request::tells_of_the_client;
use scorer_sdk::signal::{NameHasher, Side};
use scorer_sdk::surprise::Value;
use scorer_sdk::surprise::request_texts::RequestTexts;
use scorer_sdk::telemetry::HEADER_PREFIX;
use scorer_sdk::wire::envoy;
use std::borrow::Cow;
use std::rc::Rc;

/// Longest path that is looked at, in bytes; the rest is cut off.
const MAX_PATH_BYTES: usize = 2_048;

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Cow<'static, str>,
    /// Path with its query.
    pub path: String,
    /// Which attempt this is, from the caller's proxy; `None` when it does not say.
    pub attempt: Option<u64>,
    /// Whether the content type is gRPC.
    pub grpc: bool,
    /// Upgrade or CONNECT: none of Serin's business.
    pub left_alone: bool,
    /// Names of the headers that only Serin may set.
    pub forged: Vec<String>,
    /// Announced length of the body.
    pub bytes: Option<u64>,
    /// Stands for the session or the client, where a header tells of them.
    pub session: Option<u64>,
    /// Stands for the request that several attempts have in common, where the caller's proxy counts
    /// attempts.
    pub id: Option<u64>,
    /// Under which its log line or trace is found, where examples are wanted: `x-request-id`, else the
    /// trace of `traceparent`.
    pub found_by: Id,
    /// Names of the headers that tell of the client, where a signal looks at the request.
    pub names: Option<Rc<NameSet>>,
    /// Names under which the calls that are made for it can be found, where fan-out is looked at.
    pub traced_as: fan_out::Names,
    /// Coarse looks at its texts, where surprise is on.
    pub looks: Vec<Value>,
}

/// Reads requests: knows what the plan wants of them.
pub struct Reader {
    /// The sets of names seen so far; `None` where no signal looks at the request.
    names: Option<NameSets>,
    /// Whether fan-out is looked at.
    fans_out: bool,
    texts: Option<RequestTexts>,
    /// Hashes sessions with the proxy's secret.
    sessions: NameHasher,
}

impl Reader {
    /// A reader under a plan, in a proxy with this secret.
    #[must_use]
    pub fn new(plan: &Plan, hasher: NameHasher, secret: u64) -> Self {
        let looked_at = plan
            .signals
            .iter()
            .any(|signal| signal.side() == Side::Request);
        Self {
            texts: surprise::texts(plan, &hasher),
            names: looked_at.then(|| NameSets::new(hasher, tells_of_the_client)),
            fans_out: fan_out::is_on(plan),
            sessions: NameHasher::new(secret),
        }
    }

    /// Takes the proxy's secret anew.
    pub fn set_secret(&mut self, secret: u64) {
        self.sessions = NameHasher::new(secret);
    }

    /// Reads the headers.
    #[must_use]
    pub fn read(&mut self, plan: &Plan, headers: &Headers) -> Request {
        let names = headers.iter().map(|header| header.0);
        let names = self.names.as_mut().map(|sets| sets.of(names));
        Request {
            names,
            ..self.read_late(plan, headers)
        }
    }

    /// Reads the headers of a request that is over: the router has added to their names.
    #[must_use]
    pub fn read_late(&self, plan: &Plan, headers: &Headers) -> Request {
        let mut request = Request::default();
        if let Some(texts) = &self.texts {
            let named = |(name, value)| Some((core::str::from_utf8(name).ok()?, value));
            texts.read(headers.iter().filter_map(named), &mut request.looks);
        }
        let mut clients = Clients::default();
        let by_client = plan.session == SessionSource::Client;
        let (mut id, mut trace): (&[u8], &[u8]) = (&[], &[]);
        for header in headers {
            if self.fans_out
                && request.traced_as.len() < fan_out::MAX_NAMES
                && let Some(name) = fan_out::name(header)
                && !request.traced_as.contains(&name)
            {
                request.traced_as.push(name);
            }
            if by_client {
                clients.read(&self.sessions, header);
            } else {
                request.session = request
                    .session
                    .or_else(|| session(plan, &self.sessions, header));
            }
            if header.0 == b"x-request-id" {
                id = header.1;
            } else {
                if header.0 == b"traceparent" {
                    trace = header.1;
                }
                request.add(header);
            }
        }
        if by_client {
            request.session = clients.client();
        }
        if request.attempt.is_some() && ids::is_request_id(id) {
            request.id = Some(self.sessions.hash_bytes(id));
        }
        if plan.examples {
            request.found_by = Id::clean(id);
            if !ids::is_request_id(request.found_by.as_str().as_bytes()) {
                request.found_by = Id::clean(ids::trace_in_parent(trace).unwrap_or_default());
            }
        }
        request.left_alone =
            envoy::is_left_alone(request.method.as_bytes(), request.left_alone, None);
        request
    }
}

impl Request {
    fn add(&mut self, (name, value): Header<'_>) {
        match name {
            b":method" => self.method = method(value),
            b":path" => self.path = text(value).into_owned(),
            b"upgrade" => self.left_alone = true,
            b"content-type" => self.grpc = envoy::is_grpc(value),
            b"content-length" => self.bytes = number(value),
            b"x-envoy-attempt-count" => self.attempt = number(value),
            // Envoy takes names that are text only.
            _ if name.starts_with(HEADER_PREFIX.as_bytes()) => {
                self.forged.extend(String::from_utf8(name.to_vec()));
            }
            _ => {}
        }
    }
}

/// A method; the usual ones without an allocation.
fn method(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Borrowed(match bytes {
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"PATCH" => "PATCH",
        b"OPTIONS" => "OPTIONS",
        _ => return Cow::Owned(text(bytes).into_owned()),
    })
}

/// A path or a method.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..MAX_PATH_BYTES).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Request {
        read_bytes(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        )
    }

    fn read_bytes<'a>(headers: impl IntoIterator<Item = Header<'a>>) -> Request {
        let plan = Plan::from_json("{}").unwrap();
        Reader::new(&plan, NameHasher::new(1), 1).read(&plan, &Headers::of(headers))
    }

    #[test]
    fn what_is_not_an_exchange_is_left_alone() {
        assert!(read(&[(":method", "GET"), ("upgrade", "websocket")]).left_alone);
        assert!(read(&[(":method", "CONNECT")]).left_alone);
        assert!(!read(&[(":authority", "shop:8080"), (":method", "GET")]).left_alone);
    }

    #[test]
    fn a_host_does_not_opt_out() {
        // Envoy names the host of what it mirrors so, and anybody else can.
        assert!(!read(&[(":authority", "shop-shadow:8080"), (":method", "GET")]).left_alone);
    }

    #[test]
    fn headers_that_only_serin_may_set_are_found() {
        let request = read(&[
            ("x-serin-steer", "v2"),
            ("x-request-id", "1"),
            ("x-serin-x", ""),
        ]);
        assert_eq!(request.forged, ["x-serin-steer", "x-serin-x"]);
    }

    #[test]
    fn attempts_of_one_request_have_its_id_in_common() {
        let id = |attempt: Option<&str>, id: &str| {
            let attempt = attempt.map(|number| ("x-envoy-attempt-count", number));
            let headers: Vec<_> = attempt.into_iter().chain([("x-request-id", id)]).collect();
            read(&headers).id
        };
        let uuid = "9c1b0f6e-5a7d-4e0b-8f4e-2f6f0d8d2a11";
        assert!(id(Some("1"), uuid).is_some());
        assert_eq!(id(Some("1"), uuid), id(Some("2"), uuid));
        assert_ne!(id(Some("1"), uuid), id(Some("1"), &uuid.replace('9', "8")));
        // Nobody counts attempts.
        assert_eq!(id(None, uuid), None);
        assert_eq!(id(Some("2"), "00000000-0000-0000-0000-000000000000"), None);
    }

    #[test]
    fn a_request_is_found_by_its_id_else_by_its_trace() {
        let found_by = |headers: &[(&str, &str)]| read(headers).found_by.to_string();
        let uuid = "9c1b0f6e-5a7d-4e0b-8f4e-2f6f0d8d2a11";
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let with = |id: &str| found_by(&[("x-request-id", id), ("traceparent", &parent)]);
        assert_eq!(with(uuid), uuid);
        for placeholder in ["", "null", "0", "\u{1b}[2J9c1b0f6e"] {
            assert_eq!(with(placeholder), trace);
        }
        assert_eq!(with("9c1b0f6e-5a7d\u{202e}"), "9c1b0f6e-5a7d");
        assert_eq!(with(&"x1".repeat(5_000)), "x1".repeat(32));
        for parent in [
            "",
            "00",
            "00-xyz-1-01",
            "00-00000000000000000000000000000000-1-01",
        ] {
            assert_eq!(found_by(&[("traceparent", parent)]), "");
        }
        let plan = Plan::from_json(r#"{"examples": false}"#).unwrap();
        let headers = Headers::of([(&b"x-request-id"[..], uuid.as_bytes())]);
        let request = Reader::new(&plan, NameHasher::new(1), 1).read(&plan, &headers);
        assert!(request.found_by.is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert!(
            read_bytes([(&b":path"[..], &b"/\xff\xfe"[..])])
                .path
                .starts_with('/')
        );
        assert!(
            read_bytes([(&b"x-serin-\xff"[..], &b""[..])])
                .forged
                .is_empty()
        );
        let long = vec![b'a'; 1 << 20];
        assert_eq!(
            read_bytes([(&b":path"[..], &long[..])]).path.len(),
            MAX_PATH_BYTES
        );
    }
}
