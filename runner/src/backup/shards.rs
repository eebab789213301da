//! Backs up a collection shard by shard: each shard once, from a node with an active copy.
//!
//! The locations of the shards are checked before and after. Shards that have moved are backed up again. If the set of shards has
//! changed, the backup of the collection starts again.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::stream::{self, StreamExt};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::manifest::Scope;
use qdrant_backup_shared::operation::Stage;

use super::before::{Before, Counts, look_again};
use super::cluster::Cluster;
use super::error::BackupError;
use super::node::{Node, Part};
use super::part::{Obtained, obtain};
use super::run::Run;
use super::settled::settled;
use super::taken::{Taken, TakenArchive};
use super::work::Work;
use super::{guards, leftovers};
use crate::qdrant::{Error, ShardTable, Subject};

/// So many points, and a tenth, may be missing in a copy: they are on their way.
const FEW: u64 = 100;
/// Maximum number of attempts for shards that have moved.
const ROUNDS: usize = 3;

/// The archive of one shard, and its node.
struct TakenShard {
    peer_id: u64,
    url: String,
    obtained: Obtained,
}

/// Backs up every shard of the collection. `first` has the locations from before the count.
pub async fn take(
    run: &Run<'_>,
    cluster: &Cluster,
    work: &Work<'_, '_>,
    id: BackupId,
    before: &Before,
    first: &ShardTable,
) -> Result<Taken, BackupError> {
    let collection = work.collection;
    let mut table = first.clone();
    let mut taken: BTreeMap<u32, TakenShard> = BTreeMap::new();
    let mut after = None;
    for _ in 0..ROUNDS {
        if let Err(error) = take_missing(run, cluster, work, id, &table, &mut taken).await {
            table = where_it_went(run, cluster, collection, error).await?;
            if !table.has_the_shards_of(first) {
                return Err(BackupError::ShardsChanged);
            }
            continue;
        }
        after = Some(look_again(run, collection, before).await?);
        table = settled(run, cluster, collection).await?;
        if !table.has_the_shards_of(first) {
            return Err(BackupError::ShardsChanged);
        }
        let moved = |id: &u32, shard: &TakenShard| {
            let still = table.shards.get(id).is_some_and(|at| at.active().any(|peer| peer == shard.peer_id));
            if !still {
                warn_of_move(run, collection, *id, &shard.url);
            }
            still
        };
        taken.retain(|id, shard| moved(id, shard));
        if taken.len() == table.shards.len() {
            break;
        }
    }
    if taken.len() < table.shards.len() {
        let moving = table.shards.keys().filter(|id| !taken.contains_key(id));
        let shards = moving.map(|id| format!("shard {id} keeps moving between nodes")).collect();
        return Err(BackupError::ShardsUnsettled { shards, waited: None });
    }
    let after = after.unwrap_or_default();
    let points = Counts::of(before.points, after.points).at_least();
    if points > 0 && taken.values().all(|shard| shard.obtained.received.inspection.holds_no_points()) {
        return Err(BackupError::EmptySnapshot { points });
    }
    let info = run.context.client.collection_info(collection).await?;
    if info.config.get("params") != before.config.get("params") {
        return Err(BackupError::ShardsChanged);
    }
    let compression = run.context.options.compression;
    let archives = taken.into_iter().map(|(shard_id, shard)| {
        let TakenShard { peer_id, url, obtained } = shard;
        TakenArchive::of(Scope::Shard, vec![shard_id], peer_id, url, compression, obtained)
    });
    Ok(Taken {
        archives: archives.collect(),
        after,
        config: Some(info.config),
        payload_schema: info.payload_schema,
        shard_count: u32::try_from(table.shards.len()).unwrap_or(u32::MAX),
        shard_keys: table.keys(),
    })
}

/// The current locations of the shards, if `error` was caused by a shard that has moved. Other errors are returned.
async fn where_it_went(
    run: &Run<'_>,
    cluster: &Cluster,
    collection: &CollectionName,
    error: BackupError,
) -> Result<ShardTable, BackupError> {
    let BackupError::Shard { shard_id, node, .. } = &error else { return Err(error) };
    if !error.may_be_the_nodes() {
        return Err(error);
    }
    let Ok(table) = settled(run, cluster, collection).await else { return Err(error) };
    let asked = |peer| cluster.node(peer).is_some_and(|there| there.client.url() == node);
    if table.shards.get(shard_id).is_none_or(|at| at.active().any(asked)) {
        return Err(error);
    }
    warn_of_move(run, collection, *shard_id, node);
    Ok(table)
}

fn warn_of_move(run: &Run<'_>, collection: &CollectionName, shard_id: u32, url: &str) {
    run.session.warn(format!(
        "shard {shard_id} of \"{collection}\" moved away from {url} during its backup; backing it up from its new node"
    ));
}

/// Backs up the shards of `table` that are not `taken` yet. After a failure no other one is started.
async fn take_missing(
    run: &Run<'_>,
    cluster: &Cluster,
    work: &Work<'_, '_>,
    id: BackupId,
    table: &ShardTable,
    taken: &mut BTreeMap<u32, TakenShard>,
) -> Result<(), BackupError> {
    let wanted = table.shards.keys().filter(|shard_id| !taken.contains_key(shard_id));
    let mut plan = assign(table, wanted.copied(), |peer| cluster.answers(peer));
    if plan.iter().any(|(_, peers)| peers.len() > 1) {
        let held = held(cluster, work.collection).await;
        for (shard_id, told) in fuller_first(&mut plan, &held) {
            run.session.warn(format!(
                "the copies of shard {shard_id} of \"{}\" differ ({told}): backing up one with the most points; find out why, and restore the collection or make the copies anew",
                work.collection
            ));
        }
    }
    let failed = Cell::new(false);
    let at_once = usize::from(run.context.options.jobs.get());
    let mut under_way = stream::iter(plan)
        .map(async |(shard_id, peers)| {
            if failed.get() {
                return None;
            }
            let nodes: Vec<(u64, Rc<Node>)> =
                peers.into_iter().filter_map(|peer| Some((peer, cluster.node(peer)?))).collect();
            let result = take_shard(run, work, id, shard_id, &nodes).await;
            failed.set(failed.get() || result.is_err());
            Some((shard_id, result))
        })
        .buffer_unordered(at_once);
    let mut first_error = None;
    while let Some(ended) = under_way.next().await {
        match ended {
            Some((shard_id, Ok(shard))) => drop(taken.insert(shard_id, shard)),
            Some((_, Err(error))) => drop(first_error.get_or_insert(error)),
            None => {}
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Backs up one shard, from the first of `nodes` that succeeds.
async fn take_shard(
    run: &Run<'_>,
    work: &Work<'_, '_>,
    id: BackupId,
    shard_id: u32,
    nodes: &[(u64, Rc<Node>)],
) -> Result<TakenShard, BackupError> {
    let encoding = run.context.options.compression.encoding();
    let path = run.layout.shard_archive(work.collection, id, shard_id, &encoding);
    let mut failed = None;
    for (peer_id, node) in nodes {
        if let Some(error) = failed.take() {
            run.session.warn(format!("{error}; trying {}, which also has this shard", node.client.url()));
        }
        let part = Part { node: Rc::clone(node), subject: Subject::shard(work.collection, shard_id) };
        let obtained = obtain(run, &part, &path, work, async || Ok(())).await;
        let error = match obtained.and_then(|obtained| {
            guards::check_shard(&obtained.received.inspection)?;
            Ok(obtained)
        }) {
            Ok(obtained) => {
                tidy(run, &part, work).await;
                note_oddities(run, &part, &obtained);
                return Ok(TakenShard { peer_id: *peer_id, url: node.client.url().to_owned(), obtained });
            }
            Err(error) => error,
        };
        let elsewhere = error.may_be_the_nodes();
        let cause = Box::new(error);
        let error = BackupError::Shard { shard_id, node: node.client.url().to_owned(), cause };
        if !elsewhere {
            return Err(error);
        }
        failed = Some(error);
    }
    Err(failed.unwrap_or(BackupError::Qdrant(Error::Interrupted)))
}

/// Deletes the shard's snapshot on its node right after the download, so that no node stores all of its shards twice. Snapshots
/// found in the list are handled at the end.
async fn tidy(run: &Run<'_>, part: &Part, work: &Work<'_, '_>) {
    if run.context.options.keep_server_snapshots || work.has_adopted(&part.subject) {
        return;
    }
    work.enter(Stage::Cleanup);
    leftovers::clean_up_of(run, std::slice::from_ref(&part.node.client), &part.subject).await;
}

fn note_oddities(run: &Run<'_>, part: &Part, obtained: &Obtained) {
    for oddity in obtained.received.inspection.findings.iter().take(3) {
        run.session.warn(format!("{}: unusual snapshot: {oddity}", part.subject));
    }
}

/// The nodes for each shard, best first: of those that have it and `answer`, the one with the fewest shards to back up. Neighbors
/// in the list are on different nodes if possible, so that parallel downloads come from several nodes.
fn assign(
    table: &ShardTable,
    wanted: impl Iterator<Item = u32>,
    answers: impl Fn(u64) -> bool,
) -> Vec<(u32, Vec<u64>)> {
    let mut load: BTreeMap<u64, usize> = BTreeMap::new();
    let mut plan: Vec<(usize, u32, Vec<u64>)> = Vec::new();
    let mut shards: Vec<(u32, Vec<u64>)> = wanted
        .filter_map(|id| {
            let replicas = table.shards.get(&id)?;
            Some((id, replicas.active().filter(|peer| answers(*peer)).collect()))
        })
        .collect();
    // Shards with the fewest nodes first.
    shards.sort_by_key(|(id, peers)| (peers.len(), *id));
    for (id, mut peers) in shards {
        peers.sort_by_key(|peer| (load.get(peer).copied().unwrap_or(0), *peer));
        let turn = peers.first().map_or(0, |peer| {
            let given = load.entry(*peer).or_default();
            *given += 1;
            *given
        });
        plan.push((turn, id, peers));
    }
    plan.sort_by_key(|(turn, id, _)| (*turn, *id));
    plan.into_iter().map(|(_, id, peers)| (id, peers)).collect()
}

/// The approximate number of points of each copy, by shard and node, where the node reports it.
async fn held(cluster: &Cluster, collection: &CollectionName) -> BTreeMap<(u32, u64), u64> {
    let mut held = BTreeMap::new();
    for node in cluster.nodes() {
        // Without an answer, the copy is as good as any other.
        let Ok(there) = node.client.collection_cluster(collection).await else { continue };
        for shard in there.local_shards {
            held.extend(shard.points_count.map(|points| ((shard.shard_id, there.peer_id), points)));
        }
    }
    held
}

/// Puts copies that lack many points behind the others: Qdrant counts a copy as active that it has only created. Returns the shards
/// with such copies, and the numbers as text.
fn fuller_first(plan: &mut [(u32, Vec<u64>)], held: &BTreeMap<(u32, u64), u64>) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (shard_id, peers) in plan {
        let points = |peer: &u64| held.get(&(*shard_id, *peer)).copied();
        let most = peers.iter().filter_map(points).max().unwrap_or(0);
        let lacks = |peer: &u64| points(peer).is_some_and(|points| points + most / 10 + FEW < most);
        if peers.iter().any(lacks) {
            let told = peers.iter().map(|peer| {
                let points = points(peer).map_or_else(|| "?".to_owned(), |points| points.to_string());
                format!("{points} points on node {peer}")
            });
            found.push((*shard_id, told.collect::<Vec<_>>().join(", ")));
            peers.sort_by_key(|peer| (lacks(peer), std::cmp::Reverse(points(peer).unwrap_or(most))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::qdrant::CollectionCluster;

    fn table(shards: &[(u32, &[u64])]) -> ShardTable {
        let remote: Vec<_> = shards
            .iter()
            .flat_map(|(id, peers)| {
                peers.iter().map(|peer| json!({ "shard_id": *id, "peer_id": *peer, "state": "Active" }))
            })
            .collect();
        let cluster = json!({ "peer_id": 1, "shard_count": shards.len(), "remote_shards": remote });
        ShardTable::from(&serde_json::from_value::<CollectionCluster>(cluster).unwrap())
    }

    fn first_choices(table: &ShardTable, answers: impl Fn(u64) -> bool) -> Vec<(u32, Option<u64>)> {
        let plan = assign(table, table.shards.keys().copied(), answers);
        plan.into_iter().map(|(id, peers)| (id, peers.first().copied())).collect()
    }

    #[test]
    fn the_load_is_spread_and_neighbours_are_of_different_nodes() {
        let alone = table(&[(0, &[1]), (1, &[1]), (2, &[2]), (3, &[2]), (4, &[3]), (5, &[3])]);
        let order: Vec<_> =
            first_choices(&alone, |_| true).into_iter().filter_map(|(_, peer)| peer).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3]);
        let twice = table(&[(0, &[1, 2]), (1, &[1, 2]), (2, &[1, 2]), (3, &[1])]);
        let chosen = first_choices(&twice, |_| true);
        let of_one = chosen.iter().filter(|(_, peer)| *peer == Some(1)).count();
        assert_eq!(of_one, 2, "{chosen:?}");
        assert!(chosen.contains(&(3, Some(1))));
    }

    #[test]
    fn a_copy_that_lacks_many_points_is_the_last_choice() {
        let mut plan = vec![(0, vec![1, 2]), (1, vec![2, 1]), (2, vec![1]), (3, vec![3, 1, 2])];
        let held = BTreeMap::from([
            ((0, 1), 0),
            ((0, 2), 500),
            // Writes are on their way.
            ((1, 1), 1000),
            ((1, 2), 950),
            ((2, 1), 0),
            ((3, 1), 5000),
            ((3, 3), 4000),
        ]);
        let found = fuller_first(&mut plan, &held);
        assert_eq!(plan, [(0, vec![2, 1]), (1, vec![2, 1]), (2, vec![1]), (3, vec![1, 2, 3])]);
        assert_eq!(
            found,
            [
                (0, "0 points on node 1, 500 points on node 2".to_owned()),
                (3, "4000 points on node 3, 5000 points on node 1, ? points on node 2".to_owned())
            ]
        );
    }

    #[test]
    fn a_node_that_does_not_answer_is_not_asked() {
        let twice = table(&[(0, &[1, 2]), (1, &[2, 3])]);
        assert_eq!(first_choices(&twice, |peer| peer != 2), [(0, Some(1)), (1, Some(3))]);
        assert_eq!(assign(&twice, [0].into_iter(), |_| true), [(0, vec![1, 2])]);
    }
}
