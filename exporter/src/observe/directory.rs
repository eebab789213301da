//! The whole backup directory, cached as far as it has not changed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::catalog::{Place, Unreadable};
use qdrant_backup_shared::{Layout, Repository, json_file};

use super::collection::Collection;
use super::observation::DirectoryView;
use super::stamp::Stamp;

/// Every file is checked again after this time: a failing disk changes a file in place, but not its directory.
const LOOK_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Reads a backup directory repeatedly.
#[derive(Debug)]
pub(super) struct Directory {
    layout: Layout,
    /// The collections, and the backups of configuration files.
    collections: BTreeMap<Place, Collection>,
    stamp: Option<Stamp>,
    /// When every file was last checked.
    looked_at: Option<DateTime<Utc>>,
}

/// The result of one observation.
#[derive(Debug, Default)]
pub(super) struct DirectoryLook {
    pub view: Option<Arc<DirectoryView>>,
    pub problem: Option<String>,
    pub problems: Vec<Unreadable>,
}

impl Directory {
    pub fn new(layout: Layout) -> Self {
        Self { layout, collections: BTreeMap::new(), stamp: None, looked_at: None }
    }

    /// Observes the directory. Collections that have not changed are not listed again, unless it is time to check everything.
    pub fn look(&mut self, now: DateTime<Utc>) -> DirectoryLook {
        let root = self.layout.root();
        match std::fs::metadata(root) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return failed(format!("{}: is not a directory", root.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return failed(format!("{}: no such directory; is the disk mounted?", root.display()));
            }
            Err(error) => return failed(format!("{}: cannot be read: {error}", root.display())),
        }
        let mut look = DirectoryLook::default();
        self.check_repository(&mut look);
        if let Err(error) = self.refresh(now) {
            look.problem = Some(format!("{}: cannot be read: {error}", self.layout.collections().display()));
            return look;
        }
        let view = self.view(&mut look);
        // A directory without a marker and without backups may belong to another program or be an empty mount point.
        // Nothing is known about backups then, not even that there are none.
        if look.problem.is_none() || !view.collections.is_empty() {
            look.view = Some(Arc::new(view));
        }
        look
    }

    fn check_repository(&self, look: &mut DirectoryLook) {
        let path = self.layout.repository_file();
        match json_file::read::<Repository>(&path) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                look.problem = Some(format!(
                    "{}: not a backup repository (no repository.json); is the disk mounted?",
                    self.layout.root().display()
                ));
            }
            Err(error) => {
                look.problem = Some(error.to_string());
                look.problems.push(Unreadable { path, problem: error.to_string() });
            }
        }
    }

    /// Updates the cache.
    fn refresh(&mut self, now: DateTime<Utc>) -> io::Result<()> {
        // The check must not be postponed if the clock was set back.
        let everything = self.looked_at.is_none_or(|at| now < at || now - at >= LOOK_AGAIN_AFTER);
        // Taken before the listing: a change meanwhile changes it.
        let stamp = Stamp::at(&self.layout.collections()).ok().and_then(|stamp| stamp.settled(now));
        let (files, had_files) =
            (Place::files(&self.layout), self.collections.keys().any(Place::is_of_files));
        if everything || stamp.is_none() || stamp != self.stamp || files.is_some() != had_files {
            let places = Place::collections(&self.layout)?.into_iter().chain(files);
            let mut known = std::mem::take(&mut self.collections);
            let kept = places.map(|place| (known.remove(&place).unwrap_or_default(), place));
            self.collections = kept.map(|(collection, place)| (place, collection)).collect();
            self.stamp = stamp;
        }
        for (place, collection) in &mut self.collections {
            if everything || !collection.is_unchanged(place.path()) {
                *collection = Collection::look(&self.layout, place, collection, now);
            }
        }
        self.looked_at = if everything { Some(now) } else { self.looked_at };
        Ok(())
    }

    fn view(&self, look: &mut DirectoryLook) -> DirectoryView {
        let mut view = DirectoryView::default();
        for collection in self.collections.values() {
            if let Some(name) = &collection.name {
                view.collections.insert((**name).clone(), collection.view.clone());
            }
            view.orphan_files += collection.orphan_files;
            view.orphan_bytes += collection.orphan_bytes;
            view.temporary_files += collection.temporary_files;
            look.problems.extend_from_slice(&collection.problems);
        }
        look.problems.sort_by(|one, other| one.path.cmp(&other.path));
        view
    }
}

fn failed(problem: String) -> DirectoryLook {
    DirectoryLook { problem: Some(problem), ..DirectoryLook::default() }
}
