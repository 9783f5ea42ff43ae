//! What a server asks for before it answers: headers, a bearer token, a certificate to trust.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Largest file of certificates, in bytes: a bundle of all public authorities has 250 kB.
const MAX_CERTIFICATES: u64 = 4 << 20;
/// Longest token, in bytes: more than a server takes as a header.
const MAX_TOKEN: u64 = 16 << 10;

/// How the servers that a command asks are spoken to.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// Sent with each request, such as 'X-Scope-OrgID: shop'
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Sent with each request as a bearer token; the file is read anew each time
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<String>,
    /// Authorities, in PEM, that alone may vouch for an https:// server; the public ones without it
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<String>,
}

impl Access {
    /// Whose certificates are accepted.
    ///
    /// # Errors
    /// When the file cannot be read, or has no certificate.
    pub(super) fn tls(&self) -> Result<TlsConfig> {
        let Some(path) = &self.ca_cert else {
            return Ok(TlsConfig::default());
        };
        let text = read(path, MAX_CERTIFICATES)?;
        let mut certificates = Vec::new();
        for item in parse_pem(text.as_bytes()) {
            let item = item.with_context(|| format!("{path} is no PEM"))?;
            if let PemItem::Certificate(certificate) = item {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            bail!(
                "{path} has no certificate: it has to have some in PEM, -----BEGIN CERTIFICATE-----"
            );
        }
        let roots = RootCerts::Specific(Arc::new(certificates));
        Ok(TlsConfig::builder().root_certs(roots).build())
    }

    /// What is sent with one request. The token is read anew, because clusters replace it.
    ///
    /// # Errors
    /// When the token cannot be read, or cannot be sent.
    pub(super) fn headers(&self) -> Result<Vec<(String, String)>> {
        let mut headers = self.header.clone();
        if let Some(path) = &self.token_file {
            let token = read_token(path)?;
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        Ok(headers)
    }

    /// The options that make a request like these, without what is secret.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let headers = self
            .header
            .iter()
            .map(|(name, _)| format!("--header '{name}: …'"));
        let files = [
            ("--token-file", &self.token_file),
            ("--ca-cert", &self.ca_cert),
        ];
        let files = files
            .into_iter()
            .filter_map(|(option, path)| Some(format!("{option} {}", path.as_ref()?)));
        headers.chain(files).collect()
    }
}

/// The one token in a file.
///
/// # Errors
/// When the file cannot be read, or has no token that can be sent.
pub(crate) fn read_token(path: &str) -> Result<String> {
    let text = read(path, MAX_TOKEN)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{path} has to have one token, of printable ASCII without spaces");
    }
    Ok(token.to_owned())
}

/// The text of a file of at most `limit` bytes.
fn read(path: &str, limit: u64) -> Result<String> {
    let mut text = String::new();
    File::open(path)
        .with_context(|| format!("cannot open {path}"))?
        .take(limit + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {path}"))?;
    if text.len() as u64 > limit {
        bail!("{path} has more than {limit} bytes");
    }
    Ok(text)
}

/// Reads a header such as `X-Scope-OrgID: shop`.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| "write it as NAME: VALUE".to_owned())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("{name:?} is no name of a header"));
    }
    if !value
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return Err("a value has to be of printable ASCII".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
