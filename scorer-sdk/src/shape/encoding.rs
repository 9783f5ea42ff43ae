//! How bodies are compressed, by the header `content-encoding`.

use super::LeftOut;

/// A way of compressing that is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// gzip (RFC 1952), of one member or of several.
    Gzip,
    /// DEFLATE in a zlib stream (RFC 1950), as HTTP has it, or bare (RFC 1951), as some servers send
    /// it.
    Deflate,
}

impl Encoding {
    /// What the header `content-encoding` (empty where missing) says; `None` of a body that is not
    /// compressed.
    ///
    /// # Errors
    /// When it is compressed in a way that is not undone.
    pub fn of(content_encoding: &str) -> Result<Option<Self>, LeftOut> {
        let name = content_encoding.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if name.is_empty() || is("identity") {
            Ok(None)
        } else if is("gzip") || is("x-gzip") {
            Ok(Some(Self::Gzip))
        } else if is("deflate") {
            Ok(Some(Self::Deflate))
        } else if is("br") {
            Err(LeftOut::Brotli)
        } else if is("zstd") {
            Err(LeftOut::Zstd)
        } else {
            Err(LeftOut::OtherEncoding)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_that_is_not_undone_says_which_one_it_is() {
        let cases = [
            ("", Ok(None)),
            (" Identity ", Ok(None)),
            ("gzip", Ok(Some(Encoding::Gzip))),
            ("X-GZIP", Ok(Some(Encoding::Gzip))),
            ("deflate", Ok(Some(Encoding::Deflate))),
            ("br", Err(LeftOut::Brotli)),
            ("zstd", Err(LeftOut::Zstd)),
            ("gzip, gzip", Err(LeftOut::OtherEncoding)),
            ("compress", Err(LeftOut::OtherEncoding)),
        ];
        for (header, encoding) in cases {
            assert_eq!(Encoding::of(header), encoding, "{header}");
        }
    }
}
