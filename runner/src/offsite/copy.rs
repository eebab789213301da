//! Copies one backup: one archive after the other, decompressed in a stream, then the manifest.

use std::fs;

use bytes::Bytes;
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::layout::{component, stem};
use qdrant_backup_shared::manifest::{Archive, Encoding};
use qdrant_backup_shared::{Layout, OffsiteRecord};

use super::error::OffsiteError;
use super::restic::{Restic, Saved, Saving};
use super::tags::{Key, plain_name};
use crate::archive::read::{ArchiveReader, Prove, Source, is_readable};

/// A copied backup.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) manifest_snapshot: String,
    pub(super) archive_snapshots: Vec<String>,
    pub(super) added_bytes: u64,
}

/// Copies a backup. Reports the number of copied snapshot bytes to `progress`.
///
/// # Crash safety
/// The manifest is copied last. An interruption leaves at most snapshots of archives without a manifest, which never count as a
/// copy.
///
/// # Errors
/// See [`OffsiteError`]. An archive that does not match its manifest gets no snapshot.
pub(super) fn copy(
    restic: &Restic,
    layout: &Layout,
    repository_id: &str,
    backup: &Whole,
    progress: &mut dyn FnMut(u64),
) -> Result<Made, OffsiteError> {
    let manifest = &backup.manifest;
    if let Some(requirement) = manifest.unknown_requirement() {
        let shown = qdrant_backup_shared::text::shortened(requirement, 80);
        return Err(OffsiteError::Unsupported(format!(
            "the backup requires \"{shown}\", which this version does not know"
        )));
    }
    let key = Key::new(repository_id, &manifest.collection, manifest.backup_id);
    let source = Source::here(layout.clone());
    let mut archive_snapshots = Vec::with_capacity(manifest.archives.len());
    let mut added_bytes = 0;
    for archive in &manifest.archives {
        let saved = copy_archive(restic, &source, &key, backup, archive, progress)?;
        added_bytes += saved.added_bytes;
        archive_snapshots.push(saved.snapshot);
    }
    let path = layout.manifest(&manifest.collection, manifest.backup_id);
    let bytes = fs::read(&path)
        .map_err(|error| OffsiteError::Manifest(format!("{}: cannot be read: {error}", path.display())))?;
    let name = format!("{}.manifest.json", stem(&component(&manifest.collection), manifest.backup_id));
    let mut saving = restic.save(&name, &key.tags_of_manifest(&archive_snapshots))?;
    if saving.write(&bytes).is_err() {
        return Err(saving.why());
    }
    let saved = saving.finish()?;
    added_bytes += saved.added_bytes;
    Ok(Made { manifest_snapshot: saved.snapshot, archive_snapshots, added_bytes })
}

fn copy_archive(
    restic: &Restic,
    source: &Source,
    key: &Key,
    backup: &Whole,
    archive: &Archive,
    progress: &mut dyn FnMut(u64),
) -> Result<Saved, OffsiteError> {
    if !is_readable(&archive.encoding) {
        let names: Vec<&str> = archive.encoding.iter().map(Encoding::as_str).collect();
        return Err(OffsiteError::Unsupported(format!(
            "archive {} is stored as {}, which this version cannot read",
            archive.file_name,
            qdrant_backup_shared::text::shortened(&names.join("+"), 80)
        )));
    }
    let reader = ArchiveReader::open(source, &backup.manifest, archive, Prove::Snapshot)?;
    let mut saving = restic.save(plain_name(archive), &key.tags())?;
    match pass_on(restic, reader, archive, &mut saving, progress) {
        Ok(Some(last)) => match saving.write(&last) {
            Ok(()) => saving.finish(),
            Err(_) => Err(saving.why()),
        },
        Ok(None) => Err(saving.why()),
        Err(error) => {
            saving.abandon();
            Err(error)
        }
    }
}

/// Passes on everything except the last piece, which is only sent if the digest matches the manifest, so that restic never gets a
/// wrong file completely. None if restic accepts no more.
fn pass_on(
    restic: &Restic,
    mut reader: ArchiveReader,
    archive: &Archive,
    saving: &mut Saving,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<Bytes>, OffsiteError> {
    let damaged = |problem: String| OffsiteError::NotAsManifest { file: archive.file_name.clone(), problem };
    let mut held = Bytes::new();
    let mut left = archive.snapshot.size_bytes;
    loop {
        restic.go_on()?;
        let piece = reader.next_piece()?;
        if piece.is_empty() {
            break;
        }
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            damaged(format!("the snapshot in it is longer than {} bytes", archive.snapshot.size_bytes))
        })?;
        let ready = std::mem::replace(&mut held, piece);
        if saving.write(&ready).is_err() {
            return Ok(None);
        }
        progress(ready.len() as u64);
    }
    let found = reader.finish()?.snapshot;
    let expected = archive.snapshot;
    if found.size_bytes != expected.size_bytes {
        return Err(damaged(format!(
            "the snapshot in it has {} bytes, expected {}",
            found.size_bytes, expected.size_bytes
        )));
    }
    if found.sha256 != expected.sha256 {
        let (found, expected) = (found.sha256.short(), expected.sha256.short());
        return Err(damaged(format!("the snapshot in it has checksum {found}…, expected {expected}…")));
    }
    progress(held.len() as u64);
    Ok(Some(held))
}

impl Made {
    /// The record of the copy.
    pub(super) fn record(
        &self,
        backup: &Whole,
        place: &str,
        repository: &str,
        now: chrono::DateTime<chrono::Utc>,
    ) -> OffsiteRecord {
        let mut record = OffsiteRecord::new(
            backup.manifest.backup_id,
            place,
            repository,
            now,
            self.manifest_snapshot.clone(),
            self.archive_snapshots.clone(),
        );
        record.added_bytes = Some(self.added_bytes);
        record
    }
}
