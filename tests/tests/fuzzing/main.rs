//! Runs all fuzz targets without a fuzzer: on the inputs in `fuzz/corpus`, on genuine ones, and on a few thousand
//! mutations of both. The inputs are the same every time.

mod change;
mod genuine;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qdrant_backup_shared::atomic;
use qdrant_backup_shared::fuzzing::Target;
use sha2::{Digest, Sha256};

use change::Changer;

/// A target that takes longer than this on the slowest machine hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);
/// Maximum size of the corpus, which every clone and every run contains.
const FILES_MAX: usize = 300;
const BYTES_MAX: usize = 1 << 20;

fn targets() -> impl Iterator<Item = Target> {
    let all = [
        qdrant_backup_shared::fuzzing::TARGETS,
        qdrant_backup_runner::fuzzing::TARGETS,
        qdrant_backup_exporter::fuzzing::TARGETS,
    ];
    all.into_iter().flatten().copied()
}

/// One test per target, with the number of changed inputs: fewer for targets that are slow without optimization.
macro_rules! tested {
    ($($target:ident: $changes:literal,)*) => {
        const TESTED: &[&str] = &[$(stringify!($target),)*];

        mod no_input_breaks {
            $(#[test] fn $target() { super::run(stringify!($target), $changes); })*
        }
    };
}

tested! {
    certificate: 10_000,
    configuration: 1_000,
    cron: 150,
    env_file: 2_000,
    gzip: 500,
    manifest: 2_000,
    name: 4_000,
    points: 2_000,
    qdrant_answer: 1_000,
    record: 2_000,
    request: 500,
    request_head: 4_000,
    restic_answer: 2_000,
    server_name: 2_000,
    snapshot: 500,
    status: 1_000,
    web_configuration: 1_000,
    zstd: 500,
}

fn run(name: &'static str, changes: usize) {
    let (_, take) = targets().find(|(target, _)| *target == name).expect("the target is in the table");
    let mut inputs = kept(name);
    inputs.extend(genuine::inputs(name));
    assert!(!inputs.is_empty(), "{name} has no inputs");
    let (current, (taken, progress)) = (Arc::new(Mutex::new(Vec::new())), mpsc::channel());
    let under_way = Arc::clone(&current);
    // Runs in a separate thread, which is abandoned if it hangs.
    let worker = std::thread::spawn(move || {
        let mut changer = Changer::default();
        let as_they_are = inputs.iter().cloned().map(Some);
        for input in as_they_are.chain(std::iter::repeat_n(None, changes)) {
            let input = input.unwrap_or_else(|| changer.change(&inputs));
            under_way.lock().unwrap().clone_from(&input);
            take(&input);
            taken.send(()).unwrap();
        }
    });
    let trouble = loop {
        match progress.recv_timeout(HANGS_AFTER) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) if worker.join().is_ok() => return,
            Err(RecvTimeoutError::Disconnected) => break "breaks",
            Err(RecvTimeoutError::Timeout) => break "hangs",
        }
    };
    let path = keep(name, &current.lock().unwrap());
    panic!(
        "{name} {trouble} over {}; once that is fixed, add the file to fuzz/corpus/{name}",
        path.display()
    );
}

/// Saves an input for inspection.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzzing").join(name);
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(hex::encode(&Sha256::digest(input)[..8]));
    atomic::write(&path, 0o644, input).unwrap();
    path
}

/// The inputs in `fuzz/corpus`, sorted by name.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let mut files = entries(&repository().join("fuzz/corpus").join(name));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn libfuzzer_has_the_targets_that_are_tested_here_and_no_inputs_of_others() {
    let stems = |directory: &str| -> BTreeSet<String> {
        let files = entries(&repository().join("fuzz").join(directory));
        files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let tested: BTreeSet<String> = TESTED.iter().map(|name| (*name).to_owned()).collect();
    let declared: BTreeSet<String> = targets().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(tested, declared);
    assert_eq!(tested, stems("fuzz_targets"));
    let strangers: Vec<String> = stems("corpus").difference(&tested).cloned().collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn the_inputs_that_are_kept_stay_few_and_small() {
    let inputs: Vec<Vec<u8>> = TESTED.iter().flat_map(|name| kept(name)).collect();
    let bytes: usize = inputs.iter().map(Vec::len).sum();
    assert!(inputs.len() < FILES_MAX && bytes < BYTES_MAX, "{} files, {bytes} bytes", inputs.len());
}
