//! Takes a sample: the same few points, read before and after the snapshot.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::points_sample::{PointDigest, PointsSample, SampledPoint};
use serde_json::Value;

use super::canonical::point_digest;
use crate::qdrant::{Client, Error};

/// Maximum number of sampled points. Enough to find damage to many points, and small enough for one answer.
pub const POINTS: usize = 16;

/// The first points of `collection`, by digest.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn look(client: &Client, collection: &CollectionName) -> Result<Vec<SampledPoint>, Error> {
    Ok(digests(&client.first_points(collection, POINTS).await?))
}

/// The points `seen` before the snapshot that are still the same. The snapshot contains them, unless they were changed and
/// changed back in between. None if there are none.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn confirm(
    client: &Client,
    collection: &CollectionName,
    seen: &[SampledPoint],
) -> Result<Option<PointsSample>, Error> {
    if seen.is_empty() {
        return Ok(None);
    }
    let ids: Vec<Value> = seen.iter().map(|point| point.id.clone()).collect();
    let now = digests(&client.some_points(collection, &ids).await?);
    let points: Vec<SampledPoint> = seen.iter().filter(|point| now.contains(point)).cloned().collect();
    Ok((!points.is_empty()).then_some(PointsSample { algorithm: PointDigest::CanonicalV1, points }))
}

/// The digests of points. Points that cannot be sampled are omitted.
pub(super) fn digests(points: &[Value]) -> Vec<SampledPoint> {
    points
        .iter()
        .filter_map(|point| Some(SampledPoint { id: point.get("id")?.clone(), sha256: point_digest(point)? }))
        .collect()
}
