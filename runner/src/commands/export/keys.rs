//! Shard keys in the order of their ids. Points are routed by the ids of their key's shards, so a key must get the ids that it had; Qdrant
//! counts them up from 1, and never gives one twice. Pure.

use std::collections::BTreeMap;

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::text::shortened;
use serde_json::{Value, json};

/// How the keys of placeholders begin: they take the ids of shards that are gone, and are dropped in the end.
const PLACEHOLDER: &str = "qdrant-backup-gap-";

/// The next key to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The key.
    pub key: Value,
    /// The id that its first shard gets.
    pub first_id: u32,
    /// How many shards it gets.
    pub shards: u32,
}

/// A key that only takes up ids.
pub struct Placeholder;

impl Placeholder {
    /// Whether `key` is one of ours.
    pub fn is(key: &Value) -> bool {
        key.as_str().is_some_and(|key| key.starts_with(PLACEHOLDER))
    }

    fn for_ids_from(first_id: u32) -> Value {
        json!(format!("{PLACEHOLDER}{first_id}"))
    }
}

/// All keys to make in a new collection, in order.
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
                "the shards of key {} are not numbered in a row ({}), and Qdrant makes them so",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, shard_ids: &[u32]) -> ShardKey {
        ShardKey::new(json!(key), shard_ids.to_vec())
    }

    fn step(key: &str, first_id: u32, shards: u32) -> Step {
        Step { key: json!(key), first_id, shards }
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
        assert!(steps(&[key("eu", &[1, 3])]).unwrap_err().contains("not numbered in a row (1, 3)"));
        assert!(steps(&[key("eu", &[1, 2]), key("us", &[2])]).unwrap_err().contains("two shard keys"));
    }
}
