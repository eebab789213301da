//! Waits until the shards of a collection can be backed up.

use std::time::{Duration, Instant};

use qdrant_backup_shared::CollectionName;

use super::cluster::Cluster;
use super::error::BackupError;
use super::run::Run;
use crate::qdrant::ShardTable;

/// Interval between checks of moving shards.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// The locations of the shards, when each has an active copy on a node that answers and none is moving. Waits for this for a
/// limited time.
pub async fn settled(
    run: &Run<'_>,
    cluster: &Cluster,
    collection: &CollectionName,
) -> Result<ShardTable, BackupError> {
    let client = &run.context.client;
    let limit = run.context.options.cluster_timeout;
    let since = Instant::now();
    let mut pause = FIRST_LOOK;
    let mut told = false;
    loop {
        let table = ShardTable::from(&client.collection_cluster(collection).await?);
        let shards = table.unsettled(|peer| cluster.answers(peer));
        if shards.is_empty() {
            return Ok(table);
        }
        let only_nodes = table.unsettled(|_| true).is_empty();
        // Nodes that are down are down for all collections.
        let left = match only_nodes {
            true => cluster.patience(limit),
            false => limit.saturating_sub(since.elapsed()),
        };
        if left.is_zero() {
            return Err(BackupError::ShardsUnsettled { shards, waited: Some(limit) });
        }
        if !told {
            told = true;
            tracing::info!(
                "\"{collection}\": {}; waiting up to {} for it (qdrant.cluster_timeout)",
                shards.join(", "),
                humantime::format_duration(Duration::from_secs(left.as_secs().max(1)))
            );
        }
        client.pause(pause.min(left)).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
        if only_nodes {
            cluster.look_again(client, &run.context.options.nodes).await?;
        }
    }
}
