//! Signals that stop the program: it cleans up first. A second signal stops it at once.

use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::status::{ServerSnapshot, Status};
use qdrant_backup_shared::{Layout, status_journal};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// One request to stop may arrive twice: `timeout` and shells signal both a process and its group.
const SAME_WISH: Duration = Duration::from_millis(200);
/// After this time, a message explains how to stop at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum time to read the status for leftovers, if the disk hangs.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum number of snapshots that are listed by name.
const NAMED: usize = 3;

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal went away.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// Sent by service managers.
    Terminate,
}

impl Signal {
    /// 128 plus the signal's number, as in shells.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for signals.
#[derive(Debug, Clone)]
pub struct Signals {
    token: CancellationToken,
    first: Arc<OnceLock<(Signal, Instant)>>,
    layout: Arc<OnceLock<Layout>>,
}

impl Signals {
    /// Starts listening. Must be called within a tokio runtime. If SIGHUP is already ignored, as under `nohup`, it stays ignored.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self { token: CancellationToken::new(), first: Arc::default(), layout: Arc::default() };
        let mut kinds =
            vec![(SignalKind::interrupt(), Signal::Interrupt), (SignalKind::terminate(), Signal::Terminate)];
        if !ignores_hangups(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()) {
            kinds.push((SignalKind::hangup(), Signal::Hangup));
        }
        for (kind, name) in kinds {
            let mut stream = signal(kind)?;
            let signals = signals.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    signals.take(name);
                }
            });
        }
        Ok(signals)
    }

    /// Sets the status of the current run, to report its leftovers after a second signal.
    pub fn has_begun(&self, layout: Layout) {
        self.layout.set(layout).unwrap_or(());
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        self.first.get().map(|(signal, _)| *signal)
    }

    fn take(&self, signal: Signal) {
        if self.first.set((signal, Instant::now())).is_ok() {
            self.token.cancel();
            tokio::spawn(async {
                tokio::time::sleep(PATIENCE).await;
                tracing::info!("Cleaning up after a signal; a second signal stops at once");
            });
            return;
        }
        let is_same_wish = self.first.get().is_none_or(|(_, since)| since.elapsed() < SAME_WISH);
        // SIGHUP does not count as a second request: a closing terminal sends several.
        if signal != Signal::Hangup && !is_same_wish {
            self.end_at_once(signal);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "after a second signal, nobody wants to wait for destructors"
    )]
    fn end_at_once(&self, signal: Signal) -> ! {
        tracing::error!("stopped at once by a second signal; {}", left(self.status().as_ref()));
        std::process::exit(i32::from(signal.exit_code()))
    }

    /// The status of the current run, unless the disk hangs.
    fn status(&self) -> Option<Status> {
        let layout = self.layout.get()?.clone();
        let (tell, told) = mpsc::channel();
        // The receiver may have stopped waiting.
        std::thread::spawn(move || {
            drop(tell.send(status_journal::read(&layout).ok().map(|kept| kept.status)))
        });
        told.recv_timeout(LOOK).ok().flatten()
    }
}

/// Whether `SIGHUP`, signal number 1, is among the ignored ones of a `/proc/PID/status`; see proc(5).
fn ignores_hangups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// The leftovers of a run without cleanup, and advice.
fn left(status: Option<&Status>) -> String {
    let Some((status, run)) = status.and_then(|status| Some((status, status.current_run.as_ref()?))) else {
        return "unfinished files may be left behind".to_owned();
    };
    let mut left = vec!["unfinished files".to_owned()];
    let snapshots = &status.undeleted_snapshots;
    let named = snapshots.iter().take(NAMED);
    left.extend(named.map(|ServerSnapshot { name, collection, .. }| {
        format!("the snapshot {name} of {collection} on the server")
    }));
    if snapshots.len() > NAMED {
        left.push(format!("{} more snapshots there", snapshots.len() - NAMED));
    }
    left.extend(
        run.creating.iter().chain(&run.also_creating).map(|creating| {
            format!("a snapshot of {} that the server is still creating", creating.collection)
        }),
    );
    let collection = run.collection.as_ref().map_or("a collection".to_owned(), ToString::to_string);
    let advice = match run.operation {
        Operation::Restore => {
            left.push(format!("{collection} on the server, partly restored"));
            "check it and restore it again"
        }
        Operation::Drill => {
            left.push("a scratch collection on the server".to_owned());
            "the next drill removes what is certainly ours; `qdrant-backup status` shows the rest"
        }
        Operation::Backup
        | Operation::Verify
        | Operation::Prune
        | Operation::Offsite
        | Operation::Other(_) => {
            "the next run removes what is certainly ours; `qdrant-backup status` shows the rest"
        }
    };
    qdrant_backup_shared::text::one_line(&format!(
        "`{}` may have left behind: {}; {advice}",
        run.command,
        left.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use qdrant_backup_shared::CollectionName;
    use qdrant_backup_shared::operation::Stage;
    use qdrant_backup_shared::status::CurrentRun;

    use super::*;

    fn running(operation: Operation) -> Status {
        let mut status = Status::new("0.1.0".to_owned(), "db-1".to_owned());
        let now = "2025-07-15T14:30:00Z".parse().unwrap();
        status.current_run = Some(CurrentRun {
            run_id: String::new(),
            command: "run".to_owned(),
            pid: 1,
            operation,
            stage: Stage::Download,
            collection: Some(CollectionName::new("docs").unwrap()),
            creating: None,
            also_creating: Vec::new(),
            started_at: now,
            heartbeat_at: now,
        });
        status.undeleted_snapshots = (1..=5)
            .map(|number| ServerSnapshot {
                collection: CollectionName::new("docs").unwrap(),
                shard_id: None,
                node_url: String::new(),
                name: format!("docs-{number}.snapshot"),
                checksum: None,
            })
            .collect();
        status
    }

    #[test]
    fn an_ignored_hangup_is_seen() {
        assert!(ignores_hangups("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangups("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangups(""));
    }

    #[test]
    fn what_a_run_leaves_is_named_in_one_line() {
        let said = left(Some(&running(Operation::Backup)));
        assert!(said.contains("the snapshot docs-1.snapshot of docs on the server"), "{said}");
        assert!(said.contains("2 more snapshots there; the next run"), "{said}");
        let said = left(Some(&running(Operation::Restore)));
        assert!(
            said.contains("docs on the server, partly restored; check it and restore it again"),
            "{said}"
        );
        assert!(left(None).contains("unfinished files"));
    }
}
