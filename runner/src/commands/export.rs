//! `qdrant-backup export`: a backup's snapshot as Qdrant and curl take it.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{HumanBytes, ProgressBar};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::atomic::{ARCHIVE_MODE, AtomicFile};
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::manifest::{Archive, Manifest};
use qdrant_backup_shared::text::one_line;
use tokio_util::sync::CancellationToken;

use super::from::From;
use super::{Refusal, collection, corrupt, listen, repository};
use crate::archive::read::{ArchiveError, ArchiveReader, Prove, Source};
use crate::choice::{Accept, ChoiceError, Which, choose_one};
use crate::commands::cli::ExportArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::shell::quoted;
use crate::settings::Settings;
use crate::store::lock::ReadersLock;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot write to {to}: {source}")]
    Write { to: String, source: io::Error },
    #[error("the snapshot is not as the manifest says (length or digest); the export is not to be used")]
    Mismatch,
    #[error("interrupted by a signal")]
    Interrupted,
}

/// Where the snapshot goes.
enum Target {
    Stdout,
    File { file: AtomicFile, path: PathBuf, replace: bool },
}

/// Streams the snapshot out, its digests computed on the way. Takes the readers' lock only, so that it works beside
/// a backup.
pub async fn export(
    settings: &Settings,
    args: &ExportArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let begun = Instant::now();
    let signals = listen()?;
    let collection = collection(&args.collection)?;
    let from = From::look(settings, &args.from, std::slice::from_ref(&collection), signals.token(), clock)?;
    let layout = repository::layout(from.settings());
    let source = from.source();
    repository::open(&layout)?;
    let _lock = ReadersLock::share(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = Catalog::read(&layout).map_err(|error| {
        Refusal::failed(format!("{}: cannot be read: {error}", layout.collections().display()))
    })?;
    let backup = choose(&catalog, &collection, args.backup)?.whole(&layout).map_err(Refusal::failed)?;
    let manifest = &backup.manifest;
    if let Some(requirement) = manifest.unknown_requirement() {
        return Err(Refusal::failed(format!(
            "backup {} requires \"{requirement}\", which this version does not know",
            manifest.backup_id
        )));
    }
    let [archive] = manifest.archives.as_slice() else {
        return Err(Refusal::failed(format!(
            "backup {} has {} archives, one for each node; export takes one snapshot",
            manifest.backup_id,
            manifest.archives.len()
        )));
    };
    let target = Target::open(&args.output, args.force)?;
    let bar = console.transfer(&collection, archive.stored.size_bytes);
    let result = copy(&source, manifest, archive, target, &bar, &signals.token());
    bar.finish_and_clear();
    match result {
        Ok(to) => {
            let size = HumanBytes(archive.snapshot.size_bytes);
            tracing::info!(
                "Exported {collection} {} to {to}: {size}, digest as the manifest's ({})",
                manifest.backup_id,
                archive.snapshot.sha256
            );
            Ok(Exit::Success)
        }
        Err(error) => {
            let exit = match &error {
                ExportError::Interrupted => signals.received().map_or(Exit::Failed, Exit::Interrupted),
                ExportError::Mismatch | ExportError::Archive(ArchiveError::Corrupt { .. }) => {
                    Exit::VerificationFailed
                }
                ExportError::Archive(_) | ExportError::Write { .. } => Exit::Failed,
            };
            let mut message = format!("export of {collection} {} failed: {error}", manifest.backup_id);
            if exit == Exit::VerificationFailed && !from.is_place() {
                let again = |other| {
                    let (collection, output) = (collection.as_str(), args.output.display().to_string());
                    format!(
                        "export {other} instead: `qdrant-backup export --collection {} --backup {other} -o {}`",
                        quoted(collection),
                        quoted(&output)
                    )
                };
                let (problem, took) = (error.to_string(), begun.elapsed());
                let advice = corrupt::on_record(&layout, &catalog, manifest, &problem, took, clock, again);
                message = format!("{message}; {advice}");
            }
            Err(Refusal { exit, message })
        }
    }
}

/// The backup that is meant.
fn choose<'c>(
    catalog: &'c Catalog,
    collection: &CollectionName,
    which: Which,
) -> Result<&'c Backup, Refusal> {
    let backups = catalog.collections.get(collection).map(Vec::as_slice).unwrap_or_default();
    let chosen = choose_one(backups, which, Accept::Named).map_err(|error| match error {
        ChoiceError::None => Refusal::failed(format!(
            "there is no backup of collection \"{collection}\"; `qdrant-backup list` shows what there is"
        )),
        ChoiceError::NoneFits { .. } => Refusal::failed(format!(
            "collection \"{collection}\": {error}; name one with --backup to try it all the same"
        )),
        ChoiceError::NoSuchId(_)
        | ChoiceError::OffsiteOnly { .. }
        | ChoiceError::Incomplete { .. }
        | ChoiceError::Failed { .. } => Refusal::failed(format!("collection \"{collection}\": {error}")),
    })?;
    if chosen.condition() == Condition::Failed {
        tracing::warn!(
            "Backup {} of {collection} has failed verification; `qdrant-backup list` shows others",
            chosen.backup_id
        );
    }
    if chosen.condition() == Condition::Unknown {
        tracing::warn!(
            "Backup {} of {collection} is not known to be good: {}; `qdrant-backup verify` finds out",
            chosen.backup_id,
            one_line(chosen.remarks().unknown.as_deref().unwrap_or_default())
        );
    }
    Ok(chosen)
}

impl Target {
    fn open(output: &Path, force: bool) -> Result<Self, Refusal> {
        if output == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Refusal::failed("stdout is a terminal; redirect it or give -o FILE"));
            }
            return Ok(Self::Stdout);
        }
        let shown = output.display();
        match fs::symlink_metadata(output) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(Refusal::failed(format!("{shown} is there and is not a regular file")));
            }
            Ok(_) if !force => {
                return Err(Refusal::failed(format!("{shown} is there already; --force replaces it")));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Refusal::failed(format!("{shown}: {error}")));
            }
            Ok(_) | Err(_) => {}
        }
        let file = AtomicFile::create(output, ARCHIVE_MODE)
            .map_err(|error| Refusal::failed(format!("{shown}: cannot be made: {error}")))?;
        Ok(Self::File { file, path: output.to_owned(), replace: force })
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(bytes),
            Self::File { file, .. } => file.file().write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().flush(),
            Self::File { file, replace: true, .. } => Ok(file.commit()?),
            Self::File { file, replace: false, .. } => Ok(file.commit_new()?),
        }
    }
}

/// Copies the snapshot to `target` and gives the target's name.
///
/// # Crash safety
/// A file appears under its name only when all of it is there and has its digest.
fn copy(
    source: &Source,
    manifest: &Manifest,
    archive: &Archive,
    mut target: Target,
    bar: &ProgressBar,
    interrupt: &CancellationToken,
) -> Result<String, ExportError> {
    let to = target.name();
    let write_error = |source: io::Error| ExportError::Write { to: to.clone(), source };
    let mut reader = ArchiveReader::open(source, manifest, archive, Prove::Snapshot)?;
    let mut left = archive.snapshot.size_bytes;
    loop {
        if interrupt.is_cancelled() {
            return Err(ExportError::Interrupted);
        }
        let count = match reader.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => {
                // Before it fills the disk.
                left = left.checked_sub(bytes.len() as u64).ok_or(ExportError::Mismatch)?;
                target.write(bytes).map_err(write_error)?;
                bytes.len()
            }
            Err(error) => {
                let unexpected = |source| ArchiveError::Io { path: archive.file_name.clone().into(), source };
                return Err(error.downcast::<ArchiveError>().unwrap_or_else(unexpected).into());
            }
        };
        reader.consume(count);
        bar.set_position(reader.read_bytes());
    }
    let digests = reader.finish()?;
    if digests.snapshot != archive.snapshot {
        return Err(ExportError::Mismatch);
    }
    target.finish().map_err(write_error)?;
    Ok(to)
}
