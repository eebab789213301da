//! What the tests of files, locks and signals share: servers of a size, and looks at what runs left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::Ran;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, Setup, StandIn};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A server with one collection, `vectors`, whose snapshots have so many bytes that do not compress.
pub fn server_of(size_bytes: u64) -> StandIn {
    StandIn::start(Setup::empty().collection(collection_of("vectors", size_bytes)))
}

pub fn collection_of(name: &str, size_bytes: u64) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(size_bytes).kind(FillKind::Random))
}

/// Writes a file of a test's own.
#[expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]
#[track_caller]
pub fn put(path: &Path, contents: impl AsRef<[u8]>) {
    fs::write(path, contents).expect("a test's file can be written");
}

pub fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Changes a JSON file in place.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = json(path);
    change(&mut value);
    put(path, value.to_string());
}

/// Everything below `root`: directories (with nothing), links (with their target) and files (with their contents' digest).
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

/// The log's lines, each checked for its form, without their times: `INFO: Backed up …`.
#[track_caller]
pub fn log_lines(ran: &Ran) -> Vec<String> {
    ran.stderr
        .lines()
        .map(|line| log_line(line).unwrap_or_else(|| panic!("not a log line: {line:?}")))
        .collect()
}

/// `[2025-07-15 14:30:00] INFO: text` without the time; nothing for any other line.
pub fn log_line(line: &str) -> Option<String> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let levels = ["ERROR: ", "WARN: ", "INFO: ", "DEBUG: ", "TRACE: "];
    (shape == "0000-00-00 00:00:00" && levels.iter().any(|level| text.starts_with(level)))
        .then(|| text.to_owned())
}

/// Fails the test unless the log is exactly one line and holds all of `parts`.
#[track_caller]
pub fn one_line(ran: &Ran, parts: &[&str]) {
    let lines = log_lines(ran);
    assert_eq!(lines.len(), 1, "one line was expected:\n{}", ran.stderr);
    for part in parts {
        assert!(lines[0].contains(part), "{part:?} is not in: {}", lines[0]);
    }
}

/// What is wrong with a file of ours by its schema in `docs/schema`.
pub fn schema_problems(schema: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(schema);
    let validator = jsonschema::validator_for(&json(&path)).expect("a schema");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What the server was asked so far, as in `POST /collections/vectors/snapshots`: with this method, the path holding this.
pub fn asked(server: &StandIn, method: &str, part: &str) -> Vec<String> {
    let matching = server.requests_matching(method, part);
    matching.iter().map(|request| format!("{} {}", request.method, request.path_and_query)).collect()
}

/// No texts at all, for comparison.
pub fn none() -> Vec<String> {
    Vec::new()
}
