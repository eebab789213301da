//! Putting backups into the backup directory: ids, archives, manifests, and room for them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::atomic::{self, ARCHIVE_MODE, AtomicFile};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::layout::{FileRole, component, role};
use qdrant_backup_shared::manifest::{Encoding, Manifest};
use qdrant_backup_shared::{CollectionName, Layout};

/// Left free for the status file and for others on the same disk, in bytes.
pub const RESERVE_BYTES: u64 = 16 << 20;

/// Makes the directories for `collection` unless they are there, and gives the first id from `at` on that no file of
/// the collection uses.
///
/// # Errors
/// When a directory cannot be made or listed.
pub fn prepare(layout: &Layout, collection: &CollectionName, at: DateTime<Utc>) -> io::Result<BackupId> {
    if !collection.is_files() {
        atomic::create_directory(&layout.collections())?;
    }
    let directory = layout.collection(collection);
    atomic::create_directory(&directory)?;
    let component = component(collection);
    let mut taken = BTreeSet::new();
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name();
        match role(&component, &name.to_string_lossy()) {
            FileRole::Archive { id }
            | FileRole::Manifest { id }
            | FileRole::Verification { id }
            | FileRole::Hold { id } => taken.insert(id),
            FileRole::Temporary | FileRole::Foreign => false,
        };
    }
    let mut id = BackupId::at(at);
    while taken.contains(&id) {
        id = id.next();
    }
    Ok(id)
}

/// Removes the directory of `collection` if nothing is in it.
pub fn remove_empty_directory(layout: &Layout, collection: &CollectionName) {
    if let Err(error) = fs::remove_dir(layout.collection(collection)) {
        tracing::debug!("{}: {error}", layout.collection(collection).display());
    }
}

/// Begins the archive of a backup.
///
/// # Errors
/// When the temporary file cannot be made.
pub fn begin_archive(
    layout: &Layout,
    collection: &CollectionName,
    id: BackupId,
    encoding: &[Encoding],
) -> io::Result<AtomicFile> {
    AtomicFile::create(&layout.archive(collection, id, encoding), ARCHIVE_MODE)
}

/// Makes the backup exist: the archive first, the manifest last.
///
/// # Crash safety
/// A crash before the return leaves nothing, a temporary file, an orphaned archive, or the whole backup; never a
/// manifest without its archive. An error leaves nothing.
///
/// # Errors
/// When a file cannot be made durable.
pub fn commit(layout: &Layout, archive: AtomicFile, manifest: &Manifest) -> io::Result<()> {
    let encoding = manifest.archives.first().map(|archive| archive.encoding.as_slice()).unwrap_or_default();
    let archive_path = layout.archive(&manifest.collection, manifest.backup_id, encoding);
    archive.commit_new()?;
    let written = json_file::write_new(&layout.manifest(&manifest.collection, manifest.backup_id), manifest);
    if written.is_err() {
        // Without a manifest it would stay behind as an orphan. It is this run's own, and the name was new.
        fs::remove_file(&archive_path)?;
    }
    written
}

/// Checks that files can be made in the backup directory, so that a read-only disk is found before the server
/// is made to write snapshots.
///
/// # Errors
/// When they cannot.
pub fn probe(layout: &Layout) -> io::Result<()> {
    drop(AtomicFile::create(&layout.root().join("probe"), ARCHIVE_MODE)?);
    Ok(())
}

/// Bytes that this user can still write to the file system of `directory`.
///
/// # Errors
/// When the file system does not say.
pub fn available_bytes(directory: &Path) -> io::Result<u64> {
    let file_system = rustix::fs::statvfs(directory)?;
    Ok(file_system.f_bavail.saturating_mul(file_system.f_frsize))
}

/// Removes what killed runs left under temporary names, and gives what was removed. Only for the holder of the
/// lock: to everybody else such a file may be one that is being written.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_temporary_files(layout: &Layout, in_collections: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut stale = in_collections.to_vec();
    let own = [layout.repository_file(), layout.status_file(), layout.root().join("probe")];
    for directory in BTreeSet::from([layout.root(), layout.state()]) {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // `last_skipped.json` is written by runs that do not hold the lock, so its temporaries are left alone.
            let ours = own.iter().filter_map(|path| path.file_name()).any(|own| {
                name.strip_prefix('.').and_then(|rest| rest.strip_prefix(&*own.to_string_lossy())).is_some()
            });
            if ours && atomic::is_temporary(&name) {
                stale.push(entry.path());
            }
        }
    }
    for path in &stale {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &tempfile::TempDir) -> Layout {
        Layout::new(directory.path(), directory.path())
    }

    #[test]
    fn a_taken_id_gives_the_next_second() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let collection = CollectionName::new("a").unwrap();
        let at = "2025-07-15T14:30:00.900Z".parse().unwrap();
        assert_eq!(prepare(&layout, &collection, at).unwrap().to_string(), "2025-07-15-14-30-00");
        for name in ["a-2025-07-15-14-30-00.snapshot", "a-2025-07-15-14-30-01.manifest.json"] {
            atomic::write(&layout.collection(&collection).join(name), 0o600, b"").unwrap();
        }
        assert_eq!(prepare(&layout, &collection, at).unwrap().to_string(), "2025-07-15-14-30-02");
    }

    #[test]
    fn only_our_own_temporary_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let keep = [".env.tmp", "status.json", ".last_skipped.json.x.tmp", ".lock"];
        for name in [".status.json.x.tmp", ".repository.json.x.tmp", ".probe.x.tmp"].iter().chain(&keep) {
            atomic::write(&directory.path().join(name), 0o600, b"").unwrap();
        }
        assert_eq!(remove_temporary_files(&layout, &[]).unwrap().len(), 3);
        for name in keep {
            assert!(directory.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn the_probe_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        probe(&layout(&directory)).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
