//! Pages over HTTP, with a limit on their time and length.
//!
//! Plain HTTP only: admin and metrics addresses are of that kind, behind a port that was forwarded
//! where they are in a cluster. No redirect is followed and no proxy is used, so that what is asked
//! is what was named.

use crate::output::{note, plain};
use anyhow::{Context, Result, bail};
use std::sync::Once;
use std::time::Duration;

/// Longest time that one page may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest page that is read, in bytes.
const MAX_PAGE: u64 = 32 << 20;
/// Says once that a page is not UTF-8.
static NOT_UTF8: Once = Once::new();

/// Asks for pages.
#[derive(Debug, Clone)]
pub struct Fetcher(ureq::Agent);

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
    #[must_use]
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Self(config.into())
    }

    /// The page at `url`, which begins with `http://`.
    ///
    /// # Errors
    /// When there is no answer, or it takes too long or is too large.
    pub fn get(&self, url: &str) -> Result<Page> {
        let mut response = self
            .0
            .get(url)
            .call()
            .with_context(|| format!("cannot look at {url}"))?;
        let date = response
            .headers()
            .get("date")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MAX_PAGE)
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
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

/// The part of `url` before its path, and the path with its query; empty where there is none.
///
/// # Errors
/// When it does not begin with `http://` and a host.
pub fn split(url: &str) -> Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!(
            "{url} has to begin with http://: admin and metrics addresses are of that kind, \
             behind kubectl port-forward where they are in a cluster"
        );
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        bail!("{url} names no host: write it as http://127.0.0.1:9901");
    }
    let (base, path) = url
        .split_at_checked("http://".len() + host.len())
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
        ] {
            assert_eq!(split(url).unwrap(), parts);
        }
        for url in ["https://a", "a:1", "http://", "http:///b"] {
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
