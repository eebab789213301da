//! Checks whether the points of one collection fit into another. Pure functions.

use serde_json::{Map, Value, json};

use crate::restore::differences;

/// The vector parameters that must be the same.
const MUST_BE_SAME: [&str; 3] = ["size", "distance", "datatype"];

/// Why points of a collection with the configuration `ours` do not fit into one with `theirs`: other vectors, sizes or distances.
/// Both are the `config` of servers.
pub fn misfit(ours: &Value, theirs: &Value) -> Option<String> {
    let found = differences(&vectors(ours), &vectors(theirs));
    let first = found.first()?.to_string();
    let more = found.len() - 1;
    Some(if more > 0 { format!("{first}, and {more} more") } else { first })
}

/// The vectors by name, with the parameters that must be the same.
fn vectors(config: &Value) -> Value {
    let mut all = Map::new();
    if let Some(dense) = config.pointer("/params/vectors").and_then(Value::as_object) {
        if dense.get("size").is_some_and(Value::is_number) {
            all.insert("(unnamed)".to_owned(), essence(&Value::Object(dense.clone())));
        } else {
            all.extend(dense.iter().map(|(name, vector)| (name.clone(), essence(vector))));
        }
    }
    let sparse = config.pointer("/params/sparse_vectors").and_then(Value::as_object);
    all.extend(sparse.into_iter().flatten().map(|(name, _)| (name.clone(), json!("sparse"))));
    json!({ "vectors": all })
}

fn essence(vector: &Value) -> Value {
    let mut kept = Map::new();
    for key in MUST_BE_SAME {
        if let Some(value) = vector.get(key).filter(|value| !value.is_null() && **value != json!("float32")) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    if vector.get("multivector_config").is_some_and(|config| !config.is_null()) {
        kept.insert("multivector".to_owned(), json!(true));
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_difference_to_points_is_none() {
        let ours = json!({ "params": { "vectors": { "size": 4, "distance": "Dot" }, "shard_number": 2 }, "hnsw_config": { "m": 16 } });
        let theirs = json!({ "params": {
            "vectors": { "size": 4, "distance": "Dot", "on_disk": true, "datatype": "float32" }, "sparse_vectors": null, "shard_number": 6,
        } });
        assert_eq!(misfit(&ours, &theirs), None);
    }

    #[test]
    fn other_vectors_are_named() {
        let of = |vectors: Value, sparse: Value| json!({ "params": { "vectors": vectors, "sparse_vectors": sparse } });
        let ours = of(json!({ "a": { "size": 4, "distance": "Dot" } }), json!({ "s": {} }));
        let says = |theirs: Value| misfit(&ours, &theirs).unwrap();
        let size =
            says(of(json!({ "a": { "size": 5, "distance": "Dot" } }), json!({ "s": { "modifier": "idf" } })));
        assert_eq!(size, "vectors.a.size: 4 in the backup, 5 on the server");
        let unnamed = says(of(json!({ "size": 4, "distance": "Dot" }), json!({ "s": {} })));
        assert!(unnamed.contains("and 1 more"), "{unnamed}");
        let gone = says(of(json!({ "a": { "size": 4, "distance": "Dot" } }), Value::Null));
        assert_eq!(gone, "vectors.s: \"sparse\" in the backup, none on the server");
        let rows = json!({ "a": { "size": 4, "distance": "Dot", "multivector_config": { "comparator": "max_sim" } } });
        assert!(says(of(rows, json!({ "s": {} }))).contains("multivector"));
    }
}
