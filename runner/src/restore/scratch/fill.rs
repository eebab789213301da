//! Creates scratch collections.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Backup, Whole};
use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::scratch_name::scratch_name;

use crate::archive::read::Prove;
use crate::backup::Stages;
use crate::restore::by_shard::obstacles;
use crate::restore::count::Counted;
use crate::restore::error::RestoreError;
use crate::restore::order::{Destination, Put};
use crate::restore::plan::Facts;
use crate::restore::put::put;
use crate::restore::shard_keys::{check_new, shard_keys_of};
use crate::session::Session;

/// A new name for a scratch collection of `collection`, which identifies this repository.
pub fn name_for(session: &Session, collection: &CollectionName) -> CollectionName {
    scratch_name(collection, &session.repository().repository_id, &uuid::Uuid::new_v4().to_string())
}

/// Checks that a backup is small enough for a production server. `most` is in bytes.
///
/// # Errors
/// [`RestoreError::TooLarge`].
pub fn check_size(backup: &Backup, most: Option<u64>) -> Result<(), RestoreError> {
    let size_bytes = backup.snapshot_size_bytes;
    match most {
        Some(most) if size_bytes > most => Err(RestoreError::TooLarge { size_bytes, most }),
        Some(_) | None => Ok(()),
    }
}

/// Restores a backup into the new collection `scratch` and waits until it is ready. The caller must delete it in any case.
///
/// # Errors
/// When the server cannot take it, and as every restore.
pub async fn fill(
    session: &mut Session,
    destination: &Destination,
    facts: &Facts,
    backup: &Whole,
    scratch: &CollectionName,
    prove: Prove,
    stages: &mut Stages,
) -> Result<Counted, RestoreError> {
    let manifest = &backup.manifest;
    if manifest.is_by_shard() {
        if let Some(obstacle) = obstacles(manifest, scratch, facts.nodes.as_ref()).into_iter().next() {
            return Err(obstacle);
        }
    } else {
        let keys = shard_keys_of(session.source(), manifest, destination.client.interrupt()).await?;
        check_new(&manifest.collection, keys.as_deref())?;
    }
    let job = Put {
        manifest,
        target: scratch,
        existed: false,
        prove,
        by: Operation::Drill,
        replication_factor: None,
        known: backup.backup.remarks().restored_points.as_ref(),
    };
    put(session, destination, &job, stages).await.map_err(|failed| failed.error)
}
