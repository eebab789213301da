//! Waits for a server that does not answer yet: it may be starting, or moving to another machine.

use std::time::{Duration, Instant};

use qdrant_backup_shared::Failure;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::text::one_line;

use super::error::BackupError;
use super::run::Run;
use crate::qdrant::Error;

/// Interval between attempts. Short at first, because a restart takes seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The server's version, when it answers and is ready. Waits up to the configured time, but not after a permanent error. The
/// heartbeat does not advance during the wait.
///
/// # Errors
/// When it does not answer in time, when the answer is not from Qdrant, or on an interruption.
pub async fn version(run: &Run<'_>) -> Result<String, Failure> {
    let limit = run.context.options.wait_for_server;
    let failed = |error: Error| BackupError::from(error).to_failure();
    if limit.is_zero() {
        return run.context.client.version().await.map_err(failed);
    }
    let client = run.context.client.asking_once();
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut waiting = false;
    loop {
        let (error, version) = match client.version().await {
            Ok(version) => match client.ready().await {
                Err(error) if error.is_transient() => (error, Some(version)),
                Err(error @ Error::Interrupted) => return Err(failed(error)),
                // An old server or a proxy may not support this request, but it answered the first one.
                Ok(()) | Err(_) => {
                    if waiting {
                        tracing::info!(
                            "Qdrant at {} answers after {}; continuing",
                            client.url(),
                            humantime::format_duration(Duration::from_secs(since.elapsed().as_secs()))
                        );
                        enter(run, Stage::Inspect);
                    }
                    return Ok(version);
                }
            },
            Err(error) if error.is_transient() => (error, None),
            Err(error) => return Err(failed(error)),
        };
        let left = limit.saturating_sub(since.elapsed());
        if left.is_zero() {
            let waited = format!(
                "{error}; waited {} for it (qdrant.wait_for_server)",
                humantime::format_duration(limit)
            );
            let Some(version) = version else {
                return Err(Failure { kind: error.kind(), message: one_line(&waited) });
            };
            run.session.warn(format!("{waited}; backing up the collections that it lists"));
            enter(run, Stage::Inspect);
            return Ok(version);
        }
        if !waiting {
            waiting = true;
            tracing::info!(
                "{}; waiting up to {} for it (qdrant.wait_for_server)",
                one_line(&error.to_string()),
                humantime::format_duration(limit)
            );
            enter(run, Stage::WaitForServer);
        }
        let next = error.retry_after().unwrap_or(pause).min(left);
        tracing::debug!("{error}; trying again in {:.1} s", next.as_secs_f64());
        client.pause(next).await.map_err(failed)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn enter(run: &Run<'_>, stage: Stage) {
    let now = run.session.now();
    run.session.write_status(|status| {
        if let Some(current) = &mut status.current_run {
            current.stage = stage;
            current.heartbeat_at = now;
        }
    });
}
