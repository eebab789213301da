//! Differences between two configurations, by key. Pure functions.

use std::collections::BTreeSet;
use std::fmt;

use qdrant_backup_shared::text::shortened;
use serde_json::Value;

/// A key with different values. Null if a side does not have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The key, as in `params.vectors.size`.
    pub path: String,
    /// Its value in the backup.
    pub backup: Value,
    /// Its value on the server.
    pub server: Value,
}

impl Difference {
    /// As its `Display`, with the key below another one.
    pub fn below(&self, key: &str) -> String {
        if self.path.is_empty() { format!("{key}{self}") } else { format!("{key}.{self}") }
    }

    /// Whether Qdrant refuses such a snapshot for such a collection.
    pub fn is_refused_by_qdrant(&self) -> bool {
        ["params.vectors", "params.shard_number"].iter().any(|key| {
            self.path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// As in `params.vectors.size: 768 in the backup, 1024 on the server`.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, backup, server) = (shortened(&self.path, 200), shown(&self.backup), shown(&self.server));
        write!(formatter, "{path}: {backup} in the backup, {server} on the server")
    }
}

/// The differences between the configuration of a backup and that of a collection. Null equals a missing key, because newer
/// servers show more keys.
pub fn differences(backup: &Value, server: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", backup, server, &mut found);
    found
}

fn compare(path: &str, backup: &Value, server: &Value, found: &mut Vec<Difference>) {
    let (Value::Object(ours), Value::Object(theirs)) = (backup, server) else {
        if backup != server {
            let path = path.to_owned();
            found.push(Difference { path, backup: backup.clone(), server: server.clone() });
        }
        return;
    };
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let value = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or(Value::Null);
        compare(&below, &value(ours), &value(theirs), found);
    }
}

fn shown(value: &Value) -> String {
    if value.is_null() { "none".to_owned() } else { shortened(&value.to_string(), 60) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_their_path() {
        let backup =
            json!({ "params": { "vectors": { "size": 768, "distance": "Dot" }, "shard_number": 1 } });
        let server = json!({ "params": { "vectors": { "size": 1024, "distance": "Dot" }, "shard_number": 1, "new": null },
            "quantization_config": { "scalar": {} } });
        assert_eq!(
            differences(&backup, &server).iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "params.vectors.size: 768 in the backup, 1024 on the server",
                "quantization_config: none in the backup, {\"scalar\":{}} on the server"
            ]
        );
        assert_eq!(differences(&backup, &backup), []);
    }
}
