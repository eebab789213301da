//! Shard keys in the order of their ids. Points are routed by the ids of their key's shards, so a key must get its old ids.
//! Qdrant assigns ids in order from 1, and never twice. Pure functions.

use std::collections::BTreeMap;

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::text::shortened;
use serde_json::{Value, json};

use crate::qdrant::ShardTable;

/// Prefix of placeholder keys: they use the ids of deleted shards, and are deleted at the end.
const PLACEHOLDER: &str = "qdrant-backup-gap-";

/// The next shard key to create.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Shard key to create.
    pub key: Value,
    /// The id of its first shard.
    pub first_id: u32,
    /// The number of its shards.
    pub shards: u32,
}

/// A placeholder key.
pub struct Placeholder;

impl Placeholder {
    /// Whether `key` is a placeholder.
    pub fn is(key: &Value) -> bool {
        key.as_str().is_some_and(|key| key.starts_with(PLACEHOLDER))
    }

    fn for_ids_from(first_id: u32) -> Value {
        json!(format!("{PLACEHOLDER}{first_id}"))
    }
}

/// All keys to create in a new collection, in order.
///
/// # Errors
/// When no collection can get these ids again.
pub fn steps(keys: &[ShardKey]) -> Result<Vec<Step>, String> {
    let mut by_first: BTreeMap<u32, &ShardKey> = BTreeMap::new();
    for key in keys {
        let mut ids = key.shard_ids.clone();
        ids.sort_unstable();
        let Some(first) = ids.first().copied() else { continue };
        if ids.iter().zip(first..).any(|(id, expected)| *id != expected) {
            return Err(format!(
                "the shards of key {} are not numbered consecutively ({}), as Qdrant numbers them",
                shortened(&key.key.to_string(), 60),
                ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
        by_first.insert(first, key);
    }
    let mut steps = Vec::new();
    let mut next = 1;
    for (first_id, key) in by_first {
        if first_id < next {
            return Err(format!("shard {first_id} belongs to two shard keys"));
        }
        if first_id > next {
            let key = Placeholder::for_ids_from(next);
            steps.push(Step { key, first_id: next, shards: first_id - next });
        }
        let shards = u32::try_from(key.shard_ids.len()).unwrap_or(u32::MAX);
        steps.push(Step { key: key.key.clone(), first_id, shards });
        next = first_id.saturating_add(shards);
    }
    Ok(steps)
}

/// The remaining `steps` for a collection with the shards of `table`.
///
/// # Errors
/// When its shards are not those that the first steps make.
pub(super) fn left<'a>(steps: &'a [Step], table: &ShardTable) -> Result<&'a [Step], String> {
    let has = |step: &Step| {
        let ids = step.first_id..step.first_id.saturating_add(step.shards);
        ids.into_iter().all(|id| table.shards.get(&id).is_some_and(|at| at.key.as_ref() == Some(&step.key)))
    };
    // Then placeholders may already be deleted.
    if steps.iter().filter(|step| !Placeholder::is(&step.key)).all(has) {
        return Ok(&[]);
    }
    let mut there = table.shards.clone();
    for (number, step) in steps.iter().enumerate() {
        if has(step) {
            there.retain(|id, _| *id < step.first_id || *id >= step.first_id.saturating_add(step.shards));
        } else if there.is_empty() {
            return Ok(steps.get(number..).unwrap_or_default());
        } else {
            break;
        }
    }
    match there.keys().next() {
        None => Ok(&[]),
        Some(id) => Err(format!("shard {id} has another key, or another number, than in the backup")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdrant::Replicas;

    fn key(key: &str, shard_ids: &[u32]) -> ShardKey {
        ShardKey::new(json!(key), shard_ids.to_vec())
    }

    fn step(key: &str, first_id: u32, shards: u32) -> Step {
        Step { key: json!(key), first_id, shards }
    }

    fn table(shards: &[(u32, &str)]) -> ShardTable {
        let shards = shards
            .iter()
            .map(|(id, key)| (*id, Replicas { key: Some(json!(key)), states: BTreeMap::new() }))
            .collect::<BTreeMap<_, _>>();
        let shard_count = u32::try_from(shards.len()).unwrap();
        ShardTable { shards, shard_count, transfers: Vec::new(), is_resharding: false }
    }

    #[test]
    fn keys_get_the_ids_that_they_had_and_gaps_are_filled() {
        let steps = steps(&[key("mars", &[6, 5]), key("eu", &[1, 2]), key("asia", &[8])]).unwrap();
        let gap = [step("qdrant-backup-gap-3", 3, 2), step("qdrant-backup-gap-7", 7, 1)];
        let [first, second] = gap;
        assert_eq!(steps, [step("eu", 1, 2), first, step("mars", 5, 2), second, step("asia", 8, 1)]);
        assert!(Placeholder::is(&steps[1].key) && !Placeholder::is(&steps[0].key));
        assert_eq!(super::steps(&[]).unwrap(), []);
    }

    #[test]
    fn ids_that_no_collection_gets_again_are_told() {
        assert!(steps(&[key("eu", &[1, 3])]).unwrap_err().contains("not numbered consecutively (1, 3)"));
        assert!(steps(&[key("eu", &[1, 2]), key("us", &[2])]).unwrap_err().contains("two shard keys"));
    }

    #[test]
    fn what_is_there_already_is_not_made_again() {
        let steps = steps(&[key("eu", &[1, 2]), key("us", &[4])]).unwrap();
        let left = |shards: &[(u32, &str)]| super::left(&steps, &table(shards)).map(<[Step]>::len);
        assert_eq!(left(&[]), Ok(3));
        assert_eq!(left(&[(1, "eu"), (2, "eu")]), Ok(2));
        assert_eq!(left(&[(1, "eu"), (2, "eu"), (3, "qdrant-backup-gap-3"), (4, "us")]), Ok(0));
        assert_eq!(left(&[(1, "eu"), (2, "eu"), (4, "us")]), Ok(0), "the placeholder is dropped already");
        assert_eq!(left(&[(1, "eu"), (2, "eu"), (3, "qdrant-backup-gap-3")]), Ok(1));
        assert!(left(&[(1, "us"), (2, "us")]).is_err());
        assert!(left(&[(1, "eu")]).is_err());
        assert!(left(&[(1, "eu"), (2, "eu"), (3, "else")]).is_err());
    }
}
