//! Where the bytes of stored archives come from: the backup directory, or another place that has copies.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::manifest::{Archive, Manifest};

/// Another place that has archives. What it gives is proven by the digests of the manifest, as everything is.
pub trait Elsewhere: fmt::Debug + Send + Sync {
    /// The stored bytes of an archive of `manifest`, from their beginning. What the place cannot give is an error of the reader, and
    /// never an early end.
    ///
    /// # Errors
    /// When the place cannot be asked.
    fn open(&self, manifest: &Manifest, archive: &Archive) -> io::Result<Box<dyn Read + Send>>;
}

/// Where archives are read from. Manifests and records are in the directory in any case.
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

    /// Another place, of whose copies `layout` has the manifests.
    pub fn elsewhere(layout: Layout, place: Arc<dyn Elsewhere>) -> Self {
        Self { layout, elsewhere: Some(place) }
    }

    /// The directory of manifests and records.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether archives come from another place.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// The other place, if archives come from one.
    pub(super) fn place(&self) -> Option<&dyn Elsewhere> {
        self.elsewhere.as_deref()
    }
}
