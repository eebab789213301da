//! Waiting until a restored collection serves, and counting what is in it.

use std::time::Duration;

use qdrant_backup_shared::text::shortened;
use qdrant_backup_shared::{CollectionName, Manifest, PointsCount};
use tokio::time::Instant;

use super::approximate::{self, Counted};
use super::error::RestoreError;
use crate::qdrant::{Client, CollectionCluster, CollectionInfo, Error};
use crate::session::Session;

const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// A count can lag behind the replicas for a moment.
const COUNTS: u32 = 5;
const BETWEEN_COUNTS: Duration = Duration::from_millis(300);

/// How near to serving a collection is.
enum Readiness {
    Ready,
    /// It serves, and the optimiser is still at work.
    Optimising,
    /// It does not, because of this.
    Not(String),
}

/// Waits until `target` is green and every replica on the node is active, for at most `limit`. A collection that then
/// serves, and is only still being optimised, will do, with a warning.
///
/// # Errors
/// When it does not serve by then, or an interruption came.
pub async fn settle(
    session: &mut Session,
    client: &Client,
    target: &CollectionName,
    limit: Duration,
) -> Result<(), RestoreError> {
    let since = Instant::now();
    let mut pause = FIRST_LOOK;
    loop {
        let readiness = match look(client, target).await {
            Ok(readiness) => {
                session.heartbeat();
                readiness
            }
            Err(error @ (Error::Interrupted | Error::Unauthorized { .. })) => return Err(error.into()),
            Err(error) => Readiness::Not(error.to_string()),
        };
        let expired = since.elapsed() >= limit;
        match readiness {
            Readiness::Ready => return Ok(()),
            Readiness::Optimising if expired => {
                session.warn(format!("\"{target}\" serves and is still being optimised (yellow)"));
                return Ok(());
            }
            Readiness::Not(last) if expired => return Err(RestoreError::NotSettled { limit, last }),
            Readiness::Optimising | Readiness::Not(_) => {}
        }
        client.pause(pause.min(limit.saturating_sub(since.elapsed()))).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
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
        .map(|shard| format!("shard {} is {}", shard.shard_id, shortened(&shard.state, 30)))
        .collect();
    if !inactive.is_empty() {
        return Readiness::Not(inactive.join(", "));
    }
    if !cluster.shard_transfers.is_empty() {
        return Readiness::Not(format!("{} shard transfers are under way", cluster.shard_transfers.len()));
    }
    match info.status.as_str() {
        // Grey: optimisations wait for the next write, so it stays so.
        "green" | "grey" => Readiness::Ready,
        "yellow" => Readiness::Optimising,
        other => Readiness::Not(format!("its status is {}", shortened(other, 30))),
    }
}

/// Counts the points and holds them against the manifest: fewer than it certainly had is a failure, more are reported. Nothing
/// when the server does not tell.
///
/// # Errors
/// [`RestoreError::PointsLost`], and as every request.
pub async fn compare_count(
    session: &mut Session,
    client: &Client,
    target: &CollectionName,
    manifest: &Manifest,
) -> Result<Option<PointsCount>, RestoreError> {
    let mut got = match approximate::count(session, client, target, manifest).await? {
        Counted::Exactly(got) => got,
        Counted::Vaguely(got) => return Ok(got),
    };
    let Some(expected) = manifest.points_count() else {
        session.warn(format!("the backup does not say how many points it has; \"{target}\" has {got} now"));
        return Ok(Some(PointsCount::exact(got)));
    };
    for _ in 1..COUNTS {
        if got >= expected {
            break;
        }
        client.pause(BETWEEN_COUNTS).await?;
        got = match approximate::count(session, client, target, manifest).await? {
            Counted::Exactly(got) => got,
            Counted::Vaguely(got) => return Ok(got),
        };
    }
    if got < expected {
        return Err(RestoreError::PointsLost { expected, got });
    }
    let counts = [manifest.source.points_count_before, manifest.source.points_count_after];
    let most = counts.into_iter().flatten().max().unwrap_or(expected);
    if got > most {
        session.warn(format!(
            "\"{target}\" has {got} points, more than the {most} counted when the backup was made; was it written to meanwhile?"
        ));
    }
    Ok(Some(PointsCount::exact(got)))
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
    fn ready_is_green_with_active_replicas_and_no_transfers() {
        assert!(matches!(readiness("Active", "", "green"), Readiness::Ready));
        assert!(matches!(readiness("Active", "", "grey"), Readiness::Ready));
        assert!(matches!(readiness("Active", "", "yellow"), Readiness::Optimising));
        assert!(matches!(readiness("Active", "{}", "green"), Readiness::Not(_)));
        assert!(matches!(readiness("Active", "", "red"), Readiness::Not(_)));
        let Readiness::Not(why) = readiness("Dead", "", "green") else { panic!("not ready") };
        assert_eq!(why, "shard 0 is Dead");
    }
}
