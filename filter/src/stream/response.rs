//! What is kept of a response from its headers.

use crate::host::{Header, Headers};
use crate::stream::local_reply::SERVICE_TIME;
use crate::stream::request::is_grpc;
use scorer_sdk::HeaderNames;
use scorer_sdk::telemetry::HEADER_PREFIX;
use std::borrow::Cow;

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
    /// Indices of the content type and the content encoding among the headers.
    content_type: Option<usize>,
    content_encoding: Option<usize>,
    headers: Headers,
    /// Headers that belong to Serin: no part of what the application said.
    own: Vec<Header>,
}

impl Response {
    /// Reads the headers.
    #[must_use]
    pub fn read(mut headers: Headers) -> Self {
        let own = headers
            .extract_if(.., |header| header.0.starts_with(HEADER_PREFIX))
            .collect();
        let mut response = Self {
            own,
            ..Self::default()
        };
        for (index, (name, value)) in headers.iter().enumerate() {
            match name.as_str() {
                ":status" => response.status = number(value),
                "content-length" => response.content_length = number(value),
                "grpc-status" => response.grpc_status = number(value),
                "content-type" => {
                    response.grpc = is_grpc(value);
                    response.content_type = Some(index);
                }
                SERVICE_TIME => response.has_service_time = true,
                "content-encoding" => response.content_encoding = Some(index),
                _ => {}
            }
        }
        response.headers = headers;
        response
    }

    /// Drops the values that nobody asks for later: a response may take hours.
    pub fn forget_values(&mut self) {
        let asked = [self.content_type, self.content_encoding];
        for (index, header) in self.headers.iter_mut().enumerate() {
            if !asked.contains(&Some(index)) {
                header.1 = Vec::new();
            }
        }
        self.own = Vec::new();
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
    pub fn content_type(&self) -> Cow<'_, str> {
        self.text(self.content_type)
    }

    /// How the body is encoded; empty where it is not.
    #[must_use]
    pub fn content_encoding(&self) -> Cow<'_, str> {
        self.text(self.content_encoding)
    }

    fn text(&self, index: Option<usize>) -> Cow<'_, str> {
        index
            .and_then(|index| self.headers.get(index))
            .map(|header| String::from_utf8_lossy(&header.1))
            .unwrap_or_default()
    }
}

impl HeaderNames for Response {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        for (name, _) in &self.headers {
            visitor(name);
        }
    }
}

fn number<T: core::str::FromStr>(value: &[u8]) -> Option<T> {
    core::str::from_utf8(value).ok()?.trim().parse().ok()
}
