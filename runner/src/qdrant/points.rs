//! Reading a few points whole: id, payload and every vector.

use qdrant_backup_shared::CollectionName;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{Envelope, Scrolled};
use super::client::{Client, decode};
use super::error::Error;

impl Client {
    /// The first `limit` points of a collection, in the order of their ids.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn first_points(&self, collection: &CollectionName, limit: usize) -> Result<Vec<Value>, Error> {
        let what = format!("reading points of \"{collection}\"");
        let body = json!({ "limit": limit, "with_payload": true, "with_vector": true });
        let path = ["collections", collection.as_str(), "points", "scroll"];
        let answer = self.with_retries(&what, Method::POST, &path, Some(&body)).await?;
        let scrolled: Envelope<Scrolled> = decode(&what, &answer.body)?;
        Ok(scrolled.result.points)
    }

    /// The points with these ids, in no particular order; ids of no point are passed over.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn points(&self, collection: &CollectionName, ids: &[Value]) -> Result<Vec<Value>, Error> {
        let what = format!("reading points of \"{collection}\"");
        let body = json!({ "ids": ids, "with_payload": true, "with_vector": true });
        let path = ["collections", collection.as_str(), "points"];
        let answer = self.with_retries(&what, Method::POST, &path, Some(&body)).await?;
        let points: Envelope<Vec<Value>> = decode(&what, &answer.body)?;
        Ok(points.result)
    }
}
