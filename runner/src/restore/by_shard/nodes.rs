//! The nodes that a collection's shards are uploaded to.

use qdrant_backup_shared::CollectionName;

use crate::qdrant::{Client, Error, ShardTable};
use crate::restore::order::Destination;

/// The nodes of the destination that answer.
pub(super) struct Targets {
    /// Each with its peer id.
    nodes: Vec<(u64, Client)>,
    /// Whether the server is in cluster mode.
    pub(super) is_cluster: bool,
}

impl Targets {
    /// Finds them. Those that do not answer are returned as warnings; they only matter if a shard is on no other node.
    pub(super) async fn find(destination: &Destination) -> Result<(Self, Vec<String>), Error> {
        let found = match destination.client.nodes(&destination.nodes).await {
            // If access is denied, the plan has already reported that.
            Err(error) if error.is_answered() => None,
            other => other?,
        };
        let Some(found) = found else {
            return Ok((
                Self { nodes: vec![(0, destination.client.clone())], is_cluster: false },
                Vec::new(),
            ));
        };
        let warnings = found.warnings();
        let nodes = found.nodes.into_iter().map(|node| (node.peer_id, node.client)).collect();
        Ok((Self { nodes, is_cluster: true }, warnings))
    }

    /// The number of nodes.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// One client for each node.
    pub(super) fn clients(&self) -> Vec<Client> {
        self.nodes.iter().map(|(_, client)| client.clone()).collect()
    }

    /// Whether that node answers.
    pub(super) fn answers(&self, peer_id: u64) -> bool {
        !self.is_cluster || self.nodes.iter().any(|(id, _)| *id == peer_id)
    }

    /// The locations of the shards of `collection`.
    pub(super) async fn table(
        &self,
        client: &Client,
        collection: &CollectionName,
    ) -> Result<ShardTable, Error> {
        Ok(ShardTable::from(&client.collection_cluster(collection).await?))
    }

    /// The nodes with `shard_id` that answer. Those with an active copy come first, and of these the one with the fewest of
    /// `given`.
    pub(super) fn holders(
        &self,
        table: &ShardTable,
        shard_id: u32,
        given: impl Fn(&Client) -> usize,
    ) -> Vec<&Client> {
        if !self.is_cluster {
            return self.nodes.iter().map(|(_, client)| client).collect();
        }
        let Some(replicas) = table.shards.get(&shard_id) else { return Vec::new() };
        let active: Vec<u64> = replicas.active().collect();
        let mut holders: Vec<&(u64, Client)> =
            self.nodes.iter().filter(|(id, _)| replicas.states.contains_key(id)).collect();
        holders.sort_by_key(|(id, client)| (!active.contains(id), given(client)));
        holders.into_iter().map(|(_, client)| client).collect()
    }
}
