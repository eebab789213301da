//! Uploads an archive to the server, with progress in the status and on the terminal.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use indicatif::HumanBytes;
use qdrant_backup_shared::manifest::Archive;
use qdrant_backup_shared::operation::Stage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::RestoreError;
use super::order::{Destination, Put};
use super::read::read_whole;
use crate::backup::Stages;
use crate::qdrant::{Client, Piece, SnapshotName, Subject, Upload, UploadError, UploadProgress};
use crate::session::Session;

/// Queue length in pieces of about 256 KiB.
const QUEUE_PIECES: usize = 8;
/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(250);
/// How often to check whether the server is alive while it works.
const ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// An upload that did not end in a restored collection.
#[derive(Debug)]
pub struct Failed {
    /// Why the upload failed.
    pub error: RestoreError,
    /// Whether the server may have the whole file.
    pub arrived: bool,
    /// Whether the server reported the failure, and so has finished.
    pub answered: bool,
}

/// Uploads the snapshot as `file_name`. The last bytes of the request are only sent when the archive is verified, so that the
/// server never gets a damaged file completely.
pub async fn upload(
    session: &mut Session,
    destination: &Destination,
    put: &Put<'_>,
    subject: &Subject,
    archive: &Archive,
    file_name: &SnapshotName,
    stages: &mut Stages,
) -> Result<(), Failed> {
    stages.enter(Stage::Upload);
    session.enter_stage(Stage::Upload, put.collection());
    let client = &destination.client;
    let size_bytes = archive.snapshot.size_bytes;
    let upload = Upload { file_name: file_name.clone(), size_bytes, checksum: archive.snapshot.sha256 };
    let (sender, pieces) = mpsc::channel(QUEUE_PIECES);
    let stop = CancellationToken::new();
    let reading = spawn_reader(session, put, archive, sender, &stop);
    tracing::info!("Uploading {} to {subject} at {}", HumanBytes(size_bytes), client.url());

    let progress = UploadProgress::default();
    let uploading = client.upload_snapshot(subject, &upload, pieces, &progress);
    let result = watch(session, destination, put, uploading, &progress, stages, size_bytes).await;

    // The reader may be waiting for a stalled connection.
    stop.cancel();
    let read = match reading.await {
        Ok(read) => read,
        Err(error) => Err(RestoreError::Internal(error.to_string())),
    };
    match (result, read) {
        (Ok(()), _) => Ok(()),
        // The reader's error is the cause of the broken request.
        (Err(_), Err(error)) => Err(Failed { error, arrived: false, answered: false }),
        (Err(failed), Ok(())) => {
            let answered = failed.is_answered();
            Err(Failed { arrived: failed.arrived, answered, error: failed.error.into() })
        }
    }
}

fn spawn_reader(
    session: &Session,
    put: &Put<'_>,
    archive: &Archive,
    sender: mpsc::Sender<Piece>,
    stop: &CancellationToken,
) -> tokio::task::JoinHandle<Result<(), RestoreError>> {
    let (source, manifest, archive) = (session.source().clone(), put.manifest.clone(), archive.clone());
    let prove = put.prove;
    let stop = stop.clone();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        // False if the upload has ended; its result contains the reason.
        let send = |piece: Piece| {
            let sent = stop.run_until_cancelled(sender.send(piece));
            matches!(runtime.block_on(sent), Some(Ok(())))
        };
        if read_whole(&source, &manifest, &archive, prove, |bytes: Bytes| send(Piece::Data(bytes)))? {
            send(Piece::End);
        }
        Ok(())
    })
}

/// Waits for the upload, and updates the progress bar and the heartbeat.
async fn watch(
    session: &mut Session,
    destination: &Destination,
    put: &Put<'_>,
    uploading: impl Future<Output = Result<(), UploadError>>,
    progress: &UploadProgress,
    stages: &mut Stages,
    size_bytes: u64,
) -> Result<(), UploadError> {
    let bar = destination.console.transfer(put.target, size_bytes);
    let mut uploading = pin!(uploading);
    let probe = destination.client.for_cleanup(Duration::from_secs(10));
    let mut shown = 0;
    let mut asked = tokio::time::Instant::now();
    let result = loop {
        tokio::select! {
            result = &mut uploading => break result,
            () = tokio::time::sleep(SHOW) => {}
        }
        let sent = progress.sent_bytes();
        if sent > shown {
            stages.add_bytes(sent - shown);
            bar.set_position(sent);
            shown = sent;
            session.heartbeat();
        } else if progress.is_complete() && asked.elapsed() >= ALIVE_INTERVAL {
            asked = tokio::time::Instant::now();
            if is_alive(&probe).await {
                session.heartbeat();
            }
        }
    };
    stages.add_bytes(progress.sent_bytes() - shown);
    bar.finish_and_clear();
    result
}

async fn is_alive(probe: &Client) -> bool {
    probe.version().await.is_ok()
}
