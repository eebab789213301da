//! `qdrant-backup restore --files --into DIR`: configuration files, into a directory of their own.

use std::fs;
use std::io;
use std::path::Path;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::Layout;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::manifest::Archive;
use qdrant_backup_shared::text::one_line;

use super::{Refusal, place};
use crate::archive::{ArchiveReader, Prove};
use crate::exit::Exit;
use crate::lock::ReadersLock;
use crate::restore::{Choice, choose};
use crate::settings::Settings;

/// Unpacks a backup of configuration files. Never in place: what is there now may be what one needs to compare with.
pub fn restore_files(settings: &Settings, choice: Choice, into: &Path) -> Result<Exit, Refusal> {
    let layout = place::layout(settings);
    place::open(&layout)?;
    let _readers = ReadersLock::share(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = Catalog::read(&layout)
        .map_err(|error| Refusal::failed(format!("{}: cannot be read: {error}", layout.root().display())))?;
    let backups = catalog.collections.get(&CollectionName::files()).map(Vec::as_slice).unwrap_or_default();
    let backup = choose(backups, choice, false)
        .map_err(|error| Refusal::failed(format!("configuration files: {error}")))?;
    if let Some(why) = &backup.unknown {
        tracing::warn!("backup {} is not known to be good: {}", backup.manifest.backup_id, one_line(why));
    }
    make_empty(into)?;
    let mut count = 0;
    for archive in &backup.manifest.archives {
        check(&layout, backup, archive)?;
        count += unpack(&layout, backup, archive, into)?;
    }
    tracing::info!(
        "Restored {count} configuration files of backup {} into {}; compare them with the present ones before use",
        backup.manifest.backup_id,
        into.display()
    );
    Ok(Exit::Success)
}

fn make_empty(into: &Path) -> Result<(), Refusal> {
    let refuse = |problem: String| Refusal::failed(format!("--into {}: {problem}", into.display()));
    match fs::create_dir(into) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut entries = fs::read_dir(into).map_err(|error| refuse(error.to_string()))?;
            if entries.next().is_some() {
                return Err(refuse("is not empty; name a directory that is, or a new one".to_owned()));
            }
            Ok(())
        }
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// Reads the archive to its end before anything is unpacked from it.
fn check(layout: &Layout, backup: &Backup, archive: &Archive) -> Result<(), Refusal> {
    let reader =
        ArchiveReader::open(layout, &backup.manifest, archive, Prove::Snapshot).map_err(Refusal::failed)?;
    let digests = reader.finish().map_err(Refusal::failed)?;
    if digests.snapshot != archive.snapshot {
        return Err(Refusal::failed(format!(
            "{} is not as its manifest says (length or digest); use another backup",
            archive.file_name
        )));
    }
    Ok(())
}

fn unpack(layout: &Layout, backup: &Backup, archive: &Archive, into: &Path) -> Result<usize, Refusal> {
    let reader =
        ArchiveReader::open(layout, &backup.manifest, archive, Prove::Snapshot).map_err(Refusal::failed)?;
    let failed = |error: io::Error| Refusal::failed(format!("unpacking into {}: {error}", into.display()));
    let mut tar = tar::Archive::new(reader);
    // The modes come back: some of these files hold keys.
    tar.set_preserve_permissions(true);
    let mut count = 0;
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        // Refuses names that lead out of the directory.
        if !entry.unpack_in(into).map_err(failed)? {
            return Err(Refusal::failed(format!(
                "{} holds a name that leads out of the directory",
                archive.file_name
            )));
        }
        count += 1;
    }
    Ok(count)
}
