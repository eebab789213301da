//! Activity of a server from `GET /telemetry`: its process, and the snapshots that it is creating or restoring.
//!
//! All of it may be missing: a proxy may block the path, and older servers report less.

use qdrant_backup_shared::CollectionName;
use reqwest::Method;
use serde::Deserialize;

use super::answers::Envelope;
use super::client::{Client, decode};
use super::error::Error;

/// A server's report about itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Telemetry {
    /// A random id that each process generates when it starts.
    #[serde(default, rename = "id")]
    pub process: Option<String>,
    #[serde(default)]
    collections: Collections,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Collections {
    #[serde(default)]
    snapshots: Option<Vec<Work>>,
}

/// Work on the snapshots of one collection. A collection is listed from its first creation or restore on.
#[derive(Debug, Clone, Default, Deserialize)]
struct Work {
    id: String,
    #[serde(default)]
    running_snapshots: Option<u64>,
    #[serde(default)]
    running_snapshot_recovery: Option<u64>,
}

impl Telemetry {
    /// For a server that reports only its process.
    pub fn of(process: Option<String>) -> Self {
        Self { process, collections: Collections::default() }
    }

    /// Number of snapshots of `collection` that are being made. None if the server does not report it.
    pub fn creations(&self, collection: &CollectionName) -> Option<u64> {
        self.work(collection, |work| work.running_snapshots)
    }

    /// Number of snapshots that are being restored into `collection`. None if the server does not report it.
    pub fn restores(&self, collection: &CollectionName) -> Option<u64> {
        self.work(collection, |work| work.running_snapshot_recovery)
    }

    fn work(&self, collection: &CollectionName, count: impl Fn(&Work) -> Option<u64>) -> Option<u64> {
        let all = self.collections.snapshots.as_ref()?;
        all.iter().find(|work| work.id == collection.as_str()).map_or(Some(0), count)
    }
}

impl Client {
    /// The id of the process. Works with any API key.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn process(&self) -> Result<Option<String>, Error> {
        Ok(self.telemetry_in_detail("0").await?.process)
    }

    /// The activity of the server. As expensive as a scrape of its metrics, so not for frequent use.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn telemetry(&self) -> Result<Telemetry, Error> {
        // The lowest level that includes snapshots.
        self.telemetry_in_detail("2").await
    }

    /// Not retried: only the current state is useful.
    async fn telemetry_in_detail(&self, level: &str) -> Result<Telemetry, Error> {
        let what = "reading what the server is busy with";
        let mut url = self.path(what, &["telemetry"])?;
        url.query_pairs_mut().append_pair("details_level", level);
        let answer = self.send_to(what, Method::GET, url, None, self.limits.request).await?;
        Ok(decode::<Envelope<Telemetry>>(what, &answer.body)?.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_unknown_and_what_is_not_listed_is_idle() {
        let telemetry = |json: &str| serde_json::from_str::<Telemetry>(json).unwrap();
        let docs = CollectionName::new("docs").unwrap();
        assert_eq!(
            telemetry(r#"{"id":"x","collections":{"number_of_collections":1}}"#).creations(&docs),
            None
        );
        assert_eq!(telemetry("{}").creations(&docs), None);
        let idle = telemetry(r#"{"id":"x","collections":{"snapshots":[]}}"#);
        assert_eq!((idle.process.as_deref(), idle.creations(&docs)), (Some("x"), Some(0)));
        let busy = r#"{"collections":{"snapshots":[{"id":"docs","running_snapshots":1,"running_snapshot_recovery":2}]}}"#;
        assert_eq!((telemetry(busy).creations(&docs), telemetry(busy).restores(&docs)), (Some(1), Some(2)));
        assert_eq!(telemetry(r#"{"collections":{"snapshots":[{"id":"docs"}]}}"#).creations(&docs), None);
    }
}
