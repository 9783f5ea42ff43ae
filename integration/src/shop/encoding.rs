//! How the shop compresses the JSON of its answers.

use std::io::{self, Write};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

/// How the JSON of the answers is compressed, whatever the client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Plain,
    /// As gzip.
    Gzip,
    /// It says `br`; nobody here looks into the body, which is left as it is.
    Brotli,
    /// [`bomb`], in place of each body.
    Bomb,
}

/// Bytes that come out of [`bomb`].
pub const BOMB_CONTENT: usize = 100_000_000;

/// gzip of [`BOMB_CONTENT`] bytes of white space before a number: a thousandth of that.
static BOMB: LazyLock<io::Result<Bytes>> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let space = vec![b' '; 1_000_000];
    for _ in 0..BOMB_CONTENT / space.len() {
        encoder.write_all(&space)?;
    }
    encoder.write_all(b"1")?;
    Ok(encoder.finish()?.into())
});

/// A small body that is large when it is decompressed.
///
/// # Errors
/// When it cannot be made.
pub fn bomb() -> Result<Bytes> {
    let bomb = BOMB.as_ref();
    bomb.cloned().ok().context("make the bomb")
}

/// An answer whose JSON is compressed.
pub(super) async fn encode(
    encoding: Encoding,
    answer: Response<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>> {
    let content_type = answer.headers().get(CONTENT_TYPE);
    let is_json = content_type.is_some_and(|value| value.as_bytes().ends_with(b"json"));
    if encoding == Encoding::Plain || !is_json {
        return Ok(answer);
    }
    let (mut head, body) = answer.into_parts();
    let Ok(body) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let (name, body) = match encoding {
        Encoding::Gzip => ("gzip", gzip(&body).context("compress")?),
        Encoding::Bomb => ("gzip", bomb()?),
        Encoding::Brotli => ("br", body),
        Encoding::Plain => return Ok(Response::from_parts(head, Full::new(body))),
    };
    head.headers
        .insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    // Hyper writes the new one.
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, Full::new(body)))
}

fn gzip(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}
