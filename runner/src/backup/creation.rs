//! Having the server make a snapshot, also when its answer never arrives.
//!
//! Qdrant goes on making a snapshot when the client hangs up, and nobody is ever told its name. So the intent is
//! written to the status first, with what the list showed before, and a creation without an answer is looked
//! for in the list afterwards.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::status::{Creating, ListedSnapshot, ServerSnapshot};
use qdrant_backup_shared::{CollectionName, Status};

use super::error::BackupError;
use super::run::Run;
use crate::qdrant::{CreateError, Error, Snapshot, SnapshotList};

/// A snapshot stamped this close to our request, by the server's own clock, is taken for ours.
const STAMP_TOLERANCE: TimeDelta = TimeDelta::seconds(2);
/// Between looks at the list: short at first, for most cut answers follow short creations.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// Has the server make a snapshot of `collection` and records in the status that it is ours to delete. One that was found in the
/// list because no answer came goes into `adopted`.
pub async fn create(
    run: &Run<'_>,
    collection: &CollectionName,
    adopted: &mut Option<Creating>,
) -> Result<Snapshot, BackupError> {
    let mut before = run.context.client.snapshots(collection).await?;
    if stamped_this_second(&before, collection) {
        run.context.client.pause(Duration::from_secs(1)).await?;
        before = run.context.client.snapshots(collection).await?;
    }
    let listed_at = Instant::now();
    let creating = intent(run, collection, &before, listed_at);
    run.session.write_status(|status| {
        if let Some(current) = &mut status.current_run {
            current.begin_creating(creating.clone());
        }
    });
    let requested = Instant::now();
    let result = match ask(run, collection).await {
        Ok(snapshot) => Ok((snapshot, Vec::new())),
        Err(CreateError::Failed(error)) => Err(error.into()),
        // It is most likely on the server now, under a name that we do not know.
        Err(CreateError::Unreadable(error) | CreateError::Cut(error @ Error::Interrupted)) => {
            run.session.amend_status(|status| status.unanswered_creations.push(creating.clone()));
            Err(error.into())
        }
        Err(CreateError::Cut(error)) => {
            run.session
                .warn(format!("{error}; Qdrant may still be making it, so looking for it in its list"));
            let found = look_for(run, &creating, requested, &error).await;
            match &found {
                Ok((_, others)) if others.is_empty() => *adopted = Some(creating.clone()),
                Ok(_) => {}
                Err(_) => {
                    run.session.amend_status(|status| status.unanswered_creations.push(creating.clone()))
                }
            }
            found
        }
    };
    let (snapshot, others) = match result {
        Ok(found) => found,
        Err(error) => {
            run.session.amend_status(|status| clear(status, &creating));
            return Err(error);
        }
    };
    let url = run.context.client.url().to_owned();
    let entry = |snapshot: &Snapshot| ServerSnapshot {
        collection: collection.clone(),
        node_url: url.clone(),
        name: snapshot.name.as_str().to_owned(),
        checksum: snapshot.checksum,
    };
    // Written once for both: each write costs two syncs.
    run.session.enter_stage(Stage::Download, collection);
    run.session.write_status(|status| {
        clear(status, &creating);
        if others.is_empty() {
            status.undeleted_snapshots.push(entry(&snapshot));
        } else {
            // Which of them is ours cannot be told, so none is ours to delete.
            status.suspected_leftovers.extend(others.iter().map(entry));
        }
    });
    Ok(snapshot)
}

/// Whether the list has a snapshot of the second that it is on the server. Names are to the second, so another creation
/// within it would replace that snapshot, which may be another tool's.
fn stamped_this_second(list: &SnapshotList, collection: &CollectionName) -> bool {
    let stamps = list.snapshots.iter().filter_map(|snapshot| snapshot.name.stamped_at(collection));
    list.server_time.is_some_and(|now| stamps.max().is_some_and(|newest| newest >= now))
}

fn clear(status: &mut Status, creating: &Creating) {
    if let Some(current) = &mut status.current_run {
        current.end_creating(creating);
    }
}

fn intent(run: &Run<'_>, collection: &CollectionName, before: &SnapshotList, listed_at: Instant) -> Creating {
    let since = TimeDelta::from_std(listed_at.elapsed()).unwrap_or_default();
    Creating {
        collection: collection.clone(),
        node_url: run.context.client.url().to_owned(),
        requested_at: run.session.now(),
        requested_at_server: before.server_time.map(|time| time + since),
        listed_before: before
            .snapshots
            .iter()
            .map(|snapshot| ListedSnapshot {
                name: snapshot.name.as_str().to_owned(),
                checksum: snapshot.checksum,
            })
            .collect(),
    }
}

/// Asks, and moves the heartbeat for as long as the server answers other questions meanwhile.
async fn ask(run: &Run<'_>, collection: &CollectionName) -> Result<Snapshot, CreateError> {
    let client = &run.context.client;
    client.while_it_lives(|| run.session.heartbeat(), client.create_snapshot(collection)).await
}

/// Looks for what a creation without an answer left in the list. Several candidates are all given as `others`.
async fn look_for(
    run: &Run<'_>,
    creating: &Creating,
    requested: Instant,
    cause: &Error,
) -> Result<(Snapshot, Vec<Snapshot>), BackupError> {
    let client = run.context.client.clone();
    let limit = client.create_timeout();
    let mut pause = FIRST_LOOK;
    loop {
        match client.snapshots(&creating.collection).await {
            Ok(list) => {
                run.session.heartbeat();
                let mut found = candidates(creating, &list);
                match found.len() {
                    0 => {}
                    1 => {
                        let snapshot = found.remove(0);
                        tracing::info!("Found snapshot {} of {}", snapshot.name, creating.collection);
                        return Ok((snapshot, Vec::new()));
                    }
                    several => {
                        let snapshot = found[0].clone();
                        run.session.warn(format!(
                            "{several} snapshots of \"{}\" appeared where one was asked for: using {}, deleting none",
                            creating.collection, snapshot.name
                        ));
                        return Ok((snapshot, found));
                    }
                }
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted.into()),
            Err(error) => tracing::debug!("{error}"),
        }
        let left = limit.saturating_sub(requested.elapsed());
        if left.is_zero() {
            return Err(BackupError::NeverAppeared { limit, cause: cause.to_string() });
        }
        client.pause(pause.min(left)).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// What is new in the list and bears a stamp close to our request, oldest first.
pub fn candidates(creating: &Creating, list: &SnapshotList) -> Vec<Snapshot> {
    let requested = creating.requested_at_server.unwrap_or(creating.requested_at);
    let mut found: Vec<Snapshot> =
        list.snapshots
            .iter()
            .filter(|snapshot| {
                let known = creating.listed_before.iter().any(|before| {
                    before.name == snapshot.name.as_str() && before.checksum == snapshot.checksum
                });
                let stamp = snapshot.name.stamped_at(&creating.collection);
                !known && stamp.is_some_and(|stamp| (stamp - requested).abs() <= STAMP_TOLERANCE)
            })
            .cloned()
            .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdrant::SnapshotName;

    fn snapshot(name: &str, digit: &str) -> Snapshot {
        Snapshot {
            name: SnapshotName::new(name).unwrap(),
            size_bytes: 1,
            checksum: Some(digit.repeat(64).parse().unwrap()),
        }
    }

    #[test]
    fn only_new_snapshots_stamped_close_to_the_request_are_candidates() {
        let old = snapshot("a-1-2026-11-23-00-53-51.snapshot", "1");
        let creating = Creating {
            collection: CollectionName::new("a").unwrap(),
            node_url: "http://x/".to_owned(),
            requested_at: "2001-01-01T00:00:00Z".parse().unwrap(),
            requested_at_server: Some("2026-11-23T00:53:52.4Z".parse().unwrap()),
            listed_before: vec![ListedSnapshot { name: old.name.to_string(), checksum: old.checksum }],
        };
        let list = |snapshots: &[Snapshot]| SnapshotList { snapshots: snapshots.to_vec(), server_time: None };
        let ours = snapshot("a-1-2026-11-23-00-53-54.snapshot", "2");
        let late = snapshot("a-1-2026-11-23-00-53-56.snapshot", "3");
        let foreign = snapshot("nightly.snapshot", "4");
        assert_eq!(candidates(&creating, &list(&[old.clone(), late, ours.clone(), foreign])), [ours]);
        // Made in the same second as one that was there before, it has that one's name.
        let replaced = snapshot("a-1-2026-11-23-00-53-51.snapshot", "5");
        assert_eq!(candidates(&creating, &list(std::slice::from_ref(&replaced))), [replaced]);
        assert_eq!(candidates(&creating, &list(&[old])), []);
    }
}
