//! Which bodies have a shape.

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// JSON documents, one a line.
    JsonLines,
    /// gRPC messages: only counted and measured, by [`super::GrpcFrames`].
    Grpc,
}

impl Format {
    /// The format of a body by its header `content-type` (empty where missing); `None` where there
    /// is nothing to look at. [`super::Encoding`] says whether it is compressed.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        let ends = |suffix: &str| {
            let start = media_type.len().checked_sub(suffix.len());
            start
                .and_then(|start| media_type.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        let begins = |prefix: &str| {
            media_type
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if is("application/json") || is("text/json") || ends("+json") {
            Some(Self::Json)
        } else if [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
        ]
        .into_iter()
        .chain(["application/x-jsonlines", "application/jsonlines"])
        .any(is)
        {
            Some(Self::JsonLines)
        } else if is("application/grpc") || begins("application/grpc+") {
            Some(Self::Grpc)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_and_grpc_have_a_shape() {
        let json = Some(Format::Json);
        let cases = [
            ("application/json", json),
            ("Application/JSON; charset=utf-8", json),
            ("application/problem+json", json),
            ("application/x-ndjson", Some(Format::JsonLines)),
            ("application/grpc", Some(Format::Grpc)),
            ("application/grpc+proto", Some(Format::Grpc)),
            ("application/grpc-web-text", None),
            ("text/html", None),
            ("ü+json", json),
            ("json", None),
            ("", None),
        ];
        for (content_type, format) in cases {
            assert_eq!(Format::of(content_type), format, "{content_type}");
        }
    }
}
