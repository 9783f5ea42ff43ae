//! The token without which the fleet's verdict is not told.

use crate::fetch::access::read_token;

/// Whether a request's `Authorization` header has the token of this file. The file is read anew,
/// because clusters replace it. Without a file there is nothing to show.
///
/// # Errors
/// When the file cannot be read, or has no token: nobody is let in then.
pub fn is_allowed(file: Option<&str>, header: Option<&[u8]>) -> anyhow::Result<bool> {
    let Some(file) = file else {
        return Ok(true);
    };
    let expected = format!("Bearer {}", read_token(file)?);
    Ok(header.is_some_and(|given| is_same(given, expected.as_bytes())))
}

/// Compares in a time that depends on the lengths alone.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let file = path.to_str();
        for (header, allowed) in [
            (Some("Bearer s3cret"), true),
            (Some("Bearer s3cre"), false),
            (Some("Bearer s3crets"), false),
            (Some("s3cret"), false),
            (None, false),
        ] {
            let header = header.map(str::as_bytes);
            assert_eq!(is_allowed(file, header).unwrap(), allowed, "{header:?}");
        }
        assert!(is_allowed(None, None).unwrap());
        assert!(is_allowed(Some("/nowhere"), Some(b"Bearer ")).is_err());
    }
}
