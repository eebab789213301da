//! Stores backups in the backup directory: ids, archives, manifests, and free space.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use qdrant_backup_shared::atomic::{self, ARCHIVE_MODE, AtomicFile};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::file_system::{room, syncs_directories};
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::layout::{FileRole, component, role};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::{CollectionName, Layout, links};

use crate::host::user::explain;

/// Reserved space for the status file and other users of the disk, in bytes.
pub const RESERVE_BYTES: u64 = 16 << 20;

/// Creates the directories for `collection` if needed, and returns the first unused id from `at` on.
///
/// # Errors
/// When `at` has no id, a directory cannot be created or listed, or the file system returns another directory for it.
pub fn prepare(layout: &Layout, collection: &CollectionName, at: DateTime<Utc>) -> io::Result<BackupId> {
    let no_id = || {
        let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        io::Error::other(format!("no backup can have the time {time}: the years 1 to 9999 are possible"))
    };
    let mut id = BackupId::of(at).ok_or_else(no_id)?;
    if !collection.is_files() {
        atomic::create_directory(&layout.collections()).map_err(|error| explain(layout.root(), error))?;
        links::trusted(layout, &layout.collections())?;
    }
    let directory = layout.collection(collection);
    let parent = directory.parent().unwrap_or(layout.root());
    atomic::create_directory(&directory).map_err(|error| explain(parent, error))?;
    links::trusted(layout, &directory)?;
    let component = component(collection);
    check_own(parent, &component)?;
    let mut taken = BTreeSet::new();
    for entry in fs::read_dir(&directory).map_err(|error| explain(&directory, error))? {
        let name = entry?.file_name();
        match role(&component, &name.to_string_lossy()) {
            FileRole::Archive { id }
            | FileRole::Manifest { id }
            | FileRole::Verification { id }
            | FileRole::Hold { id }
            | FileRole::Offsite { id } => taken.insert(id),
            FileRole::Temporary | FileRole::Foreign => false,
        };
    }
    while taken.contains(&id) {
        id = id.next().ok_or_else(no_id)?;
    }
    Ok(id)
}

/// Checks that the directory `name` in `parent` really has this name, because files in a directory with a different name would
/// not be found.
fn check_own(parent: &Path, name: &str) -> io::Result<()> {
    let other_case = |letter: char| match letter {
        'a'..='z' => letter.to_ascii_uppercase(),
        _ => letter.to_ascii_lowercase(),
    };
    let other: String = name.chars().map(other_case).collect();
    // On most file systems, names are case-sensitive and the other name does not exist. This avoids a listing.
    if other != name && !parent.join(&other).try_exists()? {
        return Ok(());
    }
    let listed = fs::read_dir(parent)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    match another(&listed, name) {
        None => Ok(()),
        Some(other) => Err(io::Error::other(format!(
            "{} is the same as {other} on this file system; rename one of the collections, or use a file \
             system that distinguishes upper and lower case",
            parent.join(name).display()
        ))),
    }
}

/// The listed name that matches `name` with a different spelling, if any.
fn another(listed: &[OsString], name: &str) -> Option<String> {
    if listed.iter().any(|listed| listed == name) {
        return None;
    }
    let like_it = listed.iter().find(|listed| listed.eq_ignore_ascii_case(name));
    Some(like_it.map_or_else(|| "something else".to_owned(), |listed| listed.display().to_string()))
}

/// Removes the directory of `collection` if nothing is in it.
pub fn remove_empty_directory(layout: &Layout, collection: &CollectionName) {
    if let Err(error) = fs::remove_dir(layout.collection(collection)) {
        tracing::debug!("{}: {error}", layout.collection(collection).display());
    }
}

/// Creates the temporary file of an archive with the final name `path`.
///
/// # Errors
/// When the temporary file cannot be made.
pub fn begin_archive(path: &Path) -> io::Result<AtomicFile> {
    let directory = path.parent().unwrap_or(path);
    AtomicFile::create(path, ARCHIVE_MODE).map_err(|error| explain(directory, error))
}

/// Completes the backup: moves its archives into place first, the manifest last.
///
/// # Crash safety
/// A crash leaves nothing, temporary files, orphaned archives, or the whole backup, but never a manifest without one of its
/// archives. An error leaves nothing, or the whole backup: when the manifest has, or may have, its name, no archive is deleted.
///
/// # Errors
/// When a file cannot be made durable.
pub fn commit(layout: &Layout, archives: Vec<AtomicFile>, manifest: &Manifest) -> io::Result<()> {
    let mut in_place = Vec::new();
    let mut failed = None;
    for archive in archives {
        let path = archive.target().to_owned();
        match archive.commit_new() {
            Ok(()) => in_place.push(path),
            Err(error) => {
                // Anything else with this name is not from this run.
                if error.in_place && error.source.kind() != io::ErrorKind::AlreadyExists {
                    in_place.push(path);
                }
                failed = Some(error.source);
                break;
            }
        }
    }
    let error = match failed {
        Some(error) => error,
        None => {
            match json_file::write_new(&layout.manifest(&manifest.collection, manifest.backup_id), manifest) {
                Ok(()) => return Ok(()),
                Err(error) if error.in_place => {
                    return Err(io::Error::new(
                        error.source.kind(),
                        format!("{error}; its files stay in place, and `verify` shows whether they are good"),
                    ));
                }
                Err(error) => error.source,
            }
        }
    };
    for path in in_place {
        if let Err(kept) = fs::remove_file(&path) {
            // Without a manifest it remains as an orphan.
            let text = format!("{error}; {} cannot be removed: {kept}", path.display());
            return Err(io::Error::new(error.kind(), text));
        }
    }
    Err(error)
}

/// Checks that files can be created in the backup directory, so that a read-only disk is noticed before the server creates
/// snapshots.
///
/// # Errors
/// When they cannot.
pub fn probe(layout: &Layout) -> io::Result<()> {
    drop(AtomicFile::create(&layout.root().join("probe"), ARCHIVE_MODE)?);
    Ok(())
}

/// Free space for this user on the file system of `directory`, in bytes. None if it is not reported.
///
/// # Errors
/// When the file system cannot be asked.
pub fn available_bytes(directory: &Path) -> io::Result<Option<u64>> {
    Ok(room(directory)?.map(|room| room.available_bytes))
}

/// Limits of the backup directory's file system and their effects, one line each.
///
/// # Errors
/// When it cannot be asked.
pub fn limits(layout: &Layout) -> io::Result<Vec<String>> {
    let root = layout.root();
    let mut limits = Vec::new();
    if !syncs_directories(root)? {
        limits.push(format!(
            "{}: the file system cannot sync directories: after a power failure the newest backups may be gone",
            root.display()
        ));
    }
    if available_bytes(root)?.is_none() {
        limits.push(format!(
            "{}: the file system does not report its free space: a full disk is noticed only when a write fails",
            root.display()
        ));
    }
    Ok(limits)
}

/// Deletes temporary files of killed runs, and returns their paths. Only for the holder of the lock: otherwise such a file may be
/// in use.
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
            // `last_skipped.json` and `last_refused.json` are written by runs that do not hold the lock, so their
            // temporaries are left alone.
            let ours = own.iter().filter_map(|path| path.file_name()).any(|own| {
                name.strip_prefix('.').and_then(|rest| rest.strip_prefix(&*own.to_string_lossy())).is_some()
            });
            if ours && atomic::is_temporary(&name) {
                stale.push(entry.path());
            }
        }
    }
    for path in &stale {
        let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let own = path.parent() == Some(layout.root());
        // In the backup directory itself, only the probe creates a directory.
        let removed = if is_directory && own { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
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
    fn a_time_without_an_id_is_refused_also_when_the_last_id_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let collection = CollectionName::new("a").unwrap();
        let prepare = |at: &str| prepare(&layout, &collection, at.parse().unwrap());
        assert_eq!(prepare("2016-12-31T23:59:60Z").unwrap().to_string(), "2016-12-31-23-59-59");
        assert_eq!(prepare("9999-12-31T23:59:59Z").unwrap().to_string(), "9999-12-31-23-59-59");
        let name = "a-9999-12-31-23-59-59.snapshot";
        atomic::write(&layout.collection(&collection).join(name), 0o600, b"").unwrap();
        for at in ["9999-12-31T23:59:59Z", "+10000-01-01T00:00:00Z", "0000-12-31T23:59:59Z"] {
            let error = prepare(at).unwrap_err().to_string();
            assert!(error.ends_with(&format!("time {at}: the years 1 to 9999 are possible")), "{error}");
        }
    }

    #[test]
    fn a_directory_that_is_only_found_by_a_collections_name_is_not_its_own() {
        let listed: Vec<OsString> = ["Docs", "notes"].map(OsString::from).into();
        assert_eq!(another(&listed, "docs").as_deref(), Some("Docs"));
        assert_eq!(another(&listed, "Docs"), None);
        // As on file systems that drop a dot at the end of a name.
        assert_eq!(another(&listed, "notes.").as_deref(), Some("something else"));

        let directory = tempfile::tempdir().unwrap();
        for name in ["docs", "DOCS", "Docs", "42"] {
            atomic::create_directory(&directory.path().join(name)).unwrap();
            check_own(directory.path(), name).unwrap();
        }
    }

    #[test]
    fn what_a_killed_probe_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let probe = directory.path().join(".probe.x.tmp");
        atomic::create_directory(&probe).unwrap();
        atomic::write(&probe.join("locked"), 0o600, b"").unwrap();
        assert_eq!(remove_temporary_files(&layout, &[]).unwrap(), std::slice::from_ref(&probe));
        assert!(!probe.exists());
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
