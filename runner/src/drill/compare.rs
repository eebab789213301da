//! Holding what was restored against what the manifest says of the source: configuration and points.

use qdrant_backup_shared::manifest::Source;
use qdrant_backup_shared::points_sample::PointDigest;
use qdrant_backup_shared::text::shortened;
use qdrant_backup_shared::verification::Finding;
use qdrant_backup_shared::{CollectionName, Manifest};
use serde_json::Value;

use crate::qdrant::{Client, CollectionInfo, Error};
use crate::restore::differences;
use crate::sample::{self, Mismatch};

/// What must be the same in the configuration's `params`.
const PARAMS: [&str; 3] = ["vectors", "sparse_vectors", "shard_number"];

/// Everything in `scratch` that is not as it was backed up.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn compare(
    client: &Client,
    scratch: &CollectionName,
    manifest: &Manifest,
) -> Result<Vec<Finding>, Error> {
    let info = client.collection_info(scratch).await?;
    let mut findings = configuration(&manifest.source, &info);
    // A sample by a newer program is not one that can be compared here; that is nothing against the backup.
    if let Some(sample) =
        manifest.points_sample.as_ref().filter(|sample| sample.algorithm == PointDigest::CanonicalV1)
    {
        for mismatch in sample::compare(client, scratch, sample).await? {
            findings.push(match mismatch {
                Mismatch::Missing { id } => finding("point_missing", format!("point {id} is not there")),
                Mismatch::Differs { id } => {
                    finding("point_differs", format!("point {id} is not as it was backed up"))
                }
            });
        }
    }
    Ok(findings)
}

/// What differs in vectors, shards and payload indexes. What only the server says, such as a newer version's new keys, does not.
fn configuration(source: &Source, info: &CollectionInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(params) = source.config.as_ref().and_then(|config| config.get("params")) {
        let restored = info.config.get("params").unwrap_or(&Value::Null);
        for key in PARAMS {
            let side = |params: &Value| params.get(key).cloned().unwrap_or(Value::Null);
            for difference in differences(&side(params), &side(restored)) {
                if !difference.backup.is_null() {
                    findings.push(finding("config_differs", format!("params.{}", difference.below(key))));
                }
            }
        }
    }
    let indexes = source.payload_schema.iter().filter_map(Value::as_object).flatten();
    for (field, index) in indexes {
        let field_shown = shortened(field, 80);
        let kind = |index: &Value| index.get("data_type").cloned().unwrap_or(Value::Null);
        match info.payload_schema.get(field) {
            None => findings.push(finding(
                "payload_index_missing",
                format!("the payload index of field \"{field_shown}\" is not there"),
            )),
            Some(restored) if kind(restored) != kind(index) => findings.push(finding(
                "payload_index_differs",
                format!("the payload index of field \"{field_shown}\" is of another type"),
            )),
            Some(_) => {}
        }
    }
    findings
}

fn finding(kind: &str, message: String) -> Finding {
    Finding { kind: kind.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(source: Value, restored: Value) -> Vec<String> {
        let source: Source = serde_json::from_value(source).unwrap();
        let info: CollectionInfo = serde_json::from_value(restored).unwrap();
        configuration(&source, &info).into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn vectors_and_payload_indexes_must_be_the_same_and_new_keys_do_not_matter() {
        let source = json!({
            "config": { "params": { "vectors": { "size": 4, "distance": "Dot" }, "shard_number": 2 } },
            "payload_schema": { "a": { "data_type": "keyword", "points": 7 }, "b": { "data_type": "integer" } },
        });
        let same = json!({
            "config": { "params": { "vectors": { "size": 4, "distance": "Dot", "on_disk": false }, "shard_number": 2, "new": 1 } },
            "payload_schema": { "a": { "data_type": "keyword", "points": 0 }, "b": { "data_type": "integer" }, "c": {} },
        });
        assert_eq!(kinds(source.clone(), same.clone()), Vec::<String>::new());
        let mut other = same;
        other["config"]["params"]["vectors"]["size"] = json!(5);
        other["payload_schema"]["a"]["data_type"] = json!("text");
        other["payload_schema"].as_object_mut().unwrap().remove("b");
        assert_eq!(
            kinds(source, other),
            ["config_differs", "payload_index_differs", "payload_index_missing"]
        );
    }
}
