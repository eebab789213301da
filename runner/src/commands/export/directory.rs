//! Export of a backup by shards: a directory with a file for each shard, and everything to restore them by hand.

use std::fs;
use std::io;
use std::path::Path;

use indicatif::ProgressBar;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::manifest::Manifest;
use tokio_util::sync::CancellationToken;

use super::by_hand::ByHand;
use super::readme::{readme, shard_id};
use super::target::{ExportError, Target, copy};
use crate::archive::read::Source;
use crate::archive::write::Tally;
use crate::commands::Refusal;
use crate::host::empty_directory::EmptyDirectory;
use crate::store::import::{MANIFEST, shard_file_name};

/// An export of shards failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", shard_id.map_or_else(String::new, |id| format!("shard {id}: ")))]
pub struct DirectoryError {
    /// The shard that failed, if any.
    pub shard_id: Option<u32>,
    /// Why the export failed.
    pub error: ExportError,
}

impl From<ExportError> for DirectoryError {
    fn from(error: ExportError) -> Self {
        Self { shard_id: None, error }
    }
}

/// An initially empty directory, and the files written to it.
#[derive(Debug)]
pub struct Directory {
    empty: EmptyDirectory,
    files: Vec<String>,
    /// As `sha256sum` writes them.
    sums: String,
}

impl Directory {
    /// Uses the directory at `output`, which must be empty or new.
    ///
    /// # Errors
    /// When it is something else, or cannot be created.
    pub fn open(output: &Path, manifest: &Manifest) -> Result<Self, Refusal> {
        let empty = if output == Path::new("-") {
            Err("`-` is stdout".to_owned())
        } else {
            EmptyDirectory::open(output).map_err(|problem| format!("{}: {problem}", output.display()))
        };
        let empty = empty.map_err(|problem| {
            Refusal::failed(format!(
                "backup {} consists of single shards ({}), each exported to its own file: -o must be an empty or new directory: {problem}",
                manifest.backup_id,
                manifest.archives.len()
            ))
        })?;
        Ok(Self { empty, files: Vec::new(), sums: String::new() })
    }

    /// Writes the whole backup.
    ///
    /// # Crash safety
    /// The manifest and the README are written last. A killed export leaves neither.
    ///
    /// # Errors
    /// When an archive does not match the manifest, or something cannot be read or written. Written files are then removed.
    pub fn fill(
        mut self,
        source: &Source,
        manifest: &Manifest,
        bar: &ProgressBar,
        interrupt: &CancellationToken,
    ) -> Result<(), DirectoryError> {
        let written = self.write(source, manifest, bar, interrupt);
        if written.is_err() {
            self.discard();
        }
        written
    }

    fn write(
        &mut self,
        source: &Source,
        manifest: &Manifest,
        bar: &ProgressBar,
        interrupt: &CancellationToken,
    ) -> Result<(), DirectoryError> {
        let mut read_bytes = 0;
        for archive in &manifest.archives {
            let id = shard_id(archive);
            let at = |error| DirectoryError { shard_id: Some(id), error };
            let name = shard_file_name(id);
            let target = self.target(&name).map_err(at)?;
            let passed = |bytes| bar.set_position(read_bytes + bytes);
            copy(source, manifest, archive, target, &passed, interrupt).map_err(at)?;
            self.files.push(name.clone());
            self.sums += &format!("{}  {name}\n", archive.snapshot.sha256);
            read_bytes += archive.stored.size_bytes;
        }
        let by_hand = ByHand::of(manifest);
        let mut requests = serde_json::to_vec_pretty(&by_hand).map_err(self.cannot("collection.json"))?;
        requests.push(b'\n');
        self.sum("collection.json", &requests);
        self.put("collection.json", &requests)?;
        let whole = json_file::to_bytes(manifest).map_err(self.cannot(MANIFEST))?;
        self.sum(MANIFEST, &whole);
        let sums = std::mem::take(&mut self.sums);
        self.put("SHA256SUMS", sums.as_bytes())?;
        self.put(MANIFEST, &whole)?;
        self.put("README.md", readme(manifest, &by_hand).as_bytes())?;
        Ok(())
    }

    fn sum(&mut self, name: &str, contents: &[u8]) {
        let mut tally = Tally::default();
        tally.update(contents);
        self.sums += &format!("{}  {name}\n", tally.finish().sha256);
    }

    fn put(&mut self, name: &str, contents: &[u8]) -> Result<(), ExportError> {
        let mut target = self.target(name)?;
        target.write(contents).and_then(|()| target.finish()).map_err(self.cannot(name))?;
        self.files.push(name.to_owned());
        Ok(())
    }

    fn target(&self, name: &str) -> Result<Target, ExportError> {
        Target::new_file(&self.empty.inside().join(name), self.empty.path().join(name))
    }

    fn cannot<E: Into<io::Error>>(&self, name: &str) -> impl Fn(E) -> ExportError + use<E> {
        let to = self.empty.path().join(name).display().to_string();
        move |error| ExportError::Write { to: to.clone(), source: error.into() }
    }

    /// Removes the written files, and the directory if it was created for this.
    fn discard(&self) {
        for name in &self.files {
            if let Err(error) = fs::remove_file(self.empty.inside().join(name)) {
                let path = self.empty.path().join(name);
                tracing::warn!("{}: cannot be removed: {error}; do not use it", path.display());
            }
        }
        if let Err(error) = self.empty.remove() {
            tracing::warn!("{}: cannot be removed: {error}", self.empty.path().display());
        }
    }
}
