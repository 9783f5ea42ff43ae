//! What a file is, by its first bytes, when it is not the text that was hoped for.

/// Byte order mark of UTF-8; some editors put it before a text.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// First bytes, what has them, and the command that makes a text of it.
const KNOWN: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "compressed with gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc"),
    (b"\xfd7zXZ\0", "compressed with xz", "xz -dc"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
    (b"\xff\xfe", "a text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "a text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
];

/// Says what a file is that begins with `head`, and the repair; `None` for what may be a text.
#[must_use]
pub fn no_text(head: &[u8]) -> Option<String> {
    KNOWN
        .iter()
        .find(|(magic, _, _)| head.starts_with(magic))
        .map(|(_, what, command)| {
            format!("is {what}: make it plain text with `{command}`, through a pipe and `-` if it is large")
        })
}

/// As [`no_text`], and knows the JSON files that are no recording.
#[must_use]
pub fn no_recording(head: &[u8]) -> Option<String> {
    if let Some(problem) = no_text(head) {
        return Some(problem);
    }
    let text = head
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(head)
        .trim_ascii_start();
    if text.starts_with(b"{\"serin_snapshot\"") {
        return Some("is a snapshot and no recording: `serin explain` shows it".to_owned());
    }
    let inside = text.strip_prefix(b"[")?.trim_ascii_start();
    let array = inside.is_empty() || inside.starts_with(b"{") || inside.starts_with(b"]");
    array.then(|| {
        "is one JSON array: a recording has one object a line, as `jq -c '.[]'` makes them"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_told_with_its_repair() {
        for (head, word) in [
            (&b"\x1f\x8b\x08\0"[..], "gzip -dc"),
            (b"\xff\xfe{\0", "iconv"),
            (b"[{\"start\":1}]", "jq -c '.[]'"),
            (b"\xef\xbb\xbf [\n  {", "jq -c '.[]'"),
            (b"{\"serin_snapshot\":1", "serin explain"),
        ] {
            assert!(no_recording(head).unwrap().contains(word), "{head:?}");
        }
        for head in [
            &b""[..],
            b"\xef\xbb\xbf{\"start\":1}",
            b"{\"start\":1}",
            b"[2026-02-03T04:05:06Z] \"GET /",
            b"\0\0\0\0",
        ] {
            assert_eq!(no_recording(head), None, "{head:?}");
        }
    }
}
