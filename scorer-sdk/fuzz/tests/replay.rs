//! Every file of a corpus passes its target: what crashed once does not crash again.

use serin_fuzz::{Run, TARGETS};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn replay(name: &str, run: Run) -> io::Result<()> {
    let files = files(&format!("corpus/{name}"))?;
    assert!(!files.is_empty(), "{name} has no seeds");
    for file in files {
        // The last line before a panic names the input.
        println!("{}", file.display());
        run(&fs::read(&file)?);
    }
    run(b"");
    Ok(())
}

macro_rules! replays {
    ($($name:ident),+) => {
        $(
            #[test]
            fn $name() -> io::Result<()> {
                replay(stringify!($name), serin_fuzz::$name::run)
            }
        )+
        const REPLAYED: &[&str] = &[$(stringify!($name)),+];
    };
}

replays!(
    compressed_body,
    config,
    delta,
    engine,
    fan_out,
    fleet_answer,
    grpc_frames,
    header_map,
    json_body,
    memory,
    path_templates,
    recording,
    state
);

#[test]
fn every_target_has_a_program_a_corpus_and_a_replay() -> io::Result<()> {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.0.to_owned()).collect();
    for folder in ["fuzz_targets", "corpus"] {
        let found: BTreeSet<String> = files(folder)?
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        assert_eq!(found, names, "{folder}");
    }
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(replayed, names);
    Ok(())
}
