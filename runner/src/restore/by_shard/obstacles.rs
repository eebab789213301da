//! Obstacles to a restore shard by shard, checked before any change.

use qdrant_backup_shared::{CollectionName, Manifest, shard_key};

use super::keys::steps;
use super::progress::Begun;
use crate::qdrant::{Client, Nodes};
use crate::restore::error::RestoreError;
use crate::restore::read::shard_archives;

/// Obstacles on this server, with its `nodes` in cluster mode.
pub fn obstacles(manifest: &Manifest, target: &CollectionName, nodes: Option<&Nodes>) -> Vec<RestoreError> {
    let mut all = Vec::new();
    all.extend(shard_archives(manifest).err());
    let unsupported = |what: String| RestoreError::Unsupported { what };
    if manifest.source.config.is_none() {
        all.push(unsupported("does not contain the configuration of its collection".to_owned()));
    }
    let keys = manifest.source.shard_keys.as_deref().unwrap_or_default();
    if !keys.is_empty() {
        if let Err(problem) = steps(keys) {
            all.push(unsupported(format!("has shard keys that cannot be created again: {problem}")));
        }
        if nodes.is_none() {
            let (target, keys) = (target.clone(), shard_key::list(keys));
            all.push(RestoreError::NeedsClusterMode { target, keys });
        }
    }
    all
}

/// Checks that an existing collection is the one of the unfinished restore: shards without an upload must be empty.
///
/// # Errors
/// [`RestoreError::NotAsItWasLeft`], and as every request.
pub async fn check_begun(
    nodes: &[Client],
    target: &CollectionName,
    begun: &Begun,
) -> Result<(), RestoreError> {
    for node in nodes {
        let shards = node.collection_cluster(target).await?.local_shards;
        let written = shards.iter().find(|shard| {
            !begun.sent.contains(&shard.shard_id) && shard.points_count.is_some_and(|points| points > 0)
        });
        if let Some(shard) = written {
            let (target, shard_id) = (target.clone(), shard.shard_id);
            return Err(RestoreError::NotAsItWasLeft { target, shard_id });
        }
    }
    Ok(())
}
