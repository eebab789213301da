//! One snapshot: created on a node, downloaded, and compared with the node's information.

use std::path::Path;

use indicatif::HumanBytes;
use qdrant_backup_shared::operation::Stage;

use super::error::BackupError;
use super::node::Part;
use super::run::Run;
use super::work::Work;
use super::{creation, guards, leftovers};
use crate::archive::write::{Compression, Progress, Received, StreamError, Target, receive};
use crate::qdrant::Snapshot;
use crate::store;

/// A snapshot whose archive is written, still under a temporary name.
pub struct Obtained {
    /// The node's information about it.
    pub(super) snapshot: Snapshot,
    /// What the download has written.
    pub(super) received: Received,
}

/// Creates the snapshot and downloads it to `path`. Tries once more if the download differs from the snapshot. Calls `made` after
/// each creation.
pub async fn obtain(
    run: &Run<'_>,
    part: &Part,
    path: &Path,
    work: &Work<'_, '_>,
    mut made: impl AsyncFnMut() -> Result<(), BackupError>,
) -> Result<Obtained, BackupError> {
    // Never closed.
    let _slot = run.slots.acquire().await.ok();
    let mut snapshot = make(run, part, work).await?;
    made().await?;
    let received = match fetch(run, part, path, &snapshot, work).await {
        Err(error) if error.calls_for_a_fresh_snapshot() => {
            run.session.warn(format!("{}: {error}; trying once more with a new snapshot", part.subject));
            let nodes = [part.node.client.clone()];
            for adopted in work.take_adopted_of(&part.subject) {
                leftovers::reconsider_adopted(run, &nodes, adopted).await;
            }
            leftovers::clean_up_of(run, &nodes, &part.subject).await;
            snapshot = make(run, part, work).await?;
            made().await?;
            fetch(run, part, path, &snapshot, work).await?
        }
        other => other?,
    };
    Ok(Obtained { snapshot, received })
}

async fn make(run: &Run<'_>, part: &Part, work: &Work<'_, '_>) -> Result<Snapshot, BackupError> {
    let _turn = match part.subject.shard_id {
        Some(_) => Some(part.node.turn().await),
        None => None,
    };
    work.enter(Stage::Create);
    let snapshot = creation::create(run, part, work).await?;
    let of = match part.subject.shard_id {
        Some(shard_id) => format!("shard {shard_id} of {}", part.collection()),
        None => part.collection().to_string(),
    };
    tracing::info!("Created snapshot for {of} ({})", HumanBytes(snapshot.size_bytes));
    Ok(snapshot)
}

/// Downloads the snapshot. Starts again if it does not start or cannot be resumed.
async fn fetch(
    run: &Run<'_>,
    part: &Part,
    path: &Path,
    snapshot: &Snapshot,
    work: &Work<'_, '_>,
) -> Result<Received, BackupError> {
    let expected_bytes = check_room(run, part, snapshot.size_bytes)?;
    work.enter(Stage::Download);
    let mut retries = 0;
    loop {
        match fetch_once(run, part, path, snapshot, expected_bytes, work).await {
            Err(BackupError::Qdrant(error) | BackupError::Stream(StreamError::BeginAgain(error)))
                if error.is_transient() && retries < run.context.options.retries =>
            {
                run.session.warn(format!("{error}; restarting the download"));
                part.node.client.pause_before_retry(retries, &error).await?;
                retries += 1;
            }
            Err(BackupError::Qdrant(cause) | BackupError::Stream(StreamError::Download(cause)))
                if cause.is_not_found() =>
            {
                return Err(BackupError::SnapshotGone { cause });
            }
            other => return other,
        }
    }
}

async fn fetch_once(
    run: &Run<'_>,
    part: &Part,
    path: &Path,
    snapshot: &Snapshot,
    expected_bytes: u64,
    work: &Work<'_, '_>,
) -> Result<Received, BackupError> {
    let compression = run.context.options.compression;
    let download = part.node.client.download(&part.subject, &snapshot.name).await?;
    let expected = snapshot.size_bytes;
    if let Some(got) = download.content_length().filter(|got| *got != expected) {
        return Err(BackupError::SizeMismatch { expected, got });
    }
    let file = store::begin_archive(path).map_err(BackupError::io("creating the archive"))?;
    let bar = run.context.console.transfer(part.collection(), expected);
    let mut progress = |progress: Progress<'_>| match progress {
        Progress::Arrived(count) => {
            work.add_bytes(count);
            bar.inc(count);
            run.session.heartbeat();
        }
        Progress::Resumed(error) => run.session.warn(format!("{error}; resuming the download")),
    };
    let throttle = &run.context.options.throttle;
    let target = Target { file, compression, expected_bytes, snapshot_bytes: expected };
    let received = receive(download, target, throttle, &mut progress).await;
    bar.finish_and_clear();
    let received = received?;
    let got = received.snapshot.size_bytes;
    if got != expected {
        return Err(BackupError::SizeMismatch { expected, got });
    }
    match snapshot.checksum {
        Some(expected) if expected != received.snapshot.sha256 => {
            Err(BackupError::ChecksumMismatch { expected, got: received.snapshot.sha256 })
        }
        Some(_) | None => Ok(received),
    }
}

/// Expected size of the archive in bytes, for which there is enough space.
fn check_room(run: &Run<'_>, part: &Part, snapshot_bytes: u64) -> Result<u64, BackupError> {
    let compressed = run.context.options.compression != Compression::None;
    let expected = run.session.with(|session| {
        guards::expected_archive_bytes(session.catalog(), part.collection(), snapshot_bytes, compressed)
    });
    // Incompressible data grows by its framing, less than a thousandth.
    let needed = expected.saturating_add(expected / 1000).saturating_add(store::RESERVE_BYTES);
    let available =
        store::available_bytes(run.layout.root()).map_err(BackupError::io("reading the free disk space"))?;
    match available {
        Some(available) if available < needed => Err(BackupError::NoRoom { needed, available }),
        Some(_) | None => Ok(expected),
    }
}
