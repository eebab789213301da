//! Requests to create a collection like a recorded one: the body of `PUT /collections/{c}`, settings for a PATCH after it, and
//! the payload indexes. Pure functions of the answer to `GET /collections/{c}`.

use serde_json::{Map, Value, json};

/// Keys of `config.params` with the same name in the request.
const PARAMS: [&str; 7] = [
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
];

/// Keys of `config.params` that only `PATCH /collections/{c}` accepts.
const PARAMS_LATER: [&str; 2] = ["read_fan_out_factor", "read_fan_out_delay_ms"];

/// Keys of `config` besides `params`, each with its name in the request.
const SECTIONS: [(&str, &str); 6] = [
    ("hnsw_config", "hnsw_config"),
    ("optimizer_config", "optimizers_config"),
    ("wal_config", "wal_config"),
    ("quantization_config", "quantization_config"),
    ("strict_mode_config", "strict_mode_config"),
    ("metadata", "metadata"),
];

/// The keys of the request.
pub fn create_keys() -> impl Iterator<Item = &'static str> {
    PARAMS.into_iter().chain(SECTIONS.map(|(_, name)| name))
}

/// How many copies of each shard a configuration asks for, if it says so.
pub fn replication_factor(config: &Value) -> Option<u32> {
    u32::try_from(config.pointer("/params/replication_factor")?.as_u64()?).ok()
}

/// The request for a recorded configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateBody {
    /// The body of `PUT /collections/{c}`.
    pub body: Value,
    /// The `params` of a `PATCH /collections/{c}` after it. Empty if there is nothing to set.
    pub params_later: Map<String, Value>,
    /// Parts of the configuration that no known request accepts, as `params.name`.
    pub left_out: Vec<String>,
}

impl CreateBody {
    /// For `config`, the part with this name in the answer to `GET /collections/{c}`, optionally with another
    /// replication factor. The server chooses values that are null.
    pub fn of(config: &Value, replication_factor: Option<u32>) -> Self {
        let (mut body, mut params_later, mut left_out) = (Map::new(), Map::new(), Vec::new());
        for (key, value) in entries(config) {
            if let Some((_, name)) = SECTIONS.iter().find(|(section, _)| *section == key) {
                // Metadata belongs to the user, and null values in it have a meaning.
                let value = if key == "metadata" { value.clone() } else { without_nulls(value) };
                body.insert((*name).to_owned(), value);
            } else if key != "params" {
                left_out.push(key.to_owned());
            }
        }
        for (key, value) in config.get("params").into_iter().flat_map(entries) {
            if PARAMS.contains(&key) {
                body.insert(key.to_owned(), without_nulls(value));
            } else if PARAMS_LATER.contains(&key) {
                params_later.insert(key.to_owned(), value.clone());
            } else {
                left_out.push(format!("params.{key}"));
            }
        }
        if let Some(factor) = replication_factor {
            body.insert("replication_factor".to_owned(), json!(factor));
        }
        Self { body: Value::Object(body), params_later, left_out }
    }
}

/// One payload index.
#[derive(Debug, Clone, PartialEq)]
pub struct PayloadIndex {
    /// The field's name or path.
    pub field_name: String,
    /// The type, or the parameters with their type.
    pub field_schema: Value,
}

impl PayloadIndex {
    /// All of a recorded `payload_schema`.
    pub fn all(payload_schema: &Value) -> Vec<Self> {
        let index = |(name, schema): (&str, &Value)| {
            let params = schema.get("params").filter(|params| !params.is_null()).map(without_nulls);
            let field_schema = params.or_else(|| schema.get("data_type").cloned())?;
            Some(Self { field_name: name.to_owned(), field_schema })
        };
        entries(payload_schema).filter_map(index).collect()
    }

    /// The body of `PUT /collections/{c}/index`.
    pub fn body(&self) -> Value {
        json!({ "field_name": self.field_name, "field_schema": self.field_schema })
    }
}

/// The members of an object that are not null. Empty for other values.
fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = value.as_object().into_iter().flatten();
    all.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value))
}

/// The same without members of objects that are null, at any depth.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(_) => {
            entries(value).map(|(key, value)| (key.to_owned(), without_nulls(value))).collect()
        }
        Value::Array(values) => values.iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As returned by 1.18.3, with its null values.
    fn recorded() -> Value {
        json!({
            "params": {
                "vectors": {
                    "a": { "size": 8, "distance": "Dot" },
                    "b": { "size": 4, "distance": "Euclid", "on_disk": true, "hnsw_config": { "m": 8, "on_disk": null } }
                },
                "shard_number": 2, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": true,
                "sparse_vectors": { "s": { "modifier": "idf" } }
            },
            "hnsw_config": { "m": 8, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": false },
            "optimizer_config": {
                "deleted_threshold": 0.2, "default_segment_number": 0, "max_segment_size": null, "memmap_threshold": null,
                "indexing_threshold": 10000, "flush_interval_sec": 5, "max_optimization_threads": null
            },
            "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1 },
            "quantization_config": { "scalar": { "type": "int8", "quantile": null } }
        })
    }

    #[test]
    fn a_recorded_configuration_becomes_the_request_without_its_nulls() {
        let create = CreateBody::of(&recorded(), None);
        assert_eq!(
            create.body,
            json!({
                "vectors": {
                    "a": { "size": 8, "distance": "Dot" },
                    "b": { "size": 4, "distance": "Euclid", "on_disk": true, "hnsw_config": { "m": 8 } }
                },
                "shard_number": 2, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": true,
                "sparse_vectors": { "s": { "modifier": "idf" } },
                "hnsw_config": { "m": 8, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": false },
                "optimizers_config": {
                    "deleted_threshold": 0.2, "default_segment_number": 0, "indexing_threshold": 10000, "flush_interval_sec": 5
                },
                "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1 },
                "quantization_config": { "scalar": { "type": "int8" } }
            })
        );
        assert!(create.params_later.is_empty() && create.left_out.is_empty());
    }

    #[test]
    fn another_replication_factor_takes_the_place_of_the_recorded_one() {
        let mut expected = CreateBody::of(&recorded(), None).body;
        expected["replication_factor"] = json!(3);
        assert_eq!(CreateBody::of(&recorded(), Some(3)).body, expected);
        assert_eq!(CreateBody::of(&json!({}), Some(2)).body, json!({ "replication_factor": 2 }));
    }

    #[test]
    fn vectors_that_are_empty_custom_sharding_and_strict_mode_are_kept() {
        let config = json!({
            "params": { "vectors": {}, "sharding_method": "custom", "shard_number": 1 },
            "strict_mode_config": { "enabled": true, "max_query_limit": 100, "sparse_config": { "s": { "max_length": null } } }
        });
        assert_eq!(
            CreateBody::of(&config, None).body,
            json!({
                "vectors": {}, "sharding_method": "custom", "shard_number": 1,
                "strict_mode_config": { "enabled": true, "max_query_limit": 100, "sparse_config": { "s": {} } }
            })
        );
    }

    #[test]
    fn nulls_in_metadata_are_the_users_own() {
        let config = json!({ "params": {}, "metadata": { "owner": null, "deep": [{ "a": null }] } });
        assert_eq!(CreateBody::of(&config, None).body, json!({ "metadata": config["metadata"] }));
        assert_eq!(CreateBody::of(&json!({ "metadata": null }), None).body, json!({}));
    }

    #[test]
    fn what_only_a_patch_takes_comes_later_and_what_none_takes_is_named() {
        let config = json!({
            "params": { "read_fan_out_factor": 2, "read_fan_out_delay_ms": null, "shard_number": 1, "colour": "red", "gone": null },
            "galaxy_config": { "arms": 4 }
        });
        let create = CreateBody::of(&config, None);
        assert_eq!(create.body, json!({ "shard_number": 1 }));
        assert_eq!(Value::Object(create.params_later), json!({ "read_fan_out_factor": 2 }));
        assert_eq!(create.left_out, ["galaxy_config", "params.colour"]);
    }

    #[test]
    fn payload_indexes_have_their_parameters_or_else_their_type() {
        let schema = json!({
            "n": { "data_type": "integer", "points": 600 },
            "t": { "data_type": "keyword", "params": { "type": "keyword", "is_tenant": true, "on_disk": null }, "points": 6 },
            "u.v[]": { "data_type": "text", "params": null, "points": 0 }
        });
        let bodies: Vec<Value> = PayloadIndex::all(&schema).iter().map(PayloadIndex::body).collect();
        assert_eq!(
            bodies,
            [
                json!({ "field_name": "n", "field_schema": "integer" }),
                json!({ "field_name": "t", "field_schema": { "type": "keyword", "is_tenant": true } }),
                json!({ "field_name": "u.v[]", "field_schema": "text" }),
            ]
        );
        assert!(PayloadIndex::all(&json!({})).is_empty() && PayloadIndex::all(&Value::Null).is_empty());
    }
}
