//! Pages over HTTP and HTTPS, with a limit on their time and length.
//!
//! No redirect is followed and no proxy is used, so that what is asked is what was named, and nobody
//! else is sent a token.

pub(crate) mod access;

pub use access::Access;

use crate::output::{note, plain};
use anyhow::{Context, Result, bail};
use std::error::Error;
use std::sync::Once;
use std::time::Duration;
use ureq::Body;
use ureq::http::Response;

/// Longest time that one page may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest page that is read, in bytes.
const MAX_PAGE: u64 = 32 << 20;
/// Says once that a page is not UTF-8.
static NOT_UTF8: Once = Once::new();

/// Asks for pages.
#[derive(Debug, Clone)]
pub struct Fetcher {
    agent: ureq::Agent,
    access: Access,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// The header `date`; empty where there is none.
    pub date: String,
    /// The body; what is not UTF-8 in it is replaced by U+FFFD.
    pub body: String,
}

impl Fetcher {
    /// One that keeps its connections.
    ///
    /// # Errors
    /// When the certificates of `access` cannot be used.
    pub fn new(access: &Access) -> Result<Self> {
        Self::with_timeout(access, TIMEOUT)
    }

    /// One that gives each page so much time.
    ///
    /// # Errors
    /// When the certificates of `access` cannot be used.
    pub fn with_timeout(access: &Access, timeout: Duration) -> Result<Self> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .tls_config(access.tls()?)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Ok(Self {
            agent: config.into(),
            access: access.clone(),
        })
    }

    /// The page at `url`, which begins with `http://` or `https://`.
    ///
    /// # Errors
    /// When there is no answer, or it takes too long or is too large.
    pub fn get(&self, url: &str) -> Result<Page> {
        let mut request = self.agent.get(url);
        for (name, value) in self.access.headers()? {
            request = request.header(name, value);
        }
        page(request.call(), "look at", url, MAX_PAGE)
    }

    /// The answer to a form at `url`, of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub fn post_form(&self, url: &str, form: &[(&str, &str)], limit: u64) -> Result<Page> {
        let mut request = self.agent.post(url);
        for (name, value) in self.access.headers()? {
            request = request.header(name, value);
        }
        page(request.send_form(form.iter().copied()), "ask", url, limit)
    }
}

fn page(
    answer: Result<Response<Body>, ureq::Error>,
    verb: &str,
    url: &str,
    limit: u64,
) -> Result<Page> {
    let mut response = match answer {
        Ok(response) => response,
        Err(error) => {
            let hint = hint(&error).unwrap_or_default();
            return Err(error).with_context(|| format!("cannot {verb} {url}{hint}"));
        }
    };
    let date = response
        .headers()
        .get("date")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = response
        .body_mut()
        .with_config()
        .limit(limit)
        .read_to_vec()
        .with_context(|| format!("cannot read {url}"))?;
    let body = String::from_utf8(bytes).unwrap_or_else(|error| {
        // Once: some commands look again and again.
        NOT_UTF8.call_once(|| {
            note(&format!(
                "{} is not all UTF-8: a label came with other bytes, which are shown as �",
                plain(url)
            ));
        });
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    });
    Ok(Page {
        status: response.status().as_u16(),
        date,
        body,
    })
}

/// What helps where TLS is the trouble.
fn hint(error: &ureq::Error) -> Option<&'static str> {
    let mut text = error.to_string();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        Some(" (--ca-cert names the certificate of a private authority)")
    } else if text.contains("corrupt message") || text.contains("InvalidContentType") {
        Some(" (it does not speak TLS: should the address begin with http://?)")
    } else {
        None
    }
}

/// The part of `url` before its path, and the path with its query; empty where there is none.
///
/// # Errors
/// When it does not begin with `http://` or `https://` and a host.
pub fn split(url: &str) -> Result<(&str, &str)> {
    let schemes = ["http://", "https://"];
    let Some((scheme, rest)) = schemes
        .iter()
        .find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?)))
    else {
        bail!("{url} has to begin with http:// or https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        bail!("{url} names no host: write it as http://127.0.0.1:9901");
    }
    let (base, path) = url
        .split_at_checked(scheme.len() + host.len())
        .unwrap_or((url, ""));
    Ok((base, if path == "/" { "" } else { path }))
}

/// `text` as a value in a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_before_its_path() {
        for (url, parts) in [
            ("http://a:1", ("http://a:1", "")),
            ("http://a:1/", ("http://a:1", "")),
            ("http://a/b?c", ("http://a", "/b?c")),
            ("http://a?c", ("http://a", "?c")),
            ("https://a:1/b", ("https://a:1", "/b")),
        ] {
            assert_eq!(split(url).unwrap(), parts);
        }
        for url in ["ftp://a", "a:1", "http://", "https:///b"] {
            assert!(split(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(
            encoded("{__name__=~\"serin_.+\"}"),
            "%7B__name__%3D~%22serin_.%2B%22%7D"
        );
    }
}
