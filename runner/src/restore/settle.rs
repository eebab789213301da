//! Waits until a restored collection is ready and has processed all updates.

use std::collections::BTreeSet;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::text::shortened;
use tokio::time::Instant;

use super::error::RestoreError;
use crate::qdrant::{Client, CollectionCluster, CollectionInfo, Error};
use crate::session::Session;

const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Readiness of a collection.
enum Readiness {
    Ready,
    /// It is ready, but the optimizer is still working.
    Optimizing,
    /// It is ready, but these updates are not visible yet.
    Behind(String),
    /// It is not ready, for this reason.
    Not(String),
}

/// Waits up to `limit` until `target` is green on all `nodes`, every replica is active and no update is queued. If it is then
/// ready but still optimizing, that is accepted with a warning. True if its points can be counted: servers replay the end of a
/// snapshot's log while they already serve requests.
///
/// With several nodes, all must have the same consensus state and count the same points, twice in a row: an upload is answered
/// before the cluster knows that the other replicas are outdated.
///
/// # Errors
/// When it is not ready in time, or on an interruption.
pub async fn settle(
    session: &mut Session,
    nodes: &[Client],
    target: &CollectionName,
    limit: Duration,
) -> Result<bool, RestoreError> {
    let Some(client) = nodes.first() else { return Ok(true) };
    let since = Instant::now();
    let mut pause = FIRST_LOOK;
    let mut to_be_seen = if nodes.len() > 1 { 2 } else { 1 };
    loop {
        let readiness = match look_at_all(nodes, target).await {
            Ok(readiness) => {
                session.heartbeat();
                readiness
            }
            Err(error @ (Error::Interrupted | Error::Unauthorized { .. })) => return Err(error.into()),
            Err(error) => Readiness::Not(error.to_string()),
        };
        to_be_seen = if matches!(readiness, Readiness::Ready) {
            to_be_seen - 1
        } else {
            to_be_seen.max(nodes.len().min(2))
        };
        let expired = since.elapsed() >= limit;
        match readiness {
            Readiness::Ready if to_be_seen == 0 || expired => return Ok(true),
            Readiness::Optimizing if expired => {
                session.warn(format!("\"{target}\" is ready, but still being optimized (yellow)"));
                return Ok(true);
            }
            Readiness::Behind(what) if expired => {
                session.warn(format!(
                    "\"{target}\" is ready, but {what}: not all of its points are visible yet"
                ));
                return Ok(false);
            }
            Readiness::Not(last) if expired => return Err(RestoreError::NotSettled { limit, last }),
            Readiness::Ready | Readiness::Optimizing | Readiness::Behind(_) | Readiness::Not(_) => {}
        }
        client.pause(pause.min(limit.saturating_sub(since.elapsed()))).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// The worst state of any node.
async fn look_at_all(nodes: &[Client], target: &CollectionName) -> Result<Readiness, Error> {
    let mut worst = Readiness::Ready;
    for node in nodes {
        let mut there = look(node, target).await?;
        if let Readiness::Not(what) = &mut there
            && nodes.len() > 1
        {
            *what = format!("{}: {what}", node.url());
        }
        if there.rank() > worst.rank() {
            worst = there;
        }
    }
    if worst.rank() > Readiness::Optimizing.rank() || nodes.len() < 2 {
        return Ok(worst);
    }
    Ok(disagreement(nodes, target).await?.map_or(worst, Readiness::Not))
}

/// A disagreement between the nodes, if any.
async fn disagreement(nodes: &[Client], target: &CollectionName) -> Result<Option<String>, Error> {
    let (mut commits, mut counts) = (BTreeSet::new(), BTreeSet::new());
    for node in nodes {
        if let Some(raft) = node.cluster().await?.raft_info {
            commits.insert(raft.commit);
            if raft.pending_operations > 0 {
                return Ok(Some(format!("{} has not yet applied all operations of the cluster", node.url())));
            }
        }
        match node.count(target).await {
            Ok(count) if count.exact => drop(counts.insert(count.points)),
            Ok(_) => {}
            Err(error) if error.is_refusal() => {}
            Err(error) => return Err(error),
        }
    }
    if commits.len() > 1 {
        return Ok(Some("not all nodes have the same operations of the cluster yet".to_owned()));
    }
    let told = || counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
    Ok((counts.len() > 1).then(|| format!("its nodes count {} points", told())))
}

impl Readiness {
    fn rank(&self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Optimizing => 1,
            Self::Behind(_) => 2,
            Self::Not(_) => 3,
        }
    }
}

async fn look(client: &Client, target: &CollectionName) -> Result<Readiness, Error> {
    let cluster = client.collection_cluster(target).await?;
    let info = client.collection_info(target).await?;
    Ok(judge(&cluster, &info))
}

fn judge(cluster: &CollectionCluster, info: &CollectionInfo) -> Readiness {
    let inactive: Vec<String> = cluster
        .local_shards
        .iter()
        .filter(|shard| shard.state != "Active")
        .map(|shard| {
            let mends =
                if shard.state == "ManualRecovery" { ", which does not recover without help" } else { "" };
            format!("shard {} is {}{mends}", shard.shard_id, shortened(&shard.state, 30))
        })
        .collect();
    if !inactive.is_empty() {
        return Readiness::Not(inactive.join(", "));
    }
    // A copy on a node that is down becomes active when the node returns, without any points.
    let uncreated = cluster.remote_shards.iter().find(|shard| shard.state == "Initializing");
    if let Some(shard) = uncreated {
        return Readiness::Not(format!(
            "the copy of shard {} on node {} was never created, and would stay empty: start that node or remove it from the cluster, delete this collection, and restore it again",
            shard.shard_id, shard.peer_id
        ));
    }
    if !cluster.shard_transfers.is_empty() {
        return Readiness::Not(format!("{} shard transfers are under way", cluster.shard_transfers.len()));
    }
    let unless_behind = |readiness| behind(info).map_or(readiness, Readiness::Behind);
    match info.status.as_str() {
        // Grey: optimizations wait for the next write, so this does not change.
        "green" | "grey" => unless_behind(Readiness::Ready),
        "yellow" => unless_behind(Readiness::Optimizing),
        other => Readiness::Not(format!("its status is {}", shortened(other, 30))),
    }
}

/// Updates that are not visible yet, if the server reports them.
fn behind(info: &CollectionInfo) -> Option<String> {
    let queue = info.update_queue.as_ref()?;
    match (queue.length, queue.deferred_points.unwrap_or(0)) {
        (0, 0) => None,
        (0, deferred) => Some(format!("{deferred} of its points wait to be optimized")),
        (length, _) => Some(format!("{length} updates wait in its queue")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness(state: &str, transfers: &str, status: &str) -> Readiness {
        let cluster = format!(
            r#"{{"peer_id":1,"shard_count":1,"local_shards":[{{"shard_id":0,"state":"{state}"}}],"shard_transfers":[{transfers}]}}"#
        );
        let info = format!(r#"{{"config":{{}},"status":"{status}"}}"#);
        judge(&serde_json::from_str(&cluster).unwrap(), &serde_json::from_str(&info).unwrap())
    }

    #[test]
    fn a_copy_that_a_node_that_is_down_never_created_is_not_ready() {
        let judged = |state: &str| {
            let cluster = format!(
                r#"{{"peer_id":1,"shard_count":1,"local_shards":[{{"shard_id":0,"state":"Active"}}],"remote_shards":[{{"shard_id":0,"peer_id":7,"state":"{state}"}}]}}"#
            );
            let info = r#"{"config":{},"status":"green"}"#;
            judge(&serde_json::from_str(&cluster).unwrap(), &serde_json::from_str(info).unwrap())
        };
        let Readiness::Not(why) = judged("Initializing") else { panic!("it is not ready") };
        assert!(why.contains("the copy of shard 0 on node 7 was never created"), "{why}");
        // Qdrant brings a dead copy up to date itself.
        assert!(matches!(judged("Dead"), Readiness::Ready) && matches!(judged("Active"), Readiness::Ready));
    }

    #[test]
    fn a_queue_and_deferred_points_are_waited_for_where_the_server_tells_of_them() {
        let told = |queue: &str| {
            let info = format!(r#"{{"config":{{}},"status":"green"{queue}}}"#);
            behind(&serde_json::from_str(&info).unwrap())
        };
        assert_eq!(told(""), None, "an old server does not tell");
        assert_eq!(told(r#","update_queue":null"#), None);
        assert_eq!(told(r#","update_queue":{"length":0}"#), None);
        assert_eq!(told(r#","update_queue":{"length":0,"deferred_points":0}"#), None);
        assert_eq!(told(r#","update_queue":{"length":7}"#).unwrap(), "7 updates wait in its queue");
        let deferred = told(r#","update_queue":{"length":0,"deferred_points":9}"#).unwrap();
        assert_eq!(deferred, "9 of its points wait to be optimized");
    }

    #[test]
    fn ready_is_green_with_active_replicas_and_no_transfers() {
        assert!(matches!(readiness("Active", "", "green"), Readiness::Ready));
        assert!(matches!(readiness("Active", "", "grey"), Readiness::Ready));
        assert!(matches!(readiness("Active", "", "yellow"), Readiness::Optimizing));
        assert!(matches!(readiness("Active", "{}", "green"), Readiness::Not(_)));
        assert!(matches!(readiness("Active", "", "red"), Readiness::Not(_)));
        let Readiness::Not(why) = readiness("Dead", "", "green") else { panic!("not ready") };
        assert_eq!(why, "shard 0 is Dead");
    }
}
