//! `qdrant-backup import`: makes backups of snapshot files.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::manifest::ServerChecksum;
use qdrant_backup_shared::text::one_line;

use super::{Refusal, listen, repository, target};
use crate::commands::cli::ImportArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::settings::Settings;
use crate::store::import::{Adopted, ImportError, Importer};

/// Imports the files one after the other. A failed one does not stop the others.
pub async fn import(settings: &Settings, args: &ImportArgs, clock: Clock) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let layout = repository::layout(settings);
    let collection = args.collection.as_deref().map(|name| target("--collection", name)).transpose();
    let collection = collection.map_err(Refusal::configuration)?;
    let at = args.at.as_deref().map(time).transpose()?;
    repository::open(settings)?;
    let _lock = repository::lock(settings, &layout, "import", clock, &signals).await?;
    let mut failed = 0;
    for path in &args.files {
        // Read again for each file, to include those just imported.
        let catalog = repository::read_catalog(&layout)?;
        let importer = Importer {
            layout: &layout,
            catalog: &catalog,
            clock,
            collection: collection.as_ref(),
            at,
            interrupt: signals.token(),
        };
        let shown = one_line(&path.display().to_string());
        let mut told = Told { shown: &shown, read_bytes: 0, last: Instant::now() };
        match importer.import(path, &mut |bytes| told.add(bytes)) {
            Ok(Adopted::New { manifest, remarks }) => {
                for remark in remarks {
                    tracing::warn!("{shown}: {}", one_line(&remark));
                }
                let checked = manifest
                    .archives
                    .iter()
                    .all(|archive| archive.server_checksum == ServerChecksum::Matched);
                let digest = match manifest.archives.as_slice() {
                    _ if manifest.is_by_shard() => "every shard matches manifest.json".to_owned(),
                    [archive, ..] => format!("SHA-256 of the snapshot {}…", archive.snapshot.sha256.short()),
                    [] => String::new(),
                };
                tracing::info!(
                    "Imported {shown} as backup {} of {} ({} stored, {} uncompressed, {digest}{})",
                    manifest.backup_id,
                    manifest.collection,
                    HumanBytes(manifest.stored_size_bytes()),
                    HumanBytes(manifest.snapshot_size_bytes()),
                    if checked && !manifest.is_by_shard() { ", matches Qdrant's checksum file" } else { "" }
                );
            }
            Ok(Adopted::Known(id)) => {
                tracing::info!("{shown}: backup {id} already contains this snapshot; nothing changed");
            }
            Err(ImportError::Interrupted) => {
                let exit = signals.received().map_or(Exit::Failed, Exit::Interrupted);
                return Err(Refusal { exit, message: format!("{shown}: {}", ImportError::Interrupted) });
            }
            Err(error) => {
                tracing::error!("{shown}: not imported: {}", one_line(&error.to_string()));
                failed += 1;
            }
        }
    }
    Ok(match failed {
        0 => Exit::Success,
        all if all == args.files.len() => Exit::Failed,
        _some => Exit::Partial,
    })
}

/// How often a long import logs its progress, because it holds the lock.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The progress of reading a file, for the log.
struct Told<'a> {
    shown: &'a str,
    read_bytes: u64,
    last: Instant,
}

impl Told<'_> {
    fn add(&mut self, bytes: u64) {
        self.read_bytes += bytes;
        if self.last.elapsed() >= TELL_EVERY {
            self.last = Instant::now();
            tracing::info!("{}: still reading, {} so far", self.shown, HumanBytes(self.read_bytes));
        }
    }
}

/// A time in RFC 3339, or as a backup id has it.
fn time(text: &str) -> Result<DateTime<Utc>, Refusal> {
    let rfc = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = rfc.ok().or_else(|| text.parse::<BackupId>().ok().map(|id| id.time()));
    // Another time cannot become an id.
    time.filter(|time| BackupId::of(*time).is_some()).ok_or_else(|| {
        Refusal::configuration(format!(
            "--at: expected a time such as 2025-07-15T14:30:00Z, got \"{}\"",
            one_line(text)
        ))
    })
}
