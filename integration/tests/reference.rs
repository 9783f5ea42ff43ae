//! Pages of the reference that are made from the code: each test compares one with the file.

use anyhow::{Result, ensure};
use serin_integration::envoy::workspace;
use std::fs;

/// Set to write the pages in place of comparing them.
const WRITE: &str = "SERIN_WRITE_REFERENCE";

/// Checks that the file `page` has the text that the code makes, or writes it: `make reference`.
pub(crate) fn hold(page: &str, expected: &str) -> Result<()> {
    let path = workspace().join(page);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, expected)?;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        found == expected,
        "{page} differs from the code; `make reference` writes it again"
    );
    Ok(())
}
