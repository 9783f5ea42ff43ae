//! `serin-pack [--names] IN OUT`: reads the module that cargo built, writes the one that ships, and
//! prints the size of both. With `--names` the functions keep their names, for a profiler; the code is
//! the same.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serin_pack::{KEEP, Names, pack};

fn main() -> ExitCode {
    let mut paths: Vec<_> = std::env::args_os().skip(1).collect();
    let names = if paths.first().is_some_and(|first| first == "--names") {
        paths.remove(0);
        Names::Kept
    } else {
        Names::Dropped
    };
    let [input, output] = paths.as_slice() else {
        eprintln!("usage: serin-pack [--names] IN OUT");
        return ExitCode::from(2);
    };
    match run(Path::new(input), Path::new(output), names) {
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

fn run(input: &Path, output: &Path, names: Names) -> Result<String> {
    let built = std::fs::read(input).context("cannot be read")?;
    let packed = pack(&built, KEEP, names)?;
    std::fs::write(output, &packed)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    Ok(format!(
        "{}: {} bytes built, {} bytes packed",
        output.display(),
        built.len(),
        packed.len()
    ))
}
