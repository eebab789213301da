//! Counts points, and reads a few of them completely: id, payload and all vectors.
//!
//! Servers may refuse these requests (strict mode, rate limits, keys without full access) and still create snapshots. So there is
//! a second way to count, pages become smaller, and requests that would wait longer than [`PATIENCE`] are skipped.

use std::time::Duration;

use qdrant_backup_shared::{CollectionName, PointsCount};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answers::{Count, Envelope, Scrolled};
use super::client::{Client, decode};
use super::error::Error;

/// Maximum wait for a server's rate limit, which is per minute.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

impl Client {
    /// The number of points in a collection: exact, or approximate if the server refuses an exact count.
    ///
    /// # Errors
    /// As every request: see [`Error`]. With [`Error::is_refusal`] the server does not report the number in any way.
    pub async fn count(&self, collection: &CollectionName) -> Result<PointsCount, Error> {
        let refusal = match self.ask_count(collection, true).await {
            Ok(points) => return Ok(PointsCount::exact(points)),
            Err(error) if error.is_refusal() => error,
            Err(error) => return Err(error),
        };
        tracing::debug!("{refusal}; using an approximate count");
        // Another count would have the same rate limit; the collection's information does not.
        let counted = if refusal.is_busy() { None } else { Some(self.ask_count(collection, false).await) };
        match counted {
            Some(Ok(points)) => return Ok(PointsCount::approximate(points)),
            Some(Err(error)) if !error.is_refusal() => return Err(error),
            Some(Err(_)) | None => {}
        }
        match self.collection_info(collection).await {
            Ok(info) => info.points_count.map(PointsCount::approximate).ok_or(refusal),
            Err(error) if error.is_refusal() => Err(refusal),
            Err(error) => Err(error),
        }
    }

    async fn ask_count(&self, collection: &CollectionName, exact: bool) -> Result<u64, Error> {
        let what = format!("counting the points of \"{collection}\"");
        let path = ["collections", collection.as_str(), "points", "count"];
        let body = json!({ "exact": exact });
        let answer = self.ask_for_count(&what, &path, &body, PATIENCE).await?;
        let answer: Envelope<Count> = decode(&what, &answer.body)?;
        Ok(answer.result.count)
    }

    /// The first `limit` points of a collection, in the order of their ids. Fewer if the wait for the server would be too long.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn first_points(&self, collection: &CollectionName, limit: usize) -> Result<Vec<Value>, Error> {
        let what = format!("reading points of \"{collection}\"");
        let path = ["collections", collection.as_str(), "points", "scroll"];
        let (mut points, mut page, mut offset) = (Vec::new(), limit, Value::Null);
        let begun = Instant::now();
        while points.len() < limit && begun.elapsed() < PATIENCE {
            let wanted = page.min(limit - points.len());
            let mut body = json!({ "limit": wanted, "with_payload": true, "with_vector": true });
            if !offset.is_null() {
                body["offset"] = offset.clone();
            }
            match self.with_patience(&what, Method::POST, &path, Some(&body), PATIENCE).await {
                Ok(answer) => {
                    let scrolled: Envelope<Scrolled> = decode(&what, &answer.body)?;
                    points.extend(scrolled.result.points);
                    offset = scrolled.result.next_page_offset;
                    if offset.is_null() {
                        break;
                    }
                }
                Err(error) if error.is_too_much() && wanted > 1 => page = wanted / 2,
                Err(error) if error.is_refusal() && !points.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(points)
    }

    /// The points with these ids, in no particular order. Ids without a point are ignored.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn points(&self, collection: &CollectionName, ids: &[Value]) -> Result<Vec<Value>, Error> {
        self.read_points(collection, ids, false).await
    }

    /// The same, but fewer of them if the wait for the server would be too long: then missing points mean nothing.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn some_points(&self, collection: &CollectionName, ids: &[Value]) -> Result<Vec<Value>, Error> {
        self.read_points(collection, ids, true).await
    }

    async fn read_points(
        &self,
        collection: &CollectionName,
        ids: &[Value],
        fewer_will_do: bool,
    ) -> Result<Vec<Value>, Error> {
        let what = format!("reading points of \"{collection}\"");
        let path = ["collections", collection.as_str(), "points"];
        let (mut points, mut page, mut rest) = (Vec::new(), ids.len(), ids);
        let begun = Instant::now();
        while !rest.is_empty() {
            if fewer_will_do && begun.elapsed() >= PATIENCE {
                break;
            }
            let (wanted, later) = rest.split_at(page.min(rest.len()));
            let body = json!({ "ids": wanted, "with_payload": true, "with_vector": true });
            match self.with_patience(&what, Method::POST, &path, Some(&body), PATIENCE).await {
                Ok(answer) => {
                    let answer: Envelope<Vec<Value>> = decode(&what, &answer.body)?;
                    points.extend(answer.result);
                    rest = later;
                }
                Err(error) if error.is_too_much() && wanted.len() > 1 => page = wanted.len() / 2,
                Err(error) if fewer_will_do && error.is_refusal() && !points.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(points)
    }
}
