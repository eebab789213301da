//! Custom sharding: checks whether a target has the shards of a backup.
//!
//! Qdrant does not create shard keys from a snapshot. Into a new collection it restores nothing and reports success. In an
//! existing one it restores each shard with the same id, regardless of its key, and skips the others. So the ids and the keys
//! must be the same.

use std::collections::BTreeMap;

use qdrant_backup_shared::manifest::is_custom;
use qdrant_backup_shared::text::shortened;
use qdrant_backup_shared::{CollectionName, Manifest, ShardKey, shard_key};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::error::RestoreError;
use super::read::sole_archive;
use crate::archive::inspect::{Limits, inspect};
use crate::archive::read::{ArchiveReader, Prove, Source};
use crate::qdrant::{self, CollectionCluster};

/// Maximum number of shards in a message.
const NAMED: usize = 5;

/// The shard keys in the snapshot of `manifest`. None for automatic sharding. Reads the archive if the manifest does not contain
/// them (imported, or made by an earlier version).
///
/// # Errors
/// When the archive had to be read and cannot be, or an interruption came.
pub async fn shard_keys_of(
    source: &Source,
    manifest: &Manifest,
    interrupt: &CancellationToken,
) -> Result<Option<Vec<ShardKey>>, RestoreError> {
    if manifest.source.shard_keys.is_some() {
        return Ok(manifest.source.shard_keys.clone());
    }
    if manifest.source.has_custom_sharding() == Some(false) {
        return Ok(None);
    }
    let (source, manifest) = (source.clone(), manifest.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let archive = sole_archive(&manifest)?;
        let mut reader = ArchiveReader::open(&source, &manifest, archive, Prove::Snapshot)?;
        match inspect(&mut reader, &Limits::default()) {
            Ok(inspection) => Ok(inspection.shard_keys()),
            Err(error) => Err(RestoreError::Damaged {
                file: archive.file_name.clone(),
                problem: format!("cannot be searched for its shard keys: {error}"),
            }),
        }
    });
    match interrupt.run_until_cancelled(reading).await {
        None => Err(qdrant::Error::Interrupted.into()),
        Some(Err(error)) => Err(RestoreError::Internal(error.to_string())),
        Some(Ok(read)) => read,
    }
}

/// Checks whether Qdrant can create a new collection from a snapshot with these shard keys.
///
/// # Errors
/// [`RestoreError::NeedsShardKeys`] if the collection would be empty.
pub fn check_new(target: &CollectionName, keys: Option<&[ShardKey]>) -> Result<(), RestoreError> {
    match keys {
        Some(keys) if !keys.is_empty() => {
            Err(RestoreError::NeedsShardKeys { target: target.clone(), keys: shard_key::list(keys) })
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks whether a collection with this configuration and the shards of `cluster` accepts every shard of a snapshot with these
/// keys, and has no others.
///
/// # Errors
/// [`RestoreError::ShardKeysDiffer`].
pub fn check_existing(
    target: &CollectionName,
    keys: Option<&[ShardKey]>,
    config: &Value,
    cluster: &CollectionCluster,
) -> Result<(), RestoreError> {
    let differ = |problem: String| Err(RestoreError::ShardKeysDiffer { target: target.clone(), problem });
    let custom = is_custom(config);
    let Some(keys) = keys else {
        return if custom {
            differ("it has custom sharding, but the backup does not".to_owned())
        } else {
            Ok(())
        };
    };
    if !custom {
        return differ("the backup has custom sharding, but it does not".to_owned());
    }
    let there = cluster.shard_keys();
    let mut wanted = BTreeMap::new();
    for key in keys {
        wanted.extend(key.shard_ids.iter().map(|id| (*id, &key.key)));
    }
    let shown = |key: &Value| shortened(&key.to_string(), 60);
    let mut problems = Vec::new();
    for (id, key) in &wanted {
        match there.get(id) {
            None => problems.push(format!("it lacks shard {id} of key {}", shown(key))),
            Some(Some(other)) if other == *key => {}
            Some(other) => problems.push(format!(
                "shard {id} has key {} in the backup, but {} in the collection",
                shown(key),
                other.as_ref().map_or_else(|| "none".to_owned(), |key| format!("key {}", shown(key)))
            )),
        }
    }
    for (id, key) in there.iter().filter(|(id, _)| !wanted.contains_key(id)) {
        let key = key.as_ref().map_or_else(String::new, |key| format!(" of key {}", shown(key)));
        problems.push(format!("its shard {id}{key} is not in the backup and would keep its points"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(NAMED);
    problems.truncate(NAMED);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    differ(problems.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target() -> CollectionName {
        CollectionName::new("docs").unwrap()
    }

    fn keys() -> Vec<ShardKey> {
        vec![ShardKey::new(json!("eu"), vec![1, 2]), ShardKey::new(json!(7), vec![3])]
    }

    fn cluster(shards: &[(u32, Value)]) -> CollectionCluster {
        let local: Vec<Value> = shards
            .iter()
            .map(|(id, key)| json!({ "shard_id": id, "shard_key": key, "state": "Active" }))
            .collect();
        serde_json::from_value(json!({ "peer_id": 1, "shard_count": shards.len(), "local_shards": local }))
            .unwrap()
    }

    #[test]
    fn only_the_same_keys_on_the_same_shards_take_a_backup() {
        let custom = json!({ "params": { "sharding_method": "custom" } });
        let says = |shards: &[(u32, Value)]| {
            check_existing(&target(), Some(&keys()), &custom, &cluster(shards))
                .err()
                .map(|error| error.to_string())
        };
        let same = [(1, json!("eu")), (2, json!("eu")), (3, json!(7))];
        assert_eq!(says(&same), None);
        let swapped = says(&[(1, json!("us")), (2, json!("eu")), (3, json!("7"))]).unwrap();
        assert!(
            swapped.contains("shard 1 has key \"eu\" in the backup, but key \"us\" in the collection"),
            "{swapped}"
        );
        assert!(
            swapped.contains("shard 3 has key 7 in the backup, but key \"7\" in the collection"),
            "{swapped}"
        );
        let fewer = says(&same[..2]).unwrap();
        assert!(fewer.contains("it lacks shard 3 of key 7"), "{fewer}");
        let more = says(&[same.as_slice(), &[(4, json!("asia"))]].concat()).unwrap();
        assert!(more.contains("its shard 4 of key \"asia\" is not in the backup"), "{more}");
    }

    #[test]
    fn automatic_and_custom_sharding_do_not_mix() {
        let (custom, automatic) =
            (json!({ "params": { "sharding_method": "custom" } }), json!({ "params": {} }));
        let shards = cluster(&[(0, Value::Null)]);
        assert!(check_existing(&target(), None, &automatic, &shards).is_ok());
        assert!(check_existing(&target(), None, &custom, &shards).is_err());
        assert!(check_existing(&target(), Some(&keys()), &automatic, &shards).is_err());
        assert!(check_existing(&target(), Some(&[]), &custom, &cluster(&[])).is_ok());
    }

    #[test]
    fn a_new_collection_has_no_shard_keys() {
        assert!(check_new(&target(), None).is_ok());
        assert!(check_new(&target(), Some(&[])).is_ok(), "there is nothing to restore but the configuration");
        let error = check_new(&target(), Some(&keys())).unwrap_err().to_string();
        assert!(error.contains("\"eu\" (shards 1, 2), 7 (shard 3)"), "{error}");
    }
}
