//! The module does not grow unnoticed: V8 compiles all of it before Envoy is ready.

use std::fs;

use anyhow::{Context as _, Result};
use serin_integration::envoy::workspace;

/// What was promised. Whoever needs more says in the commit what for.
const MOST_BYTES: u64 = 1_010_000;

#[test]
fn the_module_keeps_to_its_budget() -> Result<()> {
    let module = workspace().join("target/serin.wasm");
    let bytes = fs::metadata(&module)
        .with_context(|| format!("no filter at {}; run `make wasm`", module.display()))?
        .len();
    assert!(
        bytes <= MOST_BYTES,
        "target/serin.wasm has {bytes} bytes and may have {MOST_BYTES}: see docs/costs.md for what \
         takes most of it"
    );
    Ok(())
}
