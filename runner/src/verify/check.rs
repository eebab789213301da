//! Checks one backup.

use std::io;
use std::time::{Duration, Instant};

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::{Archive, Manifest, Scope, SizeAndDigest};
use qdrant_backup_shared::verification::{CheckOutcome, Finding, Level};

use super::depth::Depth;
use super::judge;
use super::verdict::{Verdict, Weight};
use super::watched::{TooLong, Watch, Watched};
use crate::archive::inspect::{Inspection, Limits, inspect};
use crate::archive::read::{ArchiveError, ArchiveReader, Prove, Source};

/// Result of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The level of the check.
    pub level: Level,
    /// The outcome.
    pub outcome: CheckOutcome,
    /// Why it did not pass, for the status and the metrics.
    pub failure: Option<FailureKind>,
    /// All problems and unusual findings, with the member's name if there is one. After a pass, only findings about data that
    /// this program does not know.
    pub findings: Vec<Finding>,
    /// The duration.
    pub duration: Duration,
}

/// The check was stopped without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// Checks the backup of `manifest` in one pass over its archives, with bounded memory, without writing. Reports the number of
/// stored bytes read to `progress`, and calls `interrupt` to check whether to stop. All problems, including those of the disk,
/// are in the result.
///
/// # Errors
/// When it was stopped.
pub fn verify_backup(
    source: &Source,
    manifest: &Manifest,
    depth: Depth,
    progress: &mut dyn FnMut(u64),
    interrupt: &dyn Fn() -> bool,
) -> Result<Check, Interrupted> {
    let begun = Instant::now();
    let mut checking = Checking {
        source,
        manifest,
        watch: Watch { progress, interrupt, reported: 0 },
        verdict: Verdict::default(),
        several: manifest.archives.len() > 1,
    };
    if let Some(requirement) = manifest.unknown_requirement() {
        let message = format!("the manifest requires \"{requirement}\", which this version does not know");
        checking.verdict.add(
            Weight::Unsupported,
            FailureKind::VersionUnsupported,
            "requirement_unknown",
            message,
        );
    } else {
        checking.archives(depth)?;
    }
    let (outcome, failure, findings) = checking.verdict.finish();
    Ok(Check { level: depth.level(), outcome, failure, findings, duration: begun.elapsed() })
}

struct Checking<'a> {
    source: &'a Source,
    manifest: &'a Manifest,
    watch: Watch<'a>,
    verdict: Verdict,
    several: bool,
}

impl Checking<'_> {
    fn archives(&mut self, depth: Depth) -> Result<(), Interrupted> {
        let mut inspections = Vec::new();
        for archive in &self.manifest.archives {
            self.watch.reported = 0;
            match depth {
                Depth::Checksum => self.stored(archive)?,
                Depth::Archive => inspections.extend(self.snapshot(archive)?),
            }
        }
        if inspections.len() == self.manifest.archives.len() {
            judge::points(self.manifest, &inspections, &mut self.verdict);
        }
        Ok(())
    }

    /// The stored bytes alone.
    fn stored(&mut self, archive: &Archive) -> Result<(), Interrupted> {
        match ArchiveReader::open_stored(self.source, self.manifest, archive) {
            Ok(reader) if self.has_its_size(&reader, archive) => self.rest(reader, archive),
            Ok(_) => Ok(()),
            Err(error) => {
                self.cannot_read(archive, &error);
                Ok(())
            }
        }
    }

    /// The stored bytes, the snapshot in them, and its contents.
    fn snapshot(&mut self, archive: &Archive) -> Result<Option<Inspection>, Interrupted> {
        if let Scope::Other(scope) = &archive.scope {
            let message = format!("a snapshot of a {scope}, which this version does not know");
            self.add(archive, Weight::Unsupported, FailureKind::VersionUnsupported, "scope_unknown", message);
            self.stored(archive)?;
            return Ok(None);
        }
        let mut reader = match ArchiveReader::open(self.source, self.manifest, archive, Prove::File) {
            Ok(reader) => reader,
            Err(error) => {
                self.cannot_read(archive, &error);
                if matches!(error, ArchiveError::Unsupported { .. }) {
                    self.stored(archive)?;
                }
                return Ok(None);
            }
        };
        if !self.has_its_size(&reader, archive) {
            return Ok(None);
        }
        let most = archive.snapshot.size_bytes;
        let mut watched = Watched::new(&mut reader, &mut self.watch, most);
        let inspection = match inspect(&mut watched, &Limits::default()) {
            Ok(inspection) => inspection,
            Err(error) if TooLong::is(&error) => {
                let message = format!("{} has more bytes than expected ({most})", SNAPSHOT.what);
                self.add(archive, Weight::Failed, FailureKind::SizeMismatch, SNAPSHOT.size_kind, message);
                match reader.into_stored() {
                    Ok(rest) => self.rest(rest, archive)?,
                    Err(error) => self.cannot_read(archive, &error),
                }
                return Ok(None);
            }
            Err(error) => {
                let error = self.fault(error)?;
                self.cannot_read(archive, &error);
                if matches!(error, ArchiveError::Corrupt { .. }) {
                    match reader.into_stored() {
                        Ok(rest) => self.rest(rest, archive)?,
                        Err(error) => self.cannot_read(archive, &error),
                    }
                }
                return Ok(None);
            }
        };
        match reader.finish() {
            Ok(digests) => {
                self.compare(archive, &STORED, digests.stored, archive.stored);
                self.compare(archive, &SNAPSHOT, Some(digests.snapshot), archive.snapshot);
            }
            Err(error) => self.cannot_read(archive, &error),
        }
        let prefix = self.prefix(archive);
        judge::contents(self.manifest, archive, &inspection, &prefix, &mut self.verdict);
        Ok(Some(inspection))
    }

    /// Reads the rest of the stored bytes and compares the digest of all of them.
    fn rest(&mut self, mut reader: ArchiveReader, archive: &Archive) -> Result<(), Interrupted> {
        let read = Watched::new(&mut reader, &mut self.watch, u64::MAX).drain();
        let read = match read {
            Ok(()) => reader.finish(),
            Err(error) => Err(self.fault(error)?),
        };
        match read {
            Ok(digests) => self.compare(archive, &STORED, digests.stored, archive.stored),
            Err(error) => self.cannot_read(archive, &error),
        }
        Ok(())
    }

    fn has_its_size(&mut self, reader: &ArchiveReader, archive: &Archive) -> bool {
        let expected = archive.stored.size_bytes;
        let size = reader.size_bytes().unwrap_or(expected);
        if size != expected {
            let message = format!("the archive has {size} bytes, expected {expected}");
            self.add(archive, Weight::Failed, FailureKind::SizeMismatch, "archive_size", message);
        }
        size == expected
    }

    fn compare(
        &mut self,
        archive: &Archive,
        which: &Compared,
        found: Option<SizeAndDigest>,
        expected: SizeAndDigest,
    ) {
        let Compared { what, size_kind, digest_kind } = which;
        let Some(found) = found else {
            let message = format!("{what} was read without a digest; this is a bug in qdrant-backup");
            return self.add(archive, Weight::Inconclusive, FailureKind::Internal, digest_kind, message);
        };
        if found.size_bytes != expected.size_bytes {
            let message = format!("{what} has {} bytes, expected {}", found.size_bytes, expected.size_bytes);
            self.add(archive, Weight::Failed, FailureKind::SizeMismatch, size_kind, message);
        } else if found.sha256 != expected.sha256 {
            let (found, expected) = (found.sha256.short(), expected.sha256.short());
            let message = format!("{what} has SHA-256 {found}…, expected {expected}…");
            self.add(archive, Weight::Failed, FailureKind::ChecksumMismatch, digest_kind, message);
        }
    }

    fn cannot_read(&mut self, archive: &Archive, error: &ArchiveError) {
        let (weight, kind) = match error {
            ArchiveError::Missing { .. } => (Weight::Failed, "archive_missing"),
            ArchiveError::Corrupt { .. } => (Weight::Failed, "archive_corrupt"),
            ArchiveError::Unsupported { .. } => (Weight::Unsupported, "encoding_unsupported"),
            ArchiveError::NotAFile { .. } | ArchiveError::Io { .. } => {
                (Weight::Inconclusive, "archive_unreadable")
            }
        };
        self.add(archive, weight, error.kind(), kind, error.to_string());
    }

    /// The cause of a failed read: the archive, the disk, or an interruption.
    fn fault(&self, error: io::Error) -> Result<ArchiveError, Interrupted> {
        match error.downcast::<ArchiveError>() {
            Ok(error) => Ok(error),
            Err(_) if (self.watch.interrupt)() => Err(Interrupted),
            Err(source) => Ok(ArchiveError::Io {
                path: self.source.layout().collection(&self.manifest.collection),
                source,
            }),
        }
    }

    fn add(&mut self, archive: &Archive, weight: Weight, failure: FailureKind, kind: &str, message: String) {
        let message = format!("{}{message}", self.prefix(archive));
        self.verdict.add(weight, failure, kind, message);
    }

    /// Prefix with the archive's name, if there is more than one.
    fn prefix(&self, archive: &Archive) -> String {
        if self.several { format!("{}: ", archive.file_name) } else { String::new() }
    }
}

/// Data whose length and digest are compared.
struct Compared {
    what: &'static str,
    size_kind: &'static str,
    digest_kind: &'static str,
}

const STORED: Compared =
    Compared { what: "the archive", size_kind: "archive_size", digest_kind: "archive_checksum" };
const SNAPSHOT: Compared = Compared {
    what: "the decompressed snapshot",
    size_kind: "snapshot_size",
    digest_kind: "snapshot_checksum",
};
