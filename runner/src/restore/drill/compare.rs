//! Compares the restored collection with the manifest: configuration and points.

use qdrant_backup_shared::manifest::Source;
use qdrant_backup_shared::points_sample::PointDigest;
use qdrant_backup_shared::text::shortened;
use qdrant_backup_shared::verification::Finding;
use qdrant_backup_shared::{CollectionName, Manifest};
use serde_json::Value;

use super::sampled::Sampled;
use crate::qdrant::sample::{self, Mismatch};
use crate::qdrant::{Client, CollectionInfo, Error};
use crate::restore::differences;

/// Keys of `params` that must be the same.
const PARAMS: [&str; 3] = ["vectors", "sparse_vectors", "shard_number"];

/// The result of the comparison.
#[derive(Debug, Default)]
pub struct Compared {
    /// Differences from the backup.
    pub failed: Vec<Finding>,
    /// Differences that are possible if the collection was being written to.
    pub doubtful: Option<Finding>,
    /// Whether there was a sample, and all of it matches.
    pub sample_matched: bool,
}

/// Compares `scratch`, with `restored` points, with the backup. `matched_before` is whether the whole sample matched in an
/// earlier drill.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn compare(
    client: &Client,
    scratch: &CollectionName,
    manifest: &Manifest,
    restored: Option<u64>,
    matched_before: bool,
) -> Result<Compared, Error> {
    let info = client.collection_info(scratch).await?;
    let mut compared = Compared { failed: configuration(&manifest.source, &info), ..Compared::default() };
    // A sample of a newer program cannot be compared. This is not a fault of the backup.
    let sample = manifest.points_sample.as_ref();
    let Some(sample) = sample.filter(|sample| sample.algorithm == PointDigest::CanonicalV1) else {
        return Ok(compared);
    };
    let mismatches = sample::compare(client, scratch, sample).await?;
    let found = Sampled {
        sampled: sample.points.len(),
        mismatches: &mismatches,
        restored,
        source: &manifest.source,
        matched_before,
    };
    compared.sample_matched = mismatches.is_empty();
    if found.condemns() {
        compared.failed.extend(mismatches.iter().map(|mismatch| match mismatch {
            Mismatch::Missing { id } => finding("point_missing", format!("point {id} is missing")),
            Mismatch::Differs { id } => {
                finding("point_differs", format!("point {id} differs from the backup"))
            }
        }));
    } else if !mismatches.is_empty() {
        compared.doubtful = Some(finding("points_uncertain", found.words()));
    }
    Ok(compared)
}

/// Differences in vectors, shards and payload indexes. Information that only the server has, such as a newer
/// version's keys, is ignored.
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
                format!("the payload index of field \"{field_shown}\" is missing"),
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
