//! Keeps the records beside the backups consistent with the place, which may have been changed by others or by a killed run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::atomic::{self, sync_directory};
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::{CollectionName, Layout, Manifest, OffsiteRecord, json_file};

use super::error::OffsiteError;
use super::listing::{Copy, Listing};
use super::restic::Restic;
use super::tags::Key;

/// Maximum size of a manifest, in bytes.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;

/// Differences between the place and the records.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    /// Number of backups that were added because only a copy was left.
    pub(super) adopted: usize,
    /// Warnings, one line each.
    pub(super) warnings: Vec<String>,
}

/// All backups of the directory, by the key of their copies.
pub(super) fn by_key<'c>(catalog: &'c Catalog, repository_id: &str) -> BTreeMap<Key, &'c Backup> {
    let all = catalog
        .collections
        .iter()
        .flat_map(|(name, backups)| backups.iter().map(move |backup| (name, backup)));
    all.map(|(name, backup)| (Key::new(repository_id, name, backup.backup_id), backup)).collect()
}

/// Updates the records of this place to match `listing`, and adds backups of which only a copy is left.
///
/// # Errors
/// When a manifest cannot be read from the place, or a file cannot be written.
pub(super) fn reconcile(
    restic: &Restic,
    layout: &Layout,
    catalog: &Catalog,
    repository_id: &str,
    restic_repository: &str,
    listing: &Listing,
) -> Result<Reconciled, OffsiteError> {
    let place = restic.settings().name();
    let known = by_key(catalog, repository_id);
    let mut result = Reconciled::default();
    for copy in listing.of_repository(repository_id) {
        match known.get(&copy.key) {
            Some(backup) => update(layout, place, restic_repository, backup, copy)?,
            None => match adopt(restic, layout, restic_repository, copy) {
                Ok(()) => result.adopted += 1,
                Err(error) if error.is_of_one() => {
                    let key = &copy.key;
                    let what = format!("the copy of {} {}", key.component, key.backup_id);
                    result.warnings.push(format!("{what} cannot be used: {error}"));
                }
                Err(error) => return Err(error),
            },
        }
    }
    for (key, backup) in known.iter().filter(|(key, _)| !listing.copies.contains_key(key)) {
        if backup.copy_in(place).is_some() {
            result.warnings.extend(forget_missing(layout, place, restic_repository, key, backup)?);
        }
    }
    Ok(result)
}

/// Writes the record of a copy, unless it is up to date.
fn update(
    layout: &Layout,
    place: &str,
    restic_repository: &str,
    backup: &Backup,
    copy: &Copy,
) -> Result<(), OffsiteError> {
    let path = layout.offsite(&backup.collection, backup.backup_id, place);
    let before = json_file::read::<OffsiteRecord>(&path).ok();
    let is_of = |record: &OffsiteRecord| {
        record.repository == restic_repository
            && copy.manifest.snapshot.starts_with(&record.manifest_snapshot)
    };
    if before.as_ref().is_some_and(is_of) && backup.copy_in(place).is_some() {
        return Ok(());
    }
    let mut record = record_of(copy, place, restic_repository);
    record.only_copy = before.is_some_and(|record| record.only_copy);
    write(&path, &record)
}

fn record_of(copy: &Copy, place: &str, restic_repository: &str) -> OffsiteRecord {
    OffsiteRecord::new(
        copy.key.backup_id,
        place,
        restic_repository,
        copy.copied_at,
        copy.manifest.snapshot.clone(),
        copy.archives.iter().map(|file| file.snapshot.clone()).collect(),
    )
}

/// Adds an offsite-only backup for a copy.
///
/// # Crash safety
/// The record is written first, so that a manifest without archives always has a record of their location.
fn adopt(restic: &Restic, layout: &Layout, restic_repository: &str, copy: &Copy) -> Result<(), OffsiteError> {
    let (manifest, bytes) = manifest_of(restic, copy)?;
    let place = restic.settings().name();
    let directory = layout.collection(&manifest.collection);
    let parent = directory.parent().unwrap_or(layout.root());
    let made = atomic::create_directory(parent).and_then(|()| atomic::create_directory(&directory));
    made.map_err(local(&directory))?;
    let mut record = record_of(copy, place, restic_repository);
    record.only_copy = true;
    write(&layout.offsite(&manifest.collection, manifest.backup_id, place), &record)?;
    let path = layout.manifest(&manifest.collection, manifest.backup_id);
    atomic::write(&path, atomic::JSON_MODE, &bytes).map_err(local(&path))
}

/// The manifest of a copy, and its bytes.
///
/// # Errors
/// When it cannot be read, or belongs to another backup.
pub(super) fn manifest_of(restic: &Restic, copy: &Copy) -> Result<(Manifest, Vec<u8>), OffsiteError> {
    let mut bytes = Vec::new();
    let dump = restic.dump(&copy.manifest.snapshot, &copy.manifest.path)?;
    dump.take(MANIFEST_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(of_restic)?;
    let path = Path::new(copy.manifest.path.trim_start_matches('/'));
    let manifest: Manifest =
        json_file::parse(path, &bytes).map_err(|error| OffsiteError::Manifest(error.to_string()))?;
    if manifest.backup_id != copy.key.backup_id || manifest.collection.component() != copy.key.component {
        return Err(OffsiteError::Manifest(format!("{}: describes another backup", path.display())));
    }
    if manifest.archives.len() != copy.archives.len() {
        return Err(OffsiteError::Manifest(format!("{}: describes other archives", path.display())));
    }
    Ok((manifest, bytes))
}

/// The error of reading restic's output.
pub(super) fn of_restic(error: io::Error) -> OffsiteError {
    match error.downcast::<OffsiteError>() {
        Ok(error) => error,
        Err(source) => OffsiteError::Local { what: "reading from restic".to_owned(), source },
    }
}

/// Removes the record of a missing copy. If the repository was replaced by another one, the record of an offsite-only backup is
/// kept.
fn forget_missing(
    layout: &Layout,
    place: &str,
    restic_repository: &str,
    key: &Key,
    backup: &Backup,
) -> Result<Option<String>, OffsiteError> {
    let path = layout.offsite(&backup.collection, backup.backup_id, place);
    let of_another =
        json_file::read::<OffsiteRecord>(&path).is_ok_and(|record| record.repository != restic_repository);
    let what = format!("the copy of \"{}\" {}", backup.collection, key.backup_id);
    if of_another && backup.is_offsite_only() {
        return Ok(Some(format!(
            "{what} is missing: it was in a different repository that was then called {place}, and exists nowhere else"
        )));
    }
    remove_record(layout, &backup.collection, backup, place)?;
    Ok((!of_another).then(|| format!("{what} is missing: someone else deleted it")))
}

/// Removes the record of a copy for good.
///
/// # Errors
/// When the file system refuses.
pub(super) fn remove_record(
    layout: &Layout,
    collection: &CollectionName,
    backup: &Backup,
    place: &str,
) -> Result<(), OffsiteError> {
    let path = layout.offsite(collection, backup.backup_id, place);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(local(&path)(error)),
        Ok(()) => sync_directory(&layout.collection(collection)).map_err(local(&path)),
    }
}

/// Records when all copies that were complete by `complete_by` were read back. With none, no copy counts as read back.
///
/// # Errors
/// When the file system refuses.
pub(super) fn note_checked(
    layout: &Layout,
    catalog: &Catalog,
    place: &str,
    complete_by: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<(), OffsiteError> {
    for backup in catalog.collections.values().flatten() {
        let Some(copied) = backup.copy_in(place) else { continue };
        let at = match complete_by {
            Some((by, _)) if copied.copied_at > by => continue,
            Some((_, at)) => Some(at),
            None if copied.last_checked_at.is_none() => continue,
            None => None,
        };
        let path = layout.offsite(&backup.collection, backup.backup_id, place);
        let mut record: OffsiteRecord =
            json_file::read(&path).map_err(|error| OffsiteError::Manifest(error.to_string()))?;
        record.last_checked_at = at;
        write(&path, &record)?;
    }
    Ok(())
}

pub(super) fn write(path: &Path, record: &OffsiteRecord) -> Result<(), OffsiteError> {
    json_file::write(path, record).map_err(local(path))
}

fn local(path: &Path) -> impl FnOnce(io::Error) -> OffsiteError + use<'_> {
    move |source| OffsiteError::Local { what: format!("{}: cannot be written", path.display()), source }
}
