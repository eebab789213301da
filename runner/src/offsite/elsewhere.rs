//! The copies in a place as a source: a temporary directory with their manifests, and restic for the archives. Archives are never
//! stored on disk here.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::manifest::{Archive, Manifest};
use qdrant_backup_shared::{
    BackupId, CollectionName, Layout, Repository, Status, atomic, json_file, status_journal,
};

use super::error::OffsiteError;
use super::listing::{Copy, File, Listing};
use super::locks::alone;
use super::records::{hold_of, manifest_of};
use super::restic::Restic;
use super::tags::plain_name;
use crate::archive::read::Elsewhere;

/// A request to a place.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The id of the backup directory. If unknown, the only one in the place.
    pub repository_id: Option<&'a str>,
    /// The collections. Empty means all.
    pub collections: &'a [CollectionName],
    /// The backup directory, if it exists: its manifests need not be fetched.
    pub local: Option<&'a Layout>,
}

/// The copies of a place.
#[derive(Debug)]
pub struct Copies {
    directory: tempfile::TempDir,
    layout: Layout,
    archives: Arc<Archives>,
    /// Copies with unusable manifests, one line each.
    pub problems: Vec<String>,
}

/// The archives of copies, by their names in the manifests.
#[derive(Debug)]
struct Archives {
    restic: Restic,
    files: BTreeMap<(CollectionName, BackupId, String), File>,
}

impl Copies {
    /// Lists the place, and creates the directory for the request.
    ///
    /// # Errors
    /// As [`OffsiteError`] says.
    pub fn look(restic: &Restic, wanted: &Wanted<'_>, now: DateTime<Utc>) -> Result<Self, OffsiteError> {
        restic.version()?;
        alone(restic, now, || restic.repository_id())?;
        let listing = alone(restic, now, || Listing::read(restic))?;
        let repository_id = match wanted.repository_id {
            Some(id) if listing.of_repository(id).next().is_some() => id.to_owned(),
            Some(_) | None => only_repository(restic.settings().name(), &listing)?,
        };
        let local = |source: io::Error| OffsiteError::Local {
            what: "creating a temporary directory".to_owned(),
            source,
        };
        let directory = tempfile::Builder::new().prefix("qdrant-backup-").tempdir().map_err(local)?;
        let layout = Layout::new(directory.path(), directory.path());
        let repository = Repository::new(repository_id.clone(), now);
        json_file::write_new(&layout.repository_file(), &repository).map_err(|error| local(error.into()))?;
        let mut files = BTreeMap::new();
        let mut problems = Vec::new();
        let components: Vec<String> = wanted.collections.iter().map(CollectionName::component).collect();
        let is_wanted = |copy: &&Copy| components.is_empty() || components.contains(&copy.key.component);
        let known = wanted.local.and_then(|layout| Catalog::read(layout).ok());
        for copy in listing.of_repository(&repository_id).filter(is_wanted) {
            let here = known
                .as_ref()
                .zip(wanted.local)
                .and_then(|(catalog, layout)| local_manifest(catalog, layout, copy));
            let manifest =
                match here.map_or_else(|| manifest_of(restic, copy).map(|(manifest, _)| manifest), Ok) {
                    Ok(manifest) => manifest,
                    Err(error) if error.is_of_one() => {
                        problems.push(error.to_string());
                        continue;
                    }
                    Err(error) => return Err(error),
                };
            let held = hold_of(restic, copy)?
                .map(|hold| (layout.hold(&manifest.collection, manifest.backup_id), hold));
            lay_out(&layout, manifest, copy, &mut files).map_err(local)?;
            if let Some((path, hold)) = held {
                atomic::write(&path, atomic::JSON_MODE, &hold).map_err(local)?;
            }
        }
        if let Some(status) = wanted.local.and_then(|here| retired(here, &repository_id)) {
            json_file::write(&layout.status_file(), &status).map_err(local)?;
        }
        Ok(Self {
            directory,
            layout,
            archives: Arc::new(Archives { restic: restic.clone(), files }),
            problems,
        })
    }

    /// The directory with the manifests.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The source of the archives.
    pub fn archives(&self) -> Arc<dyn Elsewhere> {
        Arc::clone(&self.archives) as Arc<dyn Elsewhere>
    }

    /// The path of that directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A status that only has the marks of retired collections, if the directory `here` is the one with this id and has any: they are not
/// restored with all others.
fn retired(here: &Layout, repository_id: &str) -> Option<Status> {
    let status = status_journal::read_own(here).ok()?.status;
    let is_it = status.repository_id.as_deref() == Some(repository_id);
    (is_it && !status.retired_collections.is_empty()).then(|| Status {
        repository_id: status.repository_id,
        retired_collections: status.retired_collections,
        ..Status::new(status.runner_version, status.hostname)
    })
}

/// The only backup directory with copies.
///
/// # Errors
/// When there is none, or more than one.
pub fn only_repository(place: &str, listing: &Listing) -> Result<String, OffsiteError> {
    let found = listing.repositories();
    let mut ids = found.keys();
    match (ids.next(), ids.next()) {
        (Some(only), None) => Ok((*only).to_owned()),
        (None, _) => Err(OffsiteError::Manifest(format!("there is no copy in {place}"))),
        (Some(_), Some(_)) => {
            let all: Vec<String> = found.iter().map(|(id, count)| format!("{id} ({count} copies)")).collect();
            Err(OffsiteError::Manifest(format!(
                "{place} has copies of several backup directories: {}; choose one with --repository ID",
                all.join(", ")
            )))
        }
    }
}

/// The manifest of the same backup, if it is here.
fn local_manifest(catalog: &Catalog, layout: &Layout, copy: &Copy) -> Option<Manifest> {
    let mut all = catalog.collections.iter().filter(|(name, _)| name.component() == copy.key.component);
    let (_, backups) = all.next()?;
    let backup = backups.iter().find(|backup| backup.backup_id == copy.key.backup_id)?;
    let manifest = backup.whole(layout).ok()?.manifest;
    (manifest.archives.len() == copy.archives.len()).then_some(manifest)
}

/// Writes the manifest of a copy, whose archives are plain snapshots. Empty sparse files of the same size replace the archives,
/// so that the backup counts as complete.
fn lay_out(
    layout: &Layout,
    mut manifest: Manifest,
    copy: &Copy,
    files: &mut BTreeMap<(CollectionName, BackupId, String), File>,
) -> io::Result<()> {
    let directory = layout.collection(&manifest.collection);
    atomic::create_directory(directory.parent().unwrap_or(layout.root()))?;
    atomic::create_directory(&directory)?;
    for (archive, file) in manifest.archives.iter_mut().zip(&copy.archives) {
        archive.file_name = plain_name(archive).to_owned();
        archive.encoding.clear();
        archive.stored = archive.snapshot;
        let path = directory.join(&archive.file_name);
        OpenOptions::new().write(true).create_new(true).open(path)?.set_len(archive.stored.size_bytes)?;
        let name = archive.file_name.clone();
        files.insert((manifest.collection.clone(), manifest.backup_id, name), file.clone());
    }
    json_file::write(&layout.manifest(&manifest.collection, manifest.backup_id), &manifest)
}

impl Elsewhere for Archives {
    fn open(&self, manifest: &Manifest, archive: &Archive) -> io::Result<Box<dyn Read + Send>> {
        let key = (manifest.collection.clone(), manifest.backup_id, archive.file_name.clone());
        let file = self.files.get(&key).ok_or(io::ErrorKind::NotFound)?;
        let dump = self.restic.dump(&file.snapshot, &file.path).map_err(OffsiteError::while_reading)?;
        Ok(Box::new(dump))
    }
}
