//! Shared code of the tests of files, locks and signals: servers with data of a given size, and checks of what runs
//! leave.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::Ran;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, Setup, StandIn};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A server with one collection, `vectors`, whose snapshots have this many incompressible bytes.
pub fn server_of(size_bytes: u64) -> StandIn {
    StandIn::start(Setup::empty().collection(collection_of("vectors", size_bytes)))
}

pub fn collection_of(name: &str, size_bytes: u64) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(size_bytes).kind(FillKind::Random))
}

/// Writes a file for a test.
#[expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]
#[track_caller]
pub fn put(path: &Path, contents: impl AsRef<[u8]>) {
    fs::write(path, contents).expect("a test's file can be written");
}

pub fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Modifies a JSON file.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = json(path);
    change(&mut value);
    put(path, value.to_string());
}

/// Everything below `root`: directories, links with their target, and files with their digest.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("a directory can be listed") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            let kind = fs::symlink_metadata(&path).expect("metadata").file_type();
            if kind.is_dir() {
                found.insert(format!("{name}/"), String::new());
                left.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).expect("a link");
                found.insert(name, target.to_string_lossy().into_owned());
            } else {
                found.insert(name, hex::encode(Sha256::digest(fs::read(&path).expect("a file"))));
            }
        }
    }
    found
}

/// The log's lines without their times, each checked for its format: `INFO: Backed up …`.
#[track_caller]
pub fn log_lines(ran: &Ran) -> Vec<String> {
    ran.stderr
        .lines()
        .map(|line| log_line(line).unwrap_or_else(|| panic!("not a log line: {line:?}")))
        .collect()
}

/// `[2025-07-15 14:30:00] INFO: text` without the time. None for any other line.
pub fn log_line(line: &str) -> Option<String> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let levels = ["ERROR: ", "WARN: ", "INFO: ", "DEBUG: ", "TRACE: "];
    (shape == "0000-00-00 00:00:00" && levels.iter().any(|level| text.starts_with(level)))
        .then(|| text.to_owned())
}

/// Fails the test unless the log is exactly one line that contains all of `parts`.
#[track_caller]
pub fn one_line(ran: &Ran, parts: &[&str]) {
    let lines = log_lines(ran);
    assert_eq!(lines.len(), 1, "one line was expected:\n{}", ran.stderr);
    for part in parts {
        assert!(lines[0].contains(part), "{part:?} is not in: {}", lines[0]);
    }
}

/// Violations of the schema in `docs/schema` by a file of ours.
pub fn schema_problems(schema: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(schema);
    let validator = jsonschema::validator_for(&json(&path)).expect("a schema");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The requests so far with this method whose path contains this text, for example
/// `POST /collections/vectors/snapshots`.
pub fn asked(server: &StandIn, method: &str, part: &str) -> Vec<String> {
    let matching = server.requests_matching(method, part);
    matching.iter().map(|request| format!("{} {}", request.method, request.path_and_query)).collect()
}

/// An empty list, for comparisons.
pub fn none() -> Vec<String> {
    Vec::new()
}
