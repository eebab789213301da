//! Makes the server create a snapshot, even if its answer is lost or wrong.
//!
//! Qdrant continues to create a snapshot when the client disconnects, a proxy may answer in its place, and then the name is
//! unknown. So the intent is written to the status first, with the list of snapshots before the request. After any error, the
//! list is checked again before another request.

use std::pin::pin;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::Status;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::status::{Creating, ListedSnapshot};

use super::adopted::{Adopted, recorded};
use super::awaiting::{Looked, look_for};
use super::error::BackupError;
use super::node::Part;
use super::run::Run;
use super::signs::{Sign, sign};
use super::work::Work;
use crate::qdrant::{CreateError, Error, Snapshot, SnapshotList, Subject};

/// How often to check, during a request, whether the server is still working on it.
const ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Makes the node create a snapshot, and records in the status that we must delete it. `work` stores a snapshot that
/// was found in the list.
pub async fn create(run: &Run<'_>, part: &Part, work: &Work<'_, '_>) -> Result<Snapshot, BackupError> {
    let client = &part.node.client;
    let mut before = client.snapshots(&part.subject).await?;
    if stamped_this_second(&before, &part.subject) {
        client.pause(Duration::from_secs(1)).await?;
        before = client.snapshots(&part.subject).await?;
    }
    let listed_at = Instant::now();
    let creating = intent(run, part, &before, listed_at);
    run.session.write_status(|status| {
        if let Some(current) = &mut status.current_run {
            current.begin_creating(creating.clone());
        }
    });
    let mut requests = Requests { all: vec![creating], in_doubt: Vec::new() };
    let result = ask_and_look(run, part, &mut requests, work).await;
    let Requests { all, in_doubt } = requests;
    if !in_doubt.is_empty() {
        // Their snapshots may still appear in the list.
        run.session.amend_status(|status| status.unanswered_creations.extend(in_doubt));
    }
    let made = match result {
        Ok(made) => made,
        Err(error) => {
            run.session.amend_status(|status| clear(status, &all));
            return Err(error);
        }
    };
    let creating = all[all.len() - 1].clone();
    let entry = |snapshot: &Snapshot| recorded(&creating, snapshot);
    let (snapshot, others) = match made {
        Made::Named(snapshot) => (snapshot, Vec::new()),
        Made::Found { snapshot, others } => {
            if others.is_empty() {
                work.adopt(Adopted { creating: creating.clone(), snapshot: snapshot.clone() });
            }
            (snapshot, others)
        }
    };
    // Written once for both: each write costs two syncs.
    run.session.enter_stage(Stage::Download, part.collection());
    run.session.write_status(|status| {
        clear(status, &all);
        if others.is_empty() {
            status.undeleted_snapshots.push(entry(&snapshot));
        } else {
            // It is unknown which of them is ours, so none may be deleted.
            status.suspected_leftovers.extend(others.iter().map(entry));
        }
    });
    Ok(snapshot)
}

/// The requests for a snapshot, with their times. Each may have created one.
struct Requests {
    all: Vec<Creating>,
    /// Requests whose snapshot may still appear.
    in_doubt: Vec<Creating>,
}

/// The snapshot of a request.
enum Made {
    /// The answer named it.
    Named(Snapshot),
    /// It was found in the list. If there are several candidates, all of them are in `others`.
    Found { snapshot: Snapshot, others: Vec<Snapshot> },
}

/// Sends the request, and after an error looks for its snapshot. If there is none, sends it once more; if the server is too busy,
/// as often as any other request. `in_doubt` returns whether a snapshot may still appear.
async fn ask_and_look(
    run: &Run<'_>,
    part: &Part,
    requests: &mut Requests,
    work: &Work<'_, '_>,
) -> Result<Made, BackupError> {
    let client = part.node.client.clone();
    let mut retries = 0;
    loop {
        let creating = requests.all[requests.all.len() - 1].clone();
        let requested = Instant::now();
        let error = match ask(run, part).await {
            Ok(snapshot) => return Ok(Made::Named(snapshot)),
            Err(CreateError::NotSent(error)) => return Err(error.into()),
            Err(CreateError::Cut(error @ Error::Interrupted)) => {
                requests.in_doubt.push(creating);
                return Err(error.into());
            }
            Err(CreateError::Cut(error)) => {
                run.session.warn(format!(
                    "{error}; Qdrant may still be creating it, so looking for it in the list of snapshots"
                ));
                error
            }
            Err(CreateError::Answered(error)) => error,
        };
        work.enter(Stage::Wait);
        run.session.show_status();
        let looked = look_for(run, part, &creating, requested, &error).await;
        work.enter(Stage::Create);
        let (certain, was_listed, failure) = match looked {
            Ok(Looked::Found { snapshot, others }) => {
                if error.is_answered() {
                    run.session.warn(format!("{error}; the snapshot was created anyway"));
                }
                tracing::info!("Found snapshot {} of {}", snapshot.name, part.subject);
                return Ok(Made::Found { snapshot, others });
            }
            Ok(Looked::Nothing { certain, was_listed, failure }) => (certain, was_listed, failure),
            // The list disappears with its collection.
            Err(error) if error.is_not_found() => return Err(error.into()),
            Err(error) => {
                requests.in_doubt.push(creating);
                return Err(error.into());
            }
        };
        // Even a refusal may come from a proxy after the server did it; only the list shows that.
        let is_in_doubt = !certain && (!was_listed || error.may_have_been_carried_out());
        if is_in_doubt {
            requests.in_doubt.push(creating.clone());
        }
        let most = if error.is_busy() { client.retries().max(1) } else { 1 };
        if retries >= most || !(certain || error.is_answered()) || !error.is_worth_another_creation() {
            return Err(failure);
        }
        run.session.warn(format!("{failure}; no snapshot was found, so trying once more"));
        client.pause_before_retry(retries, &error).await?;
        retries += 1;
        // Each request has its own time, which distinguishes its snapshot from that of the previous request.
        let again = asked_again(&creating, run.session.now());
        run.session.write_status(|status| {
            if let Some(current) = &mut status.current_run {
                if !is_in_doubt {
                    current.end_creating(&creating);
                }
                current.begin_creating(again.clone());
            }
        });
        requests.all.push(again);
    }
}

fn asked_again(creating: &Creating, now: DateTime<Utc>) -> Creating {
    let later = now - creating.requested_at;
    let requested_at_server = creating.requested_at_server.map(|time| time + later);
    Creating { requested_at: now, requested_at_server, ..creating.clone() }
}

/// Whether the list has a snapshot of the current second of the server. Names only contain seconds, so another request in the
/// same second would replace that snapshot, which may belong to another tool.
fn stamped_this_second(list: &SnapshotList, subject: &Subject) -> bool {
    let stamps = list.snapshots.iter().filter_map(|snapshot| snapshot.name.stamped_at(subject));
    list.server_time.is_some_and(|now| stamps.max().is_some_and(|newest| newest >= now))
}

fn clear(status: &mut Status, requests: &[Creating]) {
    if let Some(current) = &mut status.current_run {
        requests.iter().for_each(|creating| current.end_creating(creating));
    }
}

fn intent(run: &Run<'_>, part: &Part, before: &SnapshotList, listed_at: Instant) -> Creating {
    let since = TimeDelta::from_std(listed_at.elapsed()).unwrap_or_default();
    Creating {
        collection: part.collection().clone(),
        shard_id: part.subject.shard_id,
        node_url: part.node.client.url().to_owned(),
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

/// Sends the request, and advances the heartbeat while the server may be working on it. Stops if the server's process
/// has ended.
async fn ask(run: &Run<'_>, part: &Part) -> Result<Snapshot, CreateError> {
    let client = part.node.client.clone();
    let probe = client.for_cleanup(Duration::from_secs(10));
    let mut creation = pin!(client.create_snapshot(&part.subject));
    loop {
        tokio::select! {
            result = &mut creation => return result,
            () = tokio::time::sleep(ALIVE_INTERVAL) => match sign(run, part, &probe).await {
                Sign::Working | Sign::Unknown { .. } => run.session.heartbeat(),
                Sign::Idle => {}
                Sign::Silent => {
                    if probe.version().await.is_ok() {
                        run.session.heartbeat();
                    }
                }
                Sign::Restarted => return Err(CreateError::Cut(Error::Broken {
                    what: format!("creating a snapshot of {}", part.subject),
                    cause: "Qdrant was restarted in the meantime".to_owned(),
                })),
            }
        }
    }
}
