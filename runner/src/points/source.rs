//! Chooses the backup, and restores it into a scratch collection.

use std::time::Instant;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::text::one_line;

use super::error::PointsError;
use crate::archive::read::Prove;
use crate::backup::Stages;
use crate::choice::{Accept, Which, choose_one};
use crate::restore::{Destination, Facts, check_version, note, scratch};
use crate::session::Session;
use crate::session::leftovers::upload::settle_server;

/// How to choose a backup.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The collection that was backed up.
    pub collection: CollectionName,
    /// Maximum size of the snapshot, in bytes. No limit on a separate server.
    pub max_size_bytes: Option<u64>,
    /// Skip the version check.
    pub allow_version_skew: bool,
    /// Allow a backup given by id that failed verification.
    pub accept_failed: bool,
}

/// Reads the server's information, after deleting leftovers of killed runs.
///
/// # Errors
/// As every request.
pub async fn begin(session: &mut Session, destination: &Destination) -> Result<Facts, PointsError> {
    session.warn_of_unreadable();
    let facts = Facts::ask(destination).await?;
    scratch::remove_leftovers(session, destination, &facts).await;
    settle_server(session, &destination.client).await;
    Ok(facts)
}

/// The selected backup, if it can be restored there.
///
/// # Errors
/// When there is none, it is too large, or of another version.
pub fn choose(
    session: &Session,
    facts: &Facts,
    options: &SourceOptions,
    which: Which,
) -> Result<Whole, PointsError> {
    let backups = session.catalog().collections.get(&options.collection);
    let backups = backups.map(Vec::as_slice).unwrap_or_default();
    let accept = if options.accept_failed { Accept::NamedThoughFailed } else { Accept::Good };
    let backup = choose_one(backups, which, accept, session.present())?;
    if let Some(why) = &backup.remarks().unknown {
        tracing::warn!("backup {} is not known to be good: {}", backup.backup_id, one_line(why));
    }
    scratch::check_size(backup, options.max_size_bytes)?;
    let whole = backup.whole(session.layout()).map_err(crate::restore::RestoreError::from)?;
    if !options.allow_version_skew {
        let version = whole.manifest.source.qdrant_version.as_deref();
        check_version(version, &facts.version).map_err(crate::restore::RestoreError::from)?;
    }
    Ok(whole)
}

/// Restores it into `name`. The caller must delete that collection in any case.
///
/// # Errors
/// As every restore.
pub async fn fill(
    session: &mut Session,
    destination: &Destination,
    facts: &Facts,
    backup: &Whole,
    name: &CollectionName,
    stages: &mut Stages,
) -> Result<(), PointsError> {
    let begun = Instant::now();
    let filled = scratch::fill(session, destination, facts, backup, name, Prove::Snapshot, stages).await;
    if let Err(error) = filled {
        let advice = note(session, &backup.manifest, &error, begun.elapsed(), |other| {
            format!("the next good one is {other} (--backup {other})")
        });
        return Err(match advice {
            Some(advice) => PointsError::Corrupt { error, advice },
            None => error.into(),
        });
    }
    stages.enter(Stage::Compare);
    Ok(())
}
