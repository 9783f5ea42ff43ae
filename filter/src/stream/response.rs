//! What is kept of a response from its headers.

use crate::host::{Headers, Host};
use crate::stream::local_reply::{SERVICE_TIME, SERVICE_TIME_NAME};
use crate::stream::name_sets::{NameSet, NameSets};
use crate::stream::texts::Texts;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::telemetry::HEADER_PREFIX;
use scorer_sdk::wire::envoy::{grpc_status_of_header, is_grpc};
use std::rc::Rc;

/// Status of a guard's refusal.
pub(super) const REFUSED: u16 = 503;
/// gRPC status of a guard's refusal.
const GRPC_REFUSED: u16 = 14;

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    /// Status; `None` when there was no response.
    pub status: Option<u16>,
    /// Announced length of the body.
    pub content_length: Option<u64>,
    /// gRPC status in the headers: a response without a body.
    pub grpc_status: Option<u16>,
    /// Whether the content type is gRPC.
    pub grpc: bool,
    /// Whether the proxy's router put the upstream's time on it: an upstream answered.
    pub(super) has_service_time: bool,
    /// Media type with its parameters; `None` where there is none.
    pub(super) content_type: Option<Rc<str>>,
    /// How the body is encoded; `None` where it is not.
    pub(super) content_encoding: Option<Rc<str>>,
    /// Names of the application's headers; `None` when there was no response.
    pub(super) names: Option<Rc<NameSet>>,
    /// Headers that belong to Serin: no part of what the application said.
    own: Vec<(String, Vec<u8>)>,
}

/// Reads responses.
#[derive(Debug)]
pub struct Reader {
    names: NameSets,
    texts: Texts,
}

impl Reader {
    /// A reader that has seen nothing. Others choose the names of headers, so `hasher` is keyed.
    #[must_use]
    pub fn new(hasher: NameHasher) -> Self {
        Self {
            names: NameSets::new(hasher, |name| !name.starts_with(HEADER_PREFIX.as_bytes())),
            texts: Texts::default(),
        }
    }

    /// Reads the headers.
    #[must_use]
    pub fn read(&mut self, headers: &Headers) -> Response {
        let names = headers.iter().map(|header| header.0);
        let mut response = Response {
            names: Some(self.names.of(names)),
            ..Response::default()
        };
        for (name, value) in headers {
            match name {
                b":status" => response.status = number(value),
                b"content-length" => response.content_length = number(value),
                b"grpc-status" => response.grpc_status = Some(grpc_status_of_header(value)),
                b"content-type" => {
                    response.grpc = is_grpc(value);
                    response.content_type = Some(self.texts.of(value));
                }
                SERVICE_TIME => response.has_service_time = true,
                b"content-encoding" => response.content_encoding = Some(self.texts.of(value)),
                _ if name.starts_with(HEADER_PREFIX.as_bytes()) => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    response.own.push((name, value.to_vec()));
                }
                _ => {}
            }
        }
        // Elsewhere it is no more than a header: gRPC-Web has its status in the body.
        response.grpc_status = response.grpc_status.filter(|_| response.grpc);
        response
    }
}

impl Response {
    /// What tells whether the proxy answered by itself, of a response that is over.
    #[must_use]
    pub(super) fn with_status(host: &impl Host, status: u16) -> Self {
        Self {
            status: Some(status),
            has_service_time: host.response_header(SERVICE_TIME_NAME).is_some(),
            ..Self::default()
        }
    }

    /// Drops what nobody asks for later: a response may take hours.
    pub fn forget_values(&mut self) {
        self.own = Vec::new();
    }

    /// Names of the headers of Serin's own that were there when the headers were read.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(|header| header.0.as_str())
    }

    /// Whether a guard's refusal looks like this: 503, or UNAVAILABLE for gRPC.
    #[must_use]
    pub fn may_be_refusal(&self) -> bool {
        self.status == Some(REFUSED) || self.grpc_status == Some(GRPC_REFUSED)
    }

    /// Whether a header of Serin's own was there when the headers were read.
    #[must_use]
    pub fn has_own(&self, name: &str) -> bool {
        self.own.iter().any(|header| header.0 == name)
    }

    /// Takes the value of a header of Serin's own.
    pub fn take_own(&mut self, name: &str) -> Option<Vec<u8>> {
        let index = self.own.iter().position(|header| header.0 == name)?;
        Some(self.own.swap_remove(index).1)
    }

    /// Media type with its parameters; empty where there is none.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or_default()
    }

    /// How the body is encoded; empty where it is not.
    #[must_use]
    pub fn content_encoding(&self) -> &str {
        self.content_encoding.as_deref().unwrap_or_default()
    }
}

/// A number in a header.
pub(super) fn number<T: core::str::FromStr>(value: &[u8]) -> Option<T> {
    core::str::from_utf8(value).ok()?.trim().parse().ok()
}
