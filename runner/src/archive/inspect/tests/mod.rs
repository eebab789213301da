//! Genuine snapshots of two server versions, single defects, and hostile bytes.

mod builder;
mod defects;
mod genuine;
mod hostile;

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use super::{FindingKind, Inspection, Limits, inspect};

/// Every genuine snapshot, as `version/file`.
pub(super) const GENUINE: [&str; 17] = [
    "1.14.1/empty.snapshot",
    "1.14.1/minilm_general.shard-0.snapshot",
    "1.14.1/minilm_general.snapshot",
    "1.14.1/mixtral_embeddings.shard-0.snapshot",
    "1.14.1/mixtral_embeddings.snapshot",
    "1.14.1/named-and-sparse.shard-0.snapshot",
    "1.14.1/named-and-sparse.snapshot",
    "1.18.3/cluster-node-1.spread.snapshot",
    "1.18.3/cluster-node-2.spread.snapshot",
    "1.18.3/cluster-node-3.spread.snapshot",
    "1.18.3/empty.snapshot",
    "1.18.3/minilm_general.shard-0.snapshot",
    "1.18.3/minilm_general.snapshot",
    "1.18.3/mixtral_embeddings.shard-0.snapshot",
    "1.18.3/mixtral_embeddings.snapshot",
    "1.18.3/named-and-sparse.shard-0.snapshot",
    "1.18.3/named-and-sparse.snapshot",
];

pub(super) fn genuine(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/snapshots").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Inspects bytes in memory and asserts that all of them were consumed.
pub(super) fn look(bytes: &[u8]) -> Inspection {
    let mut rest = bytes;
    let inspection = inspect(&mut rest, &Limits::default()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(inspection.uncompressed_bytes, bytes.len() as u64);
    for finding in &inspection.findings {
        let text = finding.to_string();
        assert!(!text.chars().any(char::is_control) && text.len() < 4000, "{text:?}");
    }
    inspection
}

pub(super) fn kinds(inspection: &Inspection) -> Vec<FindingKind> {
    inspection.findings.iter().map(|finding| finding.kind).collect()
}

/// Returns its bytes in pieces, sometimes interrupted. Fails at the configured position.
pub(super) struct Pieces<'b> {
    pub bytes: &'b [u8],
    pub piece: usize,
    pub fail_at_end: bool,
    pub interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        unreachable!("inspection reads through the buffer only")
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.bytes.is_empty() && self.fail_at_end {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(&self.bytes[..self.piece.min(self.bytes.len())])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes = &self.bytes[amount..];
    }
}

#[test]
fn a_failing_reader_is_an_error_and_not_a_finding() {
    let snapshot = genuine("1.18.3/empty.snapshot");
    for end in [0, 1, 512, 5000, 20_000, snapshot.len()] {
        let mut pieces =
            Pieces { bytes: &snapshot[..end], piece: 700, fail_at_end: true, interrupted: false };
        let error = inspect(&mut pieces, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn names_of_kinds_are_unique_and_in_snake_case() {
    let mut names: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    for kind in FindingKind::ALL {
        assert_eq!(format!("{kind:?}").to_lowercase(), kind.as_str().replace('_', ""));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FindingKind::ALL.len());
}
