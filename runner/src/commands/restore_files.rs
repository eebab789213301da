//! `qdrant-backup restore --files --into DIR`: restores configuration files into a separate directory.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};
use std::time::{Duration, Instant, SystemTime};

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, Scope};
use qdrant_backup_shared::text::one_line;
use tar::EntryType;

use super::corrupt::on_record;
use super::from::From;
use super::{Refusal, repository};
use crate::archive::read::{ArchiveReader, Prove, Source};
use crate::choice::{Accept, Present, Which, choose_one};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::empty_directory::EmptyDirectory;
use crate::host::shell::quoted;
use crate::restore::{RestoreError, is_corrupt, read_whole};
use crate::store::lock::ReadersLock;

/// Configuration may contain secrets.
const DIRECTORY_MODE: u32 = 0o700;

/// Unpacks a backup of configuration files. Never in place, because the current files may be needed for comparison.
pub fn restore_files(from: &From, which: Which, into: &Path, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(from.settings());
    let source = from.source();
    repository::open(from.settings())?;
    let _readers = ReadersLock::share(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = repository::catalog(&layout)?;
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
    let status = repository::history(&layout);
    let present = Present { status: status.as_ref(), now: clock.now() };
    let backup = choose_one(&backups, which, Accept::Good, present)
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
                        "use {other} instead: `qdrant-backup restore --files --backup {other} --into {into}{}`",
                        from.settings().shown_options()
                    )
                };
                let (manifest, took) = (&backup.manifest, begun.elapsed());
                let advice = on_record(&layout, &catalog, manifest, &message, took, clock, again);
                message = format!("{message}; {advice}");
            }
            return Err(Refusal::failed(message));
        }
        count += unpack(&source, backup, archive, &directory)?;
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

/// Creates the directory, or uses an empty one that belongs to the caller. No other user can enter it from then on.
fn make_empty(into: &Path) -> Result<EmptyDirectory, Refusal> {
    let made = EmptyDirectory::open(into).and_then(|made| made.close_to_others().map(|()| made));
    made.map_err(|problem| Refusal::failed(format!("--into {}: {problem}", into.display())))
}

/// Reads the archive to its end before anything is unpacked.
fn check(source: &Source, manifest: &Manifest, archive: &Archive) -> Result<(), RestoreError> {
    read_whole(source, manifest, archive, Prove::Snapshot, |_| true).map(drop)
}

fn unpack(
    source: &Source,
    backup: &Whole,
    archive: &Archive,
    directory: &EmptyDirectory,
) -> Result<usize, Refusal> {
    let reader =
        ArchiveReader::open(source, &backup.manifest, archive, Prove::Snapshot).map_err(Refusal::failed)?;
    let failed =
        |error: io::Error| Refusal::failed(format!("unpacking into {}: {error}", directory.path().display()));
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
        let path = directory.inside().join(&name);
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
