//! Source of archives: the backup directory, or an offsite place.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::manifest::{Archive, Manifest};

/// An offsite place with archives. Its data is checked with the digests of the manifest, as always.
pub trait Elsewhere: fmt::Debug + Send + Sync {
    /// The stored bytes of an archive of `manifest`, from the beginning. Missing data is an error of the reader, never an early
    /// end.
    ///
    /// # Errors
    /// When the place cannot be used.
    fn open(&self, manifest: &Manifest, archive: &Archive) -> io::Result<Box<dyn Read + Send>>;
}

/// Source of archives. Manifests and records are always in the directory.
#[derive(Debug, Clone)]
pub struct Source {
    layout: Layout,
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Source {
    /// The backup directory.
    pub fn here(layout: Layout) -> Self {
        Self { layout, elsewhere: None }
    }

    /// An offsite place. `layout` has the manifests of its copies.
    pub fn elsewhere(layout: Layout, place: Arc<dyn Elsewhere>) -> Self {
        Self { layout, elsewhere: Some(place) }
    }

    /// The directory of manifests and records.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether archives come from an offsite place.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// The offsite place, if archives come from one.
    pub(super) fn place(&self) -> Option<&dyn Elsewhere> {
        self.elsewhere.as_deref()
    }
}
