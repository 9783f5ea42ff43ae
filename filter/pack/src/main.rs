//! `serin-pack IN OUT`: reads the module that cargo built, writes the one that ships, and prints
//! the size of both.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serin_pack::{KEEP, pack};

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = paths.as_slice() else {
        eprintln!("usage: serin-pack IN OUT");
        return ExitCode::from(2);
    };
    match run(Path::new(input), Path::new(output)) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("serin-pack: {}: {error:#}", Path::new(input).display());
            ExitCode::FAILURE
        }
    }
}

fn run(input: &Path, output: &Path) -> Result<String> {
    let built = std::fs::read(input).context("cannot be read")?;
    let packed = pack(&built, KEEP)?;
    std::fs::write(output, &packed)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    Ok(format!(
        "{}: {} bytes built, {} bytes packed",
        output.display(),
        built.len(),
        packed.len()
    ))
}
