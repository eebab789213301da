//! What stands against a restore shard by shard, before anything is changed.

use qdrant_backup_shared::{CollectionName, Manifest, shard_key};

use super::keys::steps;
use super::progress::Begun;
use crate::qdrant::{Client, Error, Nodes};
use crate::restore::error::RestoreError;
use crate::restore::read::shard_archives;

/// What stands against it on that server, whose `nodes` are known if it is in cluster mode.
pub fn obstacles(manifest: &Manifest, target: &CollectionName, nodes: Option<&Nodes>) -> Vec<RestoreError> {
    let mut all = Vec::new();
    all.extend(shard_archives(manifest).err());
    let unsupported = |what: String| RestoreError::Unsupported { what };
    if manifest.source.config.is_none() {
        all.push(unsupported("does not say how its collection is configured".to_owned()));
    }
    let keys = manifest.source.shard_keys.as_deref().unwrap_or_default();
    if !keys.is_empty() {
        if let Err(problem) = steps(keys) {
            all.push(unsupported(format!("has shard keys that cannot be made again: {problem}")));
        }
        if nodes.is_none() {
            let (target, keys) = (target.clone(), shard_key::list(keys));
            all.push(RestoreError::NeedsClusterMode { target, keys });
        }
    }
    all
}

/// Whether the collection that is there is what the restore that was begun has left: shards that were never uploaded are empty, and those
/// that were are not, if the backup has points.
///
/// # Errors
/// [`RestoreError::NotAsItWasLeft`], and as every request.
pub async fn check_begun(client: &Client, target: &CollectionName, begun: &Begun) -> Result<(), RestoreError> {
    let other = |problem: String| RestoreError::NotAsItWasLeft { target: target.clone(), problem };
    if !begun.sent.is_empty() {
        return Ok(());
    }
    match client.count(target).await {
        Ok(count) if count.points > 0 => Err(other(format!("it has {count} points, and nothing was uploaded yet"))),
        Ok(_) => Ok(()),
        Err(error) if error.is_refusal() => Ok(()),
        Err(error @ Error::Interrupted) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}
