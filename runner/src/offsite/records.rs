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
use super::listing::{Copy, File, Listing};
use super::restic::Restic;
use super::tags::Key;

/// Maximum size of a manifest, in bytes.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;

/// Differences between the place and the records.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    /// Number of backups that were added because only a copy was left.
    pub(super) adopted: usize,
    /// Number of backups that are on hold because the place has their hold.
    pub(super) held: usize,
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
            Some(backup) => {
                if update(restic, layout, restic_repository, backup, copy)? {
                    result.held += 1;
                }
            }
            None => match adopt(restic, layout, restic_repository, copy) {
                Ok(()) => {
                    result.adopted += 1;
                    result.held += usize::from(copy.hold.is_some());
                }
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

/// Writes the record of a copy, unless it is up to date. Whether the hold in the place was placed here again: only a hold that
/// the record knows can have been released here.
fn update(
    restic: &Restic,
    layout: &Layout,
    restic_repository: &str,
    backup: &Backup,
    copy: &Copy,
) -> Result<bool, OffsiteError> {
    let place = restic.settings().name();
    let path = layout.offsite(&backup.collection, backup.backup_id, place);
    let before = json_file::read::<OffsiteRecord>(&path).ok();
    let is_of = |record: &OffsiteRecord| {
        backup.copy_in(place).is_some()
            && record.repository == restic_repository
            && copy.manifest.snapshot.starts_with(&record.manifest_snapshot)
    };
    let is_new = !before.as_ref().is_some_and(|record| is_of(record) && record.held);
    let places_hold = is_new && copy.hold.is_some() && backup.remarks().hold.is_none();
    if places_hold {
        place_hold(restic, layout, &backup.collection, copy)?;
    }
    if before.as_ref().is_some_and(|record| is_of(record) && record.held == copy.hold.is_some()) {
        return Ok(false);
    }
    let record = match before {
        Some(record) if is_of(&record) => OffsiteRecord { held: copy.hold.is_some(), ..record },
        other => OffsiteRecord {
            only_copy: other.is_some_and(|record| record.only_copy),
            ..record_of(copy, place, restic_repository)
        },
    };
    write(&path, &record)?;
    Ok(places_hold)
}

/// Places the hold of a copy here.
fn place_hold(
    restic: &Restic,
    layout: &Layout,
    collection: &CollectionName,
    copy: &Copy,
) -> Result<(), OffsiteError> {
    let Some(hold) = hold_of(restic, copy)? else { return Ok(()) };
    let path = layout.hold(collection, copy.key.backup_id);
    atomic::write(&path, atomic::JSON_MODE, &hold).map_err(local(&path))
}

/// The hold file of a copy. Its content is not judged: one that cannot be read is a hold, too.
///
/// # Errors
/// When restic cannot read it.
pub(super) fn hold_of(restic: &Restic, copy: &Copy) -> Result<Option<Vec<u8>>, OffsiteError> {
    let Some(hold) = &copy.hold else { return Ok(None) };
    read_file(restic, hold).map(Some)
}

/// A small file of a place.
fn read_file(restic: &Restic, file: &File) -> Result<Vec<u8>, OffsiteError> {
    let mut bytes = Vec::new();
    let dump = restic.dump(&file.snapshot, &file.path)?;
    dump.take(MANIFEST_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(of_restic)?;
    Ok(bytes)
}

fn record_of(copy: &Copy, place: &str, restic_repository: &str) -> OffsiteRecord {
    let archives = copy.archives.iter().map(|file| file.snapshot.clone()).collect();
    let manifest = copy.manifest.snapshot.clone();
    let (id, at) = (copy.key.backup_id, copy.copied_at);
    let record = OffsiteRecord::new(id, place, restic_repository, at, manifest, archives);
    OffsiteRecord { held: copy.hold.is_some(), ..record }
}

/// Adds an offsite-only backup for a copy.
///
/// # Crash safety
/// The record is written first, so that a manifest without archives always has a record of their location. Then the hold, and the
/// manifest last.
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
    place_hold(restic, layout, &manifest.collection, copy)?;
    let path = layout.manifest(&manifest.collection, manifest.backup_id);
    atomic::write(&path, atomic::JSON_MODE, &bytes).map_err(local(&path))
}

/// The manifest of a copy, and its bytes.
///
/// # Errors
/// When it cannot be read, or belongs to another backup.
pub(super) fn manifest_of(restic: &Restic, copy: &Copy) -> Result<(Manifest, Vec<u8>), OffsiteError> {
    let bytes = read_file(restic, &copy.manifest)?;
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
