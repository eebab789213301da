//! Realistic inputs: genuine snapshots, recorded answers, shipped files, and archives as the program writes them.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qdrant_backup_runner::archive::write::{Compression, Encoder};

use super::{entries, repository};

/// How much of a snapshot to use. It includes headers, links and segments.
const SNAPSHOT_BYTES: usize = 16 << 10;

/// The inputs for a target.
pub fn inputs(name: &str) -> Vec<Vec<u8>> {
    match name {
        "snapshot" => snapshots(),
        "gzip" => archives(Compression::Gzip),
        "zstd" => archives(Compression::Zstd),
        "qdrant_answer" => files("tests/data/recordings", "http").iter().map(|answer| body(answer)).collect(),
        "configuration" => [files("deploy/etc", "yaml"), files("deploy/examples", "yaml")].concat(),
        "web_configuration" => files("deploy/exporter", "yml"),
        "certificate" => files("tests/data/tls", "pem").iter().map(|pem| der(pem)).collect(),
        _ => Vec::new(),
    }
}

fn files(directory: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut files = entries(&repository().join(directory));
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    assert!(!files.is_empty(), "{directory} has no *.{extension}");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The first bytes of genuine snapshots, and a complete small one.
fn snapshots() -> Vec<Vec<u8>> {
    let versions = ["tests/data/snapshots/1.14.1", "tests/data/snapshots/1.18.3"];
    let mut snapshots: Vec<_> = versions.iter().flat_map(|version| files(version, "snapshot")).collect();
    snapshots.iter_mut().for_each(|snapshot| snapshot.truncate(SNAPSHOT_BYTES));
    snapshots
}

/// An archive with one part, one with several, and two concatenated.
fn archives(compression: Compression) -> Vec<Vec<u8>> {
    let encoded = |plain: &[u8]| {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let snapshot = &snapshots()[0];
    let (small, large) = (encoded(&snapshot[..3000]), encoded(&[&[0; 1_200_000], &snapshot[..]].concat()));
    vec![[small.as_slice(), &large].concat(), small, large, encoded(b"")]
}

/// The body of a recorded answer: its last line.
fn body(answer: &[u8]) -> Vec<u8> {
    let mut lines = answer.rsplit(|byte| *byte == b'\n');
    lines.find(|line| !line.is_empty()).expect("a recorded answer has lines").to_vec()
}

fn der(pem: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pem);
    let encoded: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(encoded).unwrap()
}
