//! Complete points: read by page or by id, and written. Payloads and vectors are kept as the server's text, which is compared and
//! passed on without parsing.

use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{Envelope, Update};
use super::client::{Client, decode};
use super::error::Error;

/// A point in the server's format.
#[derive(Debug, Clone, Deserialize)]
pub struct WholePoint {
    /// A number or a UUID.
    pub id: Value,
    /// Its payload. Absent if it was not requested.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
    /// Its vectors. Absent if they were not requested.
    #[serde(default)]
    pub vector: Option<Box<RawValue>>,
    /// The key of its shard, with custom sharding.
    #[serde(default)]
    pub shard_key: Option<Value>,
}

/// A request for a page.
#[derive(Debug, Clone, Default)]
pub struct PageWanted {
    /// The first possible id on it. None for the first page.
    pub from: Option<Value>,
    /// Maximum number of points.
    pub limit: usize,
    /// Only points that match this Qdrant filter.
    pub filter: Option<Value>,
}

/// A page of a collection, in the order of ids.
#[derive(Debug)]
pub struct Page {
    /// Its points, with payload and vectors.
    pub points: Vec<WholePoint>,
    /// The first id of the next page, if there is one.
    pub next: Option<Value>,
    /// The size of the answer in bytes.
    pub size_bytes: usize,
}

#[derive(Deserialize)]
struct Scrolled {
    points: Vec<WholePoint>,
    #[serde(default)]
    next_page_offset: Value,
}

/// Handling of existing points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They are overwritten.
    Overwrite,
    /// They are left alone, if the server supports it (1.17 and later). Older ones overwrite them.
    Leave,
}

impl Client {
    /// A page of a collection, requested once.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn page(&self, collection: &CollectionName, wanted: &PageWanted) -> Result<Page, Error> {
        let what = format!("reading points of \"{collection}\"");
        let path = ["collections", collection.as_str(), "points", "scroll"];
        let mut body = json!({ "limit": wanted.limit, "with_payload": true, "with_vector": true });
        if let Some(from) = &wanted.from {
            body["offset"] = from.clone();
        }
        if let Some(filter) = &wanted.filter {
            body["filter"] = filter.clone();
        }
        let answer = self.send(&what, Method::POST, &path, Some(&body), self.limits.request).await?;
        let scrolled: Envelope<Scrolled> = decode(&what, &answer.body)?;
        let Scrolled { points, next_page_offset } = scrolled.result;
        let next = (!next_page_offset.is_null()).then_some(next_page_offset);
        Ok(Page { points, next, size_bytes: answer.body.len() })
    }

    /// The points with these ids, in no particular order, requested once. Ids without a point are ignored.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn whole_points(
        &self,
        collection: &CollectionName,
        ids: &[Value],
        with_content: bool,
    ) -> Result<Vec<WholePoint>, Error> {
        let what = format!("reading points of \"{collection}\"");
        let path = ["collections", collection.as_str(), "points"];
        let body = json!({ "ids": ids, "with_payload": with_content, "with_vector": with_content });
        let answer = self.send(&what, Method::POST, &path, Some(&body), self.limits.request).await?;
        let points: Envelope<Vec<WholePoint>> = decode(&what, &answer.body)?;
        Ok(points.result)
    }

    /// Writes points (of one shard key, if there are any), and waits until enough replicas have them. Not retried, but can be
    /// repeated safely.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn upsert(
        &self,
        collection: &CollectionName,
        points: Vec<Value>,
        shard_key: Option<&Value>,
        existing: Existing,
    ) -> Result<(), Error> {
        let what = format!("writing points of \"{collection}\"");
        let mut body = json!({ "points": points });
        if let Some(key) = shard_key {
            body["shard_key"] = key.clone();
        }
        if existing == Existing::Leave {
            body["update_mode"] = json!("insert_only");
        }
        let mut url = self.path(&what, &["collections", collection.as_str(), "points"])?;
        url.query_pairs_mut().append_pair("wait", "true").append_pair("ordering", "strong");
        let limit = self.limits.request;
        let answer = self.send_to(&what, Method::PUT, url, Some(&body), limit).await?;
        // `acknowledged` means that the write will be done. It becomes visible a little later.
        decode::<Envelope<Update>>(&what, &answer.body).map(drop)
    }

    /// Waits before a retry after `error`, if a retry may help: as long as a busy server requests, up to `patience`
    /// in total, and after other temporary failures up to the configured number of retries.
    ///
    /// # Errors
    /// `error` itself, if a retry does not help; and an interruption.
    pub async fn wait_after(
        &self,
        error: Error,
        retries: &mut u32,
        patience: &mut Duration,
    ) -> Result<(), Error> {
        if error.is_busy() && !error.is_too_much() {
            let pause = error.retry_after().unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(100));
            if pause > *patience {
                return Err(error);
            }
            *patience -= pause;
            tracing::debug!("{error}; asking again in {:.1} s", pause.as_secs_f64());
            return self.pause(pause).await;
        }
        if error.is_transient() && *retries < self.limits.retries {
            tracing::debug!("{error}; trying again");
            self.pause_before_retry(*retries, &error).await?;
            *retries += 1;
            return Ok(());
        }
        Err(error)
    }
}
