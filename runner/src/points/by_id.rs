//! Reads points by their ids, in as many requests as the server needs.

use std::collections::BTreeMap;

use qdrant_backup_shared::CollectionName;
use serde_json::Value;

use super::error::PointsError;
use super::id::PointId;
use super::page_size::PageSize;
use super::pages::{PATIENCE, may_be_too_much};
use super::point::Point;
use crate::qdrant::Client;

/// The points with these `ids`, with or without payload and vectors.
///
/// # Errors
/// As every request.
pub async fn read(
    client: &Client,
    collection: &CollectionName,
    ids: &[PointId],
    with_content: bool,
    size: &mut PageSize,
) -> Result<BTreeMap<PointId, Point>, PointsError> {
    let mut found = BTreeMap::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let (mut retries, mut patience) = (0, PATIENCE);
        let (later, points) = loop {
            let (now, later) = rest.split_at(size.points().min(rest.len()));
            let values: Vec<Value> = now.iter().map(PointId::value).collect();
            match client.whole_points(collection, &values, with_content).await {
                Ok(points) => break (later, points),
                Err(error) if may_be_too_much(&error) && is_lessened(size, now.len()) => {}
                Err(error) => client.wait_after(error, &mut retries, &mut patience).await?,
            }
        };
        let points = points.into_iter().map(Point::of).collect::<Result<Vec<_>, _>>()?;
        if with_content && !points.is_empty() {
            size.was(points.len(), points.iter().map(Point::size_bytes).sum());
        }
        found.extend(points.into_iter().map(|point| (point.id, point)));
        rest = later;
    }
    Ok(found)
}

/// Reduces the size until it is smaller than the last request.
fn is_lessened(size: &mut PageSize, asked: usize) -> bool {
    while size.points() >= asked {
        if !size.was_too_much() {
            return false;
        }
    }
    true
}
