//! Reads the snapshot in a backup's archive piece by piece, and checks the digests at the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use indicatif::HumanBytes;
use qdrant_backup_shared::manifest::{Archive, Encoding, Manifest, Scope, SizeAndDigest};

use super::error::RestoreError;
use crate::archive::read::{ArchiveReader, Prove, Source, is_readable};

/// The archives to restore, one per shard, by shard.
///
/// # Errors
/// When the backup requires a feature that this version does not support.
pub fn shard_archives(manifest: &Manifest) -> Result<BTreeMap<u32, &Archive>, RestoreError> {
    check_readable(manifest)?;
    let of_shards = manifest.archives.iter().flat_map(|archive| {
        let ids = archive.shard_ids.iter();
        ids.map(move |id| (*id, archive))
    });
    Ok(of_shards.collect())
}

/// The archive to restore.
///
/// # Errors
/// When the backup is more than one snapshot of a collection, or requires a feature that this version does not
/// support.
pub fn sole_archive(manifest: &Manifest) -> Result<&Archive, RestoreError> {
    let unsupported = |what: String| Err(RestoreError::Unsupported { what });
    check_readable(manifest)?;
    let [archive] = manifest.archives.as_slice() else {
        return unsupported(format!(
            "consists of {} snapshots from different nodes",
            manifest.archives.len()
        ));
    };
    if archive.scope != Scope::Collection {
        return unsupported(format!("is a snapshot of a {}", archive.scope));
    }
    Ok(archive)
}

fn check_readable(manifest: &Manifest) -> Result<(), RestoreError> {
    let unsupported = |what: String| Err(RestoreError::Unsupported { what });
    if let Some(what) = manifest.unknown_requirement() {
        return Err(RestoreError::Requires { what: qdrant_backup_shared::text::shortened(what, 80) });
    }
    if let Some(other) = manifest.depends_on.first() {
        return unsupported(format!("builds on backup {other}"));
    }
    if let Some(archive) = manifest.archives.iter().find(|archive| !is_readable(&archive.encoding)) {
        let names: Vec<&str> = archive.encoding.iter().map(Encoding::as_str).collect();
        return unsupported(format!("is stored as {}", names.join("+")));
    }
    Ok(())
}

/// Reads the whole archive and passes the snapshot to `take`, which can stop by returning false. True if everything was read and
/// matches the manifest; only then can the data be trusted. Blocks.
///
/// # Errors
/// When the archive cannot be read, or does not match the manifest.
pub fn read_whole(
    source: &Source,
    manifest: &Manifest,
    archive: &Archive,
    prove: Prove,
    mut take: impl FnMut(Bytes) -> bool,
) -> Result<bool, RestoreError> {
    let damaged = |problem: String| RestoreError::Damaged { file: archive.file_name.clone(), problem };
    let mut reader = ArchiveReader::open(source, manifest, archive, prove)?;
    let mut read_bytes = 0;
    loop {
        let piece = reader.next_piece()?;
        if piece.is_empty() {
            break;
        }
        read_bytes += piece.len() as u64;
        let expected = archive.snapshot.size_bytes;
        if read_bytes > expected {
            return Err(damaged(format!("the snapshot in it is longer than {}", HumanBytes(expected))));
        }
        if !take(piece) {
            return Ok(false);
        }
    }
    let digests = reader.finish()?;
    if let Some(stored) = digests.stored {
        compare("the stored file", archive.stored, stored).map_err(damaged)?;
    }
    compare("the snapshot in it", archive.snapshot, digests.snapshot).map_err(damaged)?;
    Ok(true)
}

fn compare(what: &str, expected: SizeAndDigest, got: SizeAndDigest) -> Result<(), String> {
    if got.size_bytes != expected.size_bytes {
        return Err(format!("{what} has {} bytes, expected {}", got.size_bytes, expected.size_bytes));
    }
    if got.sha256 != expected.sha256 {
        let (got, expected) = (got.sha256.short(), expected.sha256.short());
        return Err(format!("{what} has checksum {got}…, expected {expected}…"));
    }
    Ok(())
}
