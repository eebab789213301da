//! Compares a collection with a sample.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::points_sample::PointsSample;
use qdrant_backup_shared::text::shortened;
use serde_json::Value;

use super::take::digests;
use crate::qdrant::{Client, Error};

/// A sampled point that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// It is missing.
    Missing {
        /// Id of the missing point.
        id: String,
    },
    /// Its payload or vectors differ.
    Differs {
        /// Id of the point that differs.
        id: String,
    },
}

/// The sampled points that are missing or different in `collection`.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn compare(
    client: &Client,
    collection: &CollectionName,
    sample: &PointsSample,
) -> Result<Vec<Mismatch>, Error> {
    let ids: Vec<Value> = sample.points.iter().map(|point| point.id.clone()).collect();
    let now = digests(&client.points(collection, &ids).await?);
    let mismatches = sample.points.iter().filter_map(|point| {
        let id = shortened(&point.id.to_string(), 60);
        match now.iter().find(|other| other.id == point.id) {
            None => Some(Mismatch::Missing { id }),
            Some(other) if other.sha256 != point.sha256 => Some(Mismatch::Differs { id }),
            Some(_) => None,
        }
    });
    Ok(mismatches.collect())
}
