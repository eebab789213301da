//! The requests to create a collection by hand: `collection.json` of an export. Pure functions.

use qdrant_backup_shared::manifest::Manifest;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::qdrant::{CreateBody, PayloadIndex};
use crate::restore::{Placeholder, Step, steps};

/// The requests for a collection, each as a request body for Qdrant.
#[derive(Debug, Serialize)]
pub struct ByHand {
    /// The collection's name.
    pub collection: String,
    /// Of `PUT /collections/{c}`.
    pub create: Value,
    /// Of `PATCH /collections/{c}` after it. Absent if there is nothing to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Value>,
    /// Of `PUT /collections/{c}/index`, one for each payload index.
    pub payload_indexes: Vec<Value>,
    /// The shard keys in the order of creation. Empty for automatic sharding.
    pub shard_keys: Vec<Key>,
    /// Aliases of the collection.
    pub aliases: Vec<String>,
    /// What the requests do not restore, one line each.
    pub lacking: Vec<String>,
}

/// A shard key to create.
#[derive(Debug, Serialize)]
pub struct Key {
    /// Shard key to create.
    pub shard_key: Value,
    /// The number of its shards.
    pub shards_number: u32,
    /// Number of replicas of each shard, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u32>,
    /// The id of its first shard, if the keys are created in this order in a new collection.
    pub first_shard_id: u32,
    /// Whether it is a placeholder for the ids of deleted shards, and is deleted at the end.
    pub placeholder: bool,
}

impl ByHand {
    /// From the manifest of a backup.
    pub fn of(manifest: &Manifest) -> Self {
        let source = &manifest.source;
        let mut lacking = Vec::new();
        let CreateBody { body, params_later, left_out } =
            CreateBody::of(source.config.as_ref().unwrap_or(&Value::Null), None);
        if source.config.is_none() {
            lacking.push("the backup does not contain the collection's configuration".to_owned());
        }
        lacking.extend(left_out.iter().map(|key| format!("no request can set {key} of the configuration")));
        if source.payload_schema.is_none() {
            lacking.push("the backup does not contain the list of payload indexes".to_owned());
        }
        if source.aliases.is_none() {
            lacking.push("the backup does not contain the list of aliases".to_owned());
        }
        let known = source.shard_keys.as_deref().unwrap_or_default();
        let keys = steps(known).unwrap_or_else(|problem| {
            lacking.push(format!("the shard keys cannot be created again: {problem}"));
            Vec::new()
        });
        let key = |step: Step| Key {
            placeholder: Placeholder::is(&step.key),
            shards_number: step.shards,
            replication_factor: known
                .iter()
                .find(|known| known.key == step.key)
                .and_then(|known| known.replicas),
            first_shard_id: step.first_id,
            shard_key: step.key,
        };
        let indexes = PayloadIndex::all(source.payload_schema.as_ref().unwrap_or(&Value::Null));
        Self {
            collection: manifest.collection.as_str().to_owned(),
            create: body,
            update: (!params_later.is_empty()).then(|| json!({ "params": params_later })),
            payload_indexes: indexes.iter().map(PayloadIndex::body).collect(),
            shard_keys: keys.into_iter().map(key).collect(),
            aliases: source.aliases.clone().unwrap_or_default(),
            lacking,
        }
    }

    /// Of `POST /collections/aliases`, for a collection with this name. None without aliases.
    pub fn alias_actions(&self, collection: &str) -> Option<Value> {
        let action = |alias: &String| json!({ "create_alias": { "collection_name": collection, "alias_name": alias } });
        let actions: Vec<Value> = self.aliases.iter().map(action).collect();
        (!actions.is_empty()).then(|| json!({ "actions": actions }))
    }

    /// Whether the configuration forbids exact counts.
    pub fn forbids_exact_counts(&self) -> bool {
        let strict = self.create.get("strict_mode_config").and_then(Value::as_object);
        let says = |strict: &Map<String, Value>, key: &str| strict.get(key).and_then(Value::as_bool);
        strict.is_some_and(|strict| {
            says(strict, "enabled") == Some(true) && says(strict, "search_allow_exact") == Some(false)
        })
    }
}

impl Key {
    /// Of `PUT /collections/{c}/shards`.
    pub fn body(&self) -> Value {
        let mut body = json!({ "shard_key": self.shard_key, "shards_number": self.shards_number });
        if let Some(replicas) = self.replication_factor {
            body["replication_factor"] = json!(replicas);
        }
        body
    }
}
