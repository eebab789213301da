//! The server's information about a collection before its snapshots, and right after them.

use qdrant_backup_shared::manifest::is_custom;
use qdrant_backup_shared::points_sample::{PointsSample, SampledPoint};
use qdrant_backup_shared::{CollectionName, PointsCount};
use serde_json::Value;

use super::error::BackupError;
use super::run::Run;
use super::settled::settled;
use crate::qdrant::sample;
use crate::qdrant::{self, CollectionCluster, ShardTable};

/// The server's information about a collection before its snapshots.
pub struct Before {
    /// Configuration of the collection.
    pub config: Value,
    /// Its payload indexes.
    pub payload_schema: Value,
    /// The locations of its shards.
    pub cluster: CollectionCluster,
    /// The shards, if they are backed up one by one.
    pub shards: Option<ShardTable>,
    /// None if the server does not report it.
    pub points: Option<PointsCount>,
    /// Some of its points.
    pub sampled: Vec<SampledPoint>,
}

/// Counts and samples right after the snapshots.
#[derive(Debug, Default)]
pub struct After {
    /// None if the server does not report it.
    pub points: Option<PointsCount>,
    /// The earlier sampled points that are unchanged.
    pub sample: Option<PointsSample>,
}

/// Both counts for the manifest. Exact counts limit the contents of the snapshot, others do not.
pub struct Counts {
    /// Before and after.
    pub exact: Option<(u64, u64)>,
    /// An approximate number, if one of them is not exact.
    pub approximate: Option<u64>,
}

impl Counts {
    /// Of the counts before and after the snapshots.
    pub fn of(before: Option<PointsCount>, after: Option<PointsCount>) -> Self {
        if let (Some(before), Some(after)) = (before, after)
            && before.exact
            && after.exact
        {
            return Self { exact: Some((before.points, after.points)), approximate: None };
        }
        let least = before.into_iter().chain(after).map(|count| count.points).min();
        Self { exact: None, approximate: least }
    }

    /// The smaller one.
    pub fn at_least(&self) -> u64 {
        self.exact.map(|(before, after)| before.min(after)).or(self.approximate).unwrap_or(0)
    }
}

/// Reads the information. If the node cannot snapshot the whole collection, and its shards are not backed up one by one, that is
/// an error.
pub async fn inspect(run: &Run<'_>, collection: &CollectionName) -> Result<Before, BackupError> {
    let client = run.context.client.clone();
    let cluster = client.collection_cluster(collection).await?;
    run.see_peers(cluster.peer_ids());
    // First, because if a node is down, all requests below fail without naming the shard.
    let mut shards = match run.cluster.as_ref().filter(|_| run.goes_by_shard(false)) {
        Some(nodes) => Some(settled(run, nodes, collection).await?),
        None => None,
    };
    let info = client.collection_info(collection).await?;
    if let Some(nodes) =
        run.cluster.as_ref().filter(|_| shards.is_none() && run.goes_by_shard(is_custom(&info.config)))
    {
        shards = Some(settled(run, nodes, collection).await?);
    }
    // A collection without shards has only its configuration.
    shards = shards.filter(|table| !table.shards.is_empty());
    let uncovered = cluster.uncovered_shards();
    if shards.is_none() && !uncovered.is_empty() {
        return Err(BackupError::ShardsUncovered { shards: uncovered });
    }
    let points = count(run, collection).await?;
    let empty = points.is_some_and(|count| count.points == 0);
    let sampled = if empty { None } else { or_without(collection, sample::look(&client, collection).await)? };
    Ok(Before {
        config: info.config,
        payload_schema: info.payload_schema,
        cluster,
        shards,
        points,
        sampled: sampled.unwrap_or_default(),
    })
}

/// Counts the points, and checks which sampled points are unchanged.
pub async fn look_again(
    run: &Run<'_>,
    collection: &CollectionName,
    before: &Before,
) -> Result<After, BackupError> {
    let points = count(run, collection).await?;
    let confirmed = sample::confirm(&run.context.client, collection, &before.sampled).await;
    Ok(After { points, sample: or_without(collection, confirmed)?.flatten() })
}

/// Number of points, if the server reports it. A snapshot with verified bytes is a valid backup without it.
async fn count(run: &Run<'_>, collection: &CollectionName) -> Result<Option<PointsCount>, BackupError> {
    let client = &run.context.client;
    match client.while_it_lives(|| run.session.heartbeat(), client.count(collection)).await {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.is_refusal() => {
            run.session.warn(format!(
                "{error}; the backup of \"{collection}\" has no point count, so restores cannot be checked against it"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The sample, or none if it is not available. A backup without one is still valid.
fn or_without<T>(
    collection: &CollectionName,
    result: Result<T, qdrant::Error>,
) -> Result<Option<T>, BackupError> {
    match result {
        Ok(sample) => Ok(Some(sample)),
        Err(error @ qdrant::Error::Interrupted) => Err(error.into()),
        Err(error) => {
            tracing::warn!("{error}; drills of this backup of \"{collection}\" will not compare points");
            Ok(None)
        }
    }
}
