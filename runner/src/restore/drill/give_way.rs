//! Stops a drill when another run waits for the lock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::store::waiting::is_anybody_waiting;

/// Interval of the check.
const LOOK: Duration = Duration::from_millis(500);

/// Checks whether another run waits for the lock, and then cancels the drill's requests.
#[derive(Debug)]
pub struct GiveWay {
    gave: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl GiveWay {
    /// Watches the file at `path` ([`qdrant_backup_shared::Layout::waiting_file`]) until `token` is canceled, by this or by a
    /// signal.
    pub fn watch(path: PathBuf, token: CancellationToken) -> Self {
        let gave = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let gave = gave.clone();
            async move {
                while token.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
                    if is_anybody_waiting(&path) {
                        gave.store(true, Ordering::Relaxed);
                        token.cancel();
                    }
                }
            }
        });
        Self { gave, task }
    }

    /// Whether the drill was stopped for another run.
    pub fn gave(&self) -> bool {
        self.gave.load(Ordering::Relaxed)
    }
}

impl Drop for GiveWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
