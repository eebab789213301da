//! Shard keys, which assign points to shards in a collection with custom sharding.

use serde::{Deserialize, Serialize};

use crate::text::shortened;

/// One key and its shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardKey {
    /// The key: a text or a number.
    pub key: serde_json::Value,
    /// The ids of its shards, ascending.
    pub shard_ids: Vec<u32>,
    /// Number of copies of each shard. Absent if the keys come only from a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

impl ShardKey {
    /// A key with only its shards known.
    pub fn new(key: serde_json::Value, shard_ids: Vec<u32>) -> Self {
        Self { key, shard_ids, replicas: None }
    }
}

/// Maximum number of listed keys.
const LISTED: usize = 10;

/// Keys for display, in the order of their shards: `"eu" (shards 1, 2), "us" (shard 3)`.
pub fn list(keys: &[ShardKey]) -> String {
    let mut shown: Vec<String> = keys.iter().take(LISTED).map(one).collect();
    if keys.len() > LISTED {
        shown.push(format!("and {} more", keys.len() - LISTED));
    }
    shown.join(", ")
}

fn one(key: &ShardKey) -> String {
    let mut ids: Vec<String> = key.shard_ids.iter().take(LISTED).map(u32::to_string).collect();
    if key.shard_ids.len() > LISTED {
        ids.push("…".to_owned());
    }
    let word = if key.shard_ids.len() == 1 { "shard" } else { "shards" };
    format!("{} ({word} {})", shortened(&key.key.to_string(), 60), ids.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_listed_with_their_shards_and_numbers_are_not_texts() {
        let keys = [ShardKey::new(json!("eu"), vec![1, 2]), ShardKey::new(json!(7), vec![3])];
        assert_eq!(list(&keys), "\"eu\" (shards 1, 2), 7 (shard 3)");
    }
}
