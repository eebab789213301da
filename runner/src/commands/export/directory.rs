//! Export of a backup by shards: a directory with a file for each shard, and everything to restore them by hand.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use qdrant_backup_shared::atomic::{ARCHIVE_MODE, AtomicFile};
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::manifest::Manifest;
use tokio_util::sync::CancellationToken;

use super::by_hand::ByHand;
use super::readme::{readme, shard_id};
use super::target::{ExportError, Target, copy};
use crate::archive::read::Source;
use crate::archive::write::Tally;
use crate::commands::Refusal;
use crate::store::import::{MANIFEST, shard_file_name};

/// Only for its owner, because it contains the data.
const MODE: u32 = 0o700;

/// An export of shards failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", shard_id.map_or_else(String::new, |id| format!("shard {id}: ")))]
pub struct DirectoryError {
    /// The shard that failed, if any.
    pub shard_id: Option<u32>,
    /// The error.
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
    path: PathBuf,
    made: bool,
    files: Vec<PathBuf>,
    /// Digests in the format of `sha256sum`.
    sums: String,
}

impl Directory {
    /// The directory at `output`, which must be empty or new.
    ///
    /// # Errors
    /// When it is something else, or cannot be made.
    pub fn open(output: &Path, manifest: &Manifest) -> Result<Self, Refusal> {
        let shown = output.display();
        let failed = |error: io::Error| Refusal::failed(format!("{shown}: {error}"));
        let no_directory = |what: &str| {
            Refusal::failed(format!(
                "backup {} consists of single shards ({}), each exported to its own file: -o must be an \
                 empty or new directory, but {what}",
                manifest.backup_id,
                manifest.archives.len()
            ))
        };
        if output == Path::new("-") {
            return Err(no_directory("`-` is stdout"));
        }
        let made = match fs::metadata(output) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(no_directory(&format!("{shown} is not a directory")));
            }
            Ok(_) if fs::read_dir(output).map_err(failed)?.next().is_some() => {
                return Err(no_directory(&format!("{shown} is not empty")));
            }
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().mode(MODE).create(output);
                made.map_err(|error| Refusal::failed(format!("{shown}: cannot be created: {error}")))?;
                true
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path: output.to_owned(), made, files: Vec::new(), sums: String::new() })
    }

    /// Writes all of the backup.
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
            let target = Target::new_file(self.path.join(&name)).map_err(at)?;
            self.files.push(self.path.join(&name));
            let passed = |bytes| bar.set_position(read_bytes + bytes);
            copy(source, manifest, archive, target, &passed, interrupt).map_err(at)?;
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
        let path = self.path.join(name);
        self.files.push(path.clone());
        let written = AtomicFile::create(&path, ARCHIVE_MODE).and_then(|mut file| {
            file.file().write_all(contents)?;
            Ok(file.commit_new()?)
        });
        written.map_err(self.cannot(name))
    }

    fn cannot<E: Into<io::Error>>(&self, name: &str) -> impl Fn(E) -> ExportError + use<E> {
        let to = self.path.join(name).display().to_string();
        move |error| ExportError::Write { to: to.clone(), source: error.into() }
    }

    /// Removes what was written, and the directory if it was made for this.
    fn discard(&self) {
        for file in &self.files {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("{}: cannot be removed: {error}; do not use it", file.display());
                }
                Ok(()) | Err(_) => {}
            }
        }
        if self.made
            && let Err(error) = fs::remove_dir(&self.path)
        {
            tracing::warn!("{}: cannot be removed: {error}", self.path.display());
        }
    }
}
