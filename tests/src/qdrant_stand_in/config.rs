//! A collection's configuration from the bodies of `PUT` and `PATCH /collections/{c}`: only the fields that Qdrant
//! knows.

use serde_json::{Value, json};

use super::collection::Collection;
use super::generated::GeneratedSnapshot;
use super::plain::plain_config;

/// Maps fields of a body to the configuration. The first field present is used.
const SECTIONS: [(&str, &[&str]); 4] = [
    ("hnsw_config", &["hnsw_config"]),
    ("optimizer_config", &["optimizers_config", "optimizer_config"]),
    ("wal_config", &["wal_config"]),
    ("quantization_config", &["quantization_config", "quantization"]),
];

/// A refusal with its status.
pub(crate) fn refused(body: &Value) -> Option<(u16, String)> {
    for key in ["shard_number", "replication_factor", "write_consistency_factor"] {
        if body.get(key).and_then(Value::as_u64) == Some(0) {
            let message =
                format!("Validation error in JSON body: [{key}: value 0 invalid, must be 1 or larger]");
            return Some((422, message));
        }
    }
    let method = body.get("sharding_method").filter(|method| !method.is_null())?;
    if method != "auto" && method != "custom" {
        let message =
            format!("Format error in JSON body: unknown variant `{method}`, expected `auto` or `custom`");
        return Some((400, message));
    }
    None
}

/// The configuration of a collection created with this body, with `shards` as the default number of shards.
pub(crate) fn created(body: &Value, default_shards: u32) -> Value {
    let given = |key: &str| body.get(key).filter(|value| !value.is_null());
    let custom = given("sharding_method") == Some(&json!("custom"));
    let default_shards = if custom { 1 } else { default_shards };
    let shards = given("shard_number").and_then(Value::as_u64).unwrap_or(u64::from(default_shards));
    let mut config = plain_config(8, shards.clamp(1, 1024) as u32);
    config["params"]["vectors"] = given("vectors").cloned().unwrap_or_else(|| json!({}));
    for key in [
        "sparse_vectors",
        "sharding_method",
        "replication_factor",
        "write_consistency_factor",
        "on_disk_payload",
    ] {
        if let Some(value) = given(key) {
            config["params"][key] = value.clone();
        }
    }
    for (key, names) in SECTIONS {
        if let Some(wanted) = names.iter().find_map(|name| given(name)) {
            merge(&mut config[key], wanted);
        }
    }
    for key in ["strict_mode_config", "metadata"] {
        if let Some(value) = given(key) {
            config[key] = value.clone();
        }
    }
    config
}

/// Changes the given fields and keeps the rest.
pub(crate) fn update(config: &mut Value, body: &Value) {
    let given = |key: &str| body.get(key).filter(|value| !value.is_null());
    let params = [
        "replication_factor",
        "write_consistency_factor",
        "read_fan_out_factor",
        "read_fan_out_delay_ms",
        "on_disk_payload",
    ];
    let wanted = given("params").and_then(Value::as_object).into_iter().flatten();
    for (key, value) in wanted.filter(|(key, value)| params.contains(&key.as_str()) && !value.is_null()) {
        config["params"][key] = value.clone();
    }
    for (key, names) in SECTIONS.into_iter().filter(|(key, _)| *key != "wal_config") {
        if let Some(wanted) = names.iter().find_map(|name| given(name)) {
            merge(&mut config[key], wanted);
        }
    }
    for key in ["strict_mode_config", "metadata"] {
        if let Some(wanted) = given(key) {
            merge(&mut config[key], wanted);
        }
    }
    // The unnamed vector has an empty name.
    for (name, wanted) in given("vectors").and_then(Value::as_object).into_iter().flatten() {
        let vectors = &mut config["params"]["vectors"];
        let unnamed = name.is_empty() && vectors.get("size").is_some();
        let vector = if unnamed { Some(vectors) } else { vectors.get_mut(name) };
        if let Some(vector) = vector {
            merge(vector, wanted);
        }
    }
    for (name, wanted) in given("sparse_vectors").and_then(Value::as_object).into_iter().flatten() {
        if let Some(vector) = config["params"]["sparse_vectors"].get_mut(name) {
            merge(vector, wanted);
        }
    }
}

fn merge(place: &mut Value, wanted: &Value) {
    match (place.as_object_mut(), wanted.as_object()) {
        (Some(place), Some(wanted)) => {
            place.extend(
                wanted.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())),
            );
        }
        _ => *place = wanted.clone(),
    }
}

impl Collection {
    /// An empty collection, as `PUT /collections/{c}` with this body creates it on a single server.
    pub fn created(name: &str, body: &Value) -> Collection {
        Collection::empty(name, created(body, 1))
    }

    /// An empty collection with this configuration and all shards on the first node. With custom sharding, shards are
    /// created with their keys.
    pub(crate) fn empty(name: &str, config: Value) -> Collection {
        let shards = config["params"]["shard_number"].as_u64().unwrap_or(1).clamp(1, 1024) as u32;
        let mut snapshot = GeneratedSnapshot::new(0).points_count(0).shards(shards);
        let custom = config["params"]["sharding_method"] == "custom";
        snapshot.config = config;
        if custom {
            snapshot = snapshot.shard_keys(&[]);
        }
        Collection::generated(name, snapshot)
    }
}
