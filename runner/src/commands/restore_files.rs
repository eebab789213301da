//! `qdrant-backup restore --files --into DIR`: restores configuration files into a separate directory.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Catalog, Whole};
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, Scope};
use qdrant_backup_shared::text::one_line;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::corrupt::on_record;
use super::from::From;
use super::{Refusal, repository};
use crate::archive::read::{ArchiveReader, Prove, Source};
use crate::choice::{Accept, Which, choose_one};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::shell::quoted;
use crate::restore::{RestoreError, is_corrupt, read_whole};
use crate::store::lock::ReadersLock;

/// Configuration may contain secrets.
const DIRECTORY_MODE: u32 = 0o700;

/// Unpacks a backup of configuration files. Never in place, because the current files may be needed for comparison.
pub fn restore_files(from: &From, which: Which, into: &Path, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(from.settings());
    let source = from.source();
    repository::open(&layout)?;
    let _readers = ReadersLock::share(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = Catalog::read(&layout)
        .map_err(|error| Refusal::failed(format!("{}: cannot be read: {error}", layout.root().display())))?;
    let all = catalog.collections.get(&CollectionName::files()).map(Vec::as_slice).unwrap_or_default();
    let mut backups = Vec::with_capacity(all.len());
    for backup in all {
        match backup.whole(&layout) {
            Ok(whole) if is_of_files(&whole.manifest) => backups.push(backup.clone()),
            Ok(_) => tracing::warn!(
                "backup {} is in the directory for configuration files but is not one; skipped",
                backup.backup_id
            ),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    let backup = choose_one(&backups, which, Accept::Good)
        .map_err(|error| Refusal::failed(format!("configuration files: {error}")))?;
    if let Some(why) = &backup.remarks().unknown {
        tracing::warn!("backup {} is not known to be good: {}", backup.backup_id, one_line(why));
    }
    let backup = &backup.whole(&layout).map_err(Refusal::failed)?;
    let directory = make_empty(into)?;
    let mut count = 0;
    for archive in &backup.manifest.archives {
        let begun = Instant::now();
        if let Err(error) = check(&source, &backup.manifest, archive) {
            let mut message = error.to_string();
            if is_corrupt(&error) && !from.is_place() {
                let again = |other| {
                    let into = quoted(&into.display().to_string());
                    format!(
                        "use {other} instead: `qdrant-backup restore --files --backup {other} --into {into}`"
                    )
                };
                let (manifest, took) = (&backup.manifest, begun.elapsed());
                let advice = on_record(&layout, &catalog, manifest, &message, took, clock, again);
                message = format!("{message}; {advice}");
            }
            return Err(Refusal::failed(message));
        }
        count += unpack(&source, backup, archive, &directory, into)?;
    }
    tracing::info!(
        "Restored {count} configuration files of backup {} into {}; compare them with the current ones before you use them",
        backup.manifest.backup_id,
        into.display()
    );
    Ok(Exit::Success)
}

/// Whether this program made it from configuration files. Snapshots and imported files are never unpacked.
fn is_of_files(manifest: &Manifest) -> bool {
    manifest.origin == Origin::Snapshot
        && manifest.archives.iter().all(|archive| archive.scope == Scope::Files)
}

/// Creates the directory, or uses an empty one of the caller. Then nobody else has access.
fn make_empty(into: &Path) -> Result<File, Refusal> {
    let refuse = |problem: String| Refusal::failed(format!("--into {}: {problem}", into.display()));
    let failed = |error: io::Error| refuse(error.to_string());
    match DirBuilder::new().mode(DIRECTORY_MODE).create(into) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(into, flags, Mode::empty()) {
        Ok(directory) => File::from(directory),
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(refuse("is not a directory; give an empty or a new one".to_owned()));
        }
        Err(error) => return Err(failed(error.into())),
    };
    if directory.metadata().map_err(failed)?.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse("belongs to another user; give a new directory".to_owned()));
    }
    let inside = inside(&directory);
    if fs::read_dir(&inside).map_err(failed)?.next().is_some() {
        return Err(refuse("is not empty; give an empty or a new directory".to_owned()));
    }
    directory.set_permissions(Permissions::from_mode(DIRECTORY_MODE)).map_err(failed)?;
    // Someone may have added a file in the meantime.
    match fs::read_dir(&inside).map_err(failed)?.next() {
        None => Ok(directory),
        Some(_) => Err(refuse("is no longer empty; give a new directory".to_owned())),
    }
}

/// Reads the archive to its end before anything is unpacked from it.
fn check(source: &Source, manifest: &Manifest, archive: &Archive) -> Result<(), RestoreError> {
    read_whole(source, manifest, archive, Prove::Snapshot, |_| true).map(drop)
}

/// Path of an open directory, even if its name now points elsewhere: the owner of the parent directory could replace it. See
/// proc(5), `/proc/pid/fd`.
fn inside(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

fn unpack(
    source: &Source,
    backup: &Whole,
    archive: &Archive,
    directory: &File,
    into: &Path,
) -> Result<usize, Refusal> {
    let reader =
        ArchiveReader::open(source, &backup.manifest, archive, Prove::Snapshot).map_err(Refusal::failed)?;
    let failed = |error: io::Error| Refusal::failed(format!("unpacking into {}: {error}", into.display()));
    let mut tar = tar::Archive::new(reader);
    let mut count = 0;
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.into_owned();
        let refuse = |what: &str| {
            let name = one_line(&name.display().to_string());
            Refusal::failed(format!("{} contains {what} ({name}), which is not unpacked", archive.file_name))
        };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(refuse("something that is not a file"));
        }
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(refuse("a name that points outside the directory"));
        }
        let path = inside(directory).join(&name);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(failed)?;
        }
        // Read permissions are restored, because some of these files contain keys. Set-user-id bits are not.
        let mode = entry.header().mode().map_err(failed)? & 0o777;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        io::copy(&mut entry, &mut file).map_err(failed)?;
        let modified = entry.header().mtime().map_err(failed)?;
        if let Some(modified) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(modified)) {
            file.set_modified(modified).map_err(failed)?;
        }
        file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        count += 1;
    }
    Ok(count)
}
