//! The name, content and points of a snapshot made on a node.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::collection::Collection;
use super::content::Content;
use super::generated::GeneratedSnapshot;
use super::plain::DEFAULT_PEER_ID;
use super::shard_archive::ShardArchive;
use super::state::State;

impl Collection {
    /// The content of a snapshot made on this node. In a cluster it has only the shards on this node.
    fn content_on(&self, node: usize) -> Content {
        if let Some(content) = self.content_on_node.get(&node) {
            return content.clone();
        }
        if !self.content_is_stale && self.shards.iter().all(|shard| shard.has_replica_on(node)) {
            return self.content.clone();
        }
        let shards = self.shards.len() as u32;
        let mut snapshot = GeneratedSnapshot::new(self.bulk.size_bytes * u64::from(shards))
            .kind(self.bulk.kind)
            .seed(self.bulk.seed)
            .points_count(self.points_count())
            .shards(shards);
        snapshot.config = self.config.clone();
        if self.is_custom() {
            snapshot = snapshot.shard_keys(&self.shard_keys());
        }
        snapshot.points_seed.clone_from(&self.points.seed);
        let local = self.shards.iter().filter(|shard| shard.has_replica_on(node));
        snapshot.local_shards = Some(local.map(|shard| shard.id).collect());
        Content::generated(&snapshot)
    }
}

impl State {
    /// The name of a snapshot made at this time.
    pub fn snapshot_name(
        &self,
        node: usize,
        collection: &str,
        shard: Option<u32>,
        time: DateTime<Utc>,
    ) -> String {
        let time = time.format("%Y-%m-%d-%H-%M-%S");
        if let Some(shard) = shard {
            return format!("{collection}-shard-{shard}-{time}.snapshot");
        }
        let peer_id = self.nodes.get(node).map_or(DEFAULT_PEER_ID, |node| node.peer_id);
        format!("{collection}-{peer_id}-{time}.snapshot")
    }

    /// The content of a snapshot of the collection or its shard, made on this node now.
    pub(crate) fn snapshot_content(&mut self, node: usize, collection: &str, shard: Option<u32>) -> Content {
        let peer_ids: Vec<u64> = self.nodes.iter().map(|node| node.peer_id).collect();
        let peer_id = |node: usize| peer_ids.get(node).copied().unwrap_or(DEFAULT_PEER_ID);
        let empty = || Content::bytes(Vec::new());
        let Some(collection) = self.collections.get_mut(collection) else { return empty() };
        let Some(id) = shard else { return collection.content_on(node) };
        if let Some(content) = collection.shard_snapshots.get(&id) {
            return content.clone();
        }
        let shard = collection.shards.iter().find(|shard| shard.id == id);
        let (Some(shard), Some(origin)) = (shard, collection.shard_origin(id)) else { return empty() };
        let states = shard.replicas.iter();
        let archive = ShardArchive {
            collection: collection.name.clone(),
            shard: id,
            bulk: collection.bulk,
            origin,
            peer_id: peer_id(node),
            peers: states
                .map(|replica| (peer_id(replica.node).to_string(), replica.state.clone()))
                .collect::<BTreeMap<_, _>>(),
        };
        match collection.made.get(&id) {
            Some((known, content)) if *known == archive => content.clone(),
            _ => {
                let content = archive.content();
                collection.made.insert(id, (archive, content.clone()));
                content
            }
        }
    }

    /// Records the current points of a snapshot of the collection (or another number of them), because the archive
    /// does not contain them.
    pub(crate) fn remember_origin(
        &mut self,
        node: usize,
        collection: &str,
        sha256: String,
        points: Option<u64>,
    ) {
        let Some(collection) = self.collections.get(collection) else { return };
        let mut collection = collection.clone();
        if let Some(points) = points {
            collection.set_points_count(points);
        }
        let local = collection.shards.iter().filter(|shard| shard.has_replica_on(node));
        let counts = local.map(|shard| (shard.id, shard.points_count)).collect();
        self.origins.insert(sha256, (collection.points.clone(), counts));
    }

    /// Records the current points of a snapshot of the shard, or another number of them.
    pub(crate) fn remember_shard_origin(
        &mut self,
        collection: &str,
        shard: u32,
        sha256: String,
        points: Option<u64>,
    ) {
        let Some(collection) = self.collections.get(collection) else { return };
        if let Some(mut origin) = collection.shard_origin(shard) {
            origin.points_count = points.unwrap_or(origin.points_count);
            self.shard_origins.insert(sha256, origin);
        }
    }
}
