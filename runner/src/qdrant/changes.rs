//! Requests that change collections and aliases. None is retried: the caller checks the state first.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::text::shortened;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{Envelope, Exists, Update};
use super::client::{Client, decode};
use super::create::PayloadIndex;
use super::error::Error;

/// An alias to set for a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasChange {
    /// Name of the alias.
    pub alias: String,
    /// Whether it belongs to another collection now, and is moved.
    pub moves: bool,
}

impl Client {
    /// Whether there is a collection or an alias with this name.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn exists(&self, collection: &CollectionName) -> Result<bool, Error> {
        let what = format!("checking whether \"{collection}\" exists");
        let answer = self.get(&what, &["collections", collection.as_str(), "exists"]).await?;
        let exists: Envelope<Exists> = decode(&what, &answer.body)?;
        Ok(exists.result.exists)
    }

    /// Creates a minimal collection with this name.
    ///
    /// # Errors
    /// As every request: see [`Error`]. Also when the name is taken (409).
    pub async fn create_scratch_collection(&self, collection: &CollectionName) -> Result<(), Error> {
        let what = format!("creating collection \"{collection}\"");
        let body = json!({ "vectors": { "size": 1, "distance": "Dot" } });
        self.change(&what, Method::PUT, &["collections", collection.as_str()], Some(&body)).await?;
        Ok(())
    }

    /// Creates a collection with `body`, that of the create request.
    ///
    /// # Errors
    /// As every request: see [`Error`]. Also when the name is taken (409).
    pub async fn create_collection(&self, collection: &CollectionName, body: &Value) -> Result<(), Error> {
        let what = format!("creating collection \"{collection}\"");
        self.change(&what, Method::PUT, &["collections", collection.as_str()], Some(body)).await?;
        Ok(())
    }

    /// Creates a payload index, and waits until it exists.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn create_payload_index(
        &self,
        collection: &CollectionName,
        index: &PayloadIndex,
    ) -> Result<(), Error> {
        let field = shortened(&index.field_name, 80);
        let what = format!("creating the payload index \"{field}\" of \"{collection}\"");
        let mut url = self.path(&what, &["collections", collection.as_str(), "index"])?;
        url.query_pairs_mut().append_pair("wait", "true");
        let answer = self.send_to(&what, Method::PUT, url, Some(&index.body()), self.limits.create).await?;
        decode::<Envelope<Update>>(&what, &answer.body).map(drop)
    }

    /// Creates a shard key with this number of shards, with `copies` copies each. Their ids continue from the highest one ever
    /// used.
    ///
    /// # Errors
    /// As every request: see [`Error`]. Outside cluster mode there are no shard keys (400).
    pub async fn create_shard_key(
        &self,
        collection: &CollectionName,
        key: &Value,
        shards: u32,
        copies: u32,
    ) -> Result<(), Error> {
        let what = format!("creating the shard key {} of \"{collection}\"", shortened(&key.to_string(), 60));
        let body = json!({ "shard_key": key, "shards_number": shards, "replication_factor": copies });
        self.change(&what, Method::PUT, &["collections", collection.as_str(), "shards"], Some(&body)).await?;
        Ok(())
    }

    /// Drops a shard key with its shards.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn delete_shard_key(&self, collection: &CollectionName, key: &Value) -> Result<(), Error> {
        let what = format!("dropping the shard key {} of \"{collection}\"", shortened(&key.to_string(), 60));
        let body = json!({ "shard_key": key });
        let path = ["collections", collection.as_str(), "shards", "delete"];
        self.change(&what, Method::POST, &path, Some(&body)).await?;
        Ok(())
    }

    /// Deletes a collection. Its snapshots stay on the server's disk, unreachable. False when there was none.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn delete_collection(&self, collection: &CollectionName) -> Result<bool, Error> {
        let what = format!("deleting collection \"{collection}\"");
        self.change(&what, Method::DELETE, &["collections", collection.as_str()], None).await
    }

    /// Sets these aliases for `collection`: all of them or, on an error, none.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn set_aliases(
        &self,
        collection: &CollectionName,
        changes: &[AliasChange],
    ) -> Result<(), Error> {
        let what = format!("setting the aliases of \"{collection}\"");
        let mut actions: Vec<Value> = Vec::new();
        for AliasChange { alias, moves } in changes {
            if *moves {
                actions.push(json!({ "delete_alias": { "alias_name": alias } }));
            }
            actions.push(
                json!({ "create_alias": { "collection_name": collection.as_str(), "alias_name": alias } }),
            );
        }
        let body = json!({ "actions": actions });
        self.change(&what, Method::POST, &["collections", "aliases"], Some(&body)).await?;
        Ok(())
    }

    /// Changes parameters of a collection, except those of its vectors.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn set_params(
        &self,
        collection: &CollectionName,
        params: &serde_json::Map<String, Value>,
    ) -> Result<(), Error> {
        let what = format!("changing the parameters of \"{collection}\"");
        let body = json!({ "params": params });
        self.change(&what, Method::PATCH, &["collections", collection.as_str()], Some(&body)).await?;
        Ok(())
    }

    async fn change(
        &self,
        what: &str,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<bool, Error> {
        let answer = self.send(what, method, path, body, self.limits.request).await?;
        let done: Envelope<bool> = decode(what, &answer.body)?;
        Ok(done.result)
    }
}
