//! Opens the backup directory for commands: checks that it exists and is a repository, and takes the lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::config_file::keys::LOCK_WAIT;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::lock_holder::LockHolder;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{Layout, Repository, Status, atomic, json_file, links};

use super::{Refusal, refused, stopped};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::signals::Signals;
use crate::session::{Purpose, Session, status_store};
use crate::settings::{DEFAULT_CONFIG_FILES, Settings};
use crate::store::lock::{Lock, LockError};
use crate::store::waiting::Waiting;

/// The name of the drill command. Drills give way to every other command.
pub const DRILL: &str = "drill";
/// Commands that write only their results.
const ONLY_READ: [&str; 5] = ["restore", "compare", "export", "verify", DRILL];
/// Maximum time for a drill to stop and to clean up on the server.
const DRILL_ENDS: Duration = Duration::from_secs(2 * 60);

/// Everything in the backup directory. Warns about unreadable files, because the requested backup may be among them.
///
/// # Errors
/// When the directory itself cannot be read.
pub fn catalog(layout: &Layout) -> Result<Catalog, Refusal> {
    let catalog = read_catalog(layout)?;
    for unreadable in &catalog.unreadable {
        tracing::warn!("{}", one_line(&unreadable.problem));
    }
    Ok(catalog)
}

/// The history of the runs, to find the newest backup. If it cannot be read, warns and returns none.
pub fn history(layout: &Layout) -> Option<Status> {
    status_store::look(layout).unwrap_or_else(|error| {
        tracing::warn!("{error}; which backup was made last is unknown");
        None
    })
}

/// As [`catalog`], without the warnings.
///
/// # Errors
/// As [`catalog`].
pub fn read_catalog(layout: &Layout) -> Result<Catalog, Refusal> {
    Catalog::read(layout).map_err(|error| {
        Refusal::failed(format!("{}: cannot be read: {error}", layout.collections().display()))
    })
}

/// The layout that the settings describe.
pub fn layout(settings: &Settings) -> Layout {
    settings.layout()
}

/// This machine's name, for the status and the lock.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The package's user for the runner.
pub const PACKAGE_USER: &str = "qdrant-backup";

/// The absolute path.
///
/// # Errors
/// When the current directory does not exist any more.
pub fn absolute(path: &Path) -> Result<PathBuf, Refusal> {
    std::path::absolute(path).map_err(|error| Refusal::failed(format!("{}: {error}", path.display())))
}

/// The configuration file for the `--config` option of a later call. Only the first default path needs no option: if it exists,
/// it takes precedence over the others.
pub fn config_to_name(path: &Path) -> Option<&Path> {
    (path != Path::new(DEFAULT_CONFIG_FILES[0])).then_some(path)
}

/// Checks that the backup directory is a directory that can be listed.
///
/// # Errors
/// The message describes the problem and the fix.
pub fn check_directory(settings: &Settings) -> Result<(), Refusal> {
    let layout = layout(settings);
    let root = layout.root();
    let shown = root.display();
    let refuse = |message: String| Err(Refusal::configuration(message));
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return refuse(format!(
                "backup directory {shown} is not a directory; set QDRANT_BACKUP_PATH to one"
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::read_link(root) {
                Ok(target) => refuse(format!(
                    "backup directory {shown} is a link to {}, which does not exist; is the disk mounted?",
                    target.display()
                )),
                Err(_) => refuse(format!(
                    "backup directory {shown} does not exist; is the disk mounted? {}",
                    how_to_make(settings)
                )),
            };
        }
        Err(error) => return refuse(format!("backup directory {shown}: {error}")),
    }
    match fs::read_dir(root) {
        Ok(_) => Ok(()),
        Err(error) => {
            refuse(format!("backup directory {shown} cannot be listed: {error}; is this the right user?"))
        }
    }
}

/// Opens the repository: a directory with `repository.json`, so that backups are never written to an empty mount point.
///
/// # Errors
/// With exit code 78 when it is not a repository.
pub fn open(settings: &Settings) -> Result<Repository, Refusal> {
    check_directory(settings)?;
    let layout = layout(settings);
    json_file::read(&layout.repository_file()).map_err(|error| {
        if error.is_not_found() {
            Refusal::configuration(format!(
                "{} is not a backup repository; is the disk mounted? {}",
                layout.root().display(),
                how_to_make(settings)
            ))
        } else {
            Refusal::configuration(format!(
                "{error}; if it is damaged, docs/runbook.md says under \"QdrantBackupOrphans\" how to replace it"
            ))
        }
    })
}

/// How to make a missing repository. A new one does not know the copies in other places.
fn how_to_make(settings: &Settings) -> String {
    match settings.offsite.first() {
        None => "`qdrant-backup init` creates a new one".to_owned(),
        Some(place) => format!(
            "If it is lost: `qdrant-backup offsite recover {}` makes it again from the copies",
            place.name()
        ),
    }
}

/// Takes the lock for `command`, unless a signal comes first. If a run does not get it, this is recorded for monitoring.
///
/// # Errors
/// With exit code 75 when another run has it.
pub async fn lock(
    settings: &Settings,
    layout: &Layout,
    command: &str,
    clock: Clock,
    signals: &Signals,
) -> Result<Lock, Refusal> {
    let holder = LockHolder {
        command: command.to_owned(),
        pid: std::process::id(),
        hostname: hostname(),
        since: clock.now(),
    };
    let taken = tokio::select! {
        taken = take(layout, &holder, settings.get(&LOCK_WAIT)) => taken,
        () = signals.token().cancelled_owned() => {
            return Err(stopped("interrupted by a signal while waiting for the lock", signals));
        }
    };
    match taken {
        Ok(lock) => Ok(lock),
        Err(error @ LockError::Held { .. }) => {
            let message = format!("{error}; nothing was done");
            if let LockError::Held { holder, .. } = error {
                let note = LastSkipped::new(clock.now(), command, holder);
                if let Err(error) = json_file::write(&layout.last_skipped_file(), &note) {
                    tracing::warn!("{}: cannot be written: {error}", layout.last_skipped_file().display());
                }
            }
            Err(Refusal { exit: Exit::Locked, message })
        }
        Err(error @ LockError::Unsupported { .. }) => Err(Refusal::configuration(error)),
        Err(error @ (LockError::Io { .. } | LockError::Deleting { .. })) => Err(Refusal::failed(error)),
    }
}

/// The lock, and the session under it. The lock is freed when this is dropped.
pub struct Held {
    /// Catalog, status and report of this call.
    pub session: Session,
    _lock: Lock,
}

/// Takes the lock for `command` and opens a session, unless a signal comes first.
///
/// # Errors
/// With exit code 78 when the directory is not a repository, 75 when another run holds the lock.
pub async fn enter(
    purpose: Purpose,
    settings: &Settings,
    command: &'static str,
    clock: Clock,
    signals: &Signals,
) -> Result<Held, Refusal> {
    let entered = enter_unless_refused(purpose, settings, command, clock, signals).await;
    // The caller records configuration errors.
    if let (Purpose::Run, Err(Refusal { exit: Exit::Failed, message })) = (purpose, &entered) {
        refused::note(&layout(settings), command, message, clock);
    }
    entered
}

async fn enter_unless_refused(
    purpose: Purpose,
    settings: &Settings,
    command: &'static str,
    clock: Clock,
    signals: &Signals,
) -> Result<Held, Refusal> {
    let layout = layout(settings);
    open(settings)?;
    match make_state_directory(&layout) {
        // A restore or a check does not need the status, and may be urgent.
        Err(refusal) if ONLY_READ.contains(&command) => tracing::warn!("{}", one_line(&refusal.message)),
        made => made?,
    }
    let lock = lock(settings, &layout, command, clock, signals).await?;
    // Read again with the lock: the run before may have changed it.
    let repository = open(settings)?;
    let of_status = layout.clone();
    let session =
        Session::open(layout, repository, clock, &hostname(), command, purpose).map_err(Refusal::failed)?;
    if purpose == Purpose::Run {
        signals.has_begun(of_status);
    }
    Ok(Held { session, _lock: lock })
}

/// Takes the lock, and indicates while it waits. A drill notices this and gives way. There is some time for this even without a
/// configured wait.
async fn take(layout: &Layout, holder: &LockHolder, wait: Duration) -> Result<Lock, LockError> {
    let path = layout.lock_file();
    let (held, processes) = match Lock::take(&path, holder, Duration::ZERO).await {
        Err(LockError::Held { holder: other, processes }) if holder.command != DRILL => (other, processes),
        Err(LockError::Held { .. }) if !wait.is_zero() => return Lock::take(&path, holder, wait).await,
        other => return other,
    };
    let is_drill = held.as_ref().is_some_and(|other| other.command == DRILL);
    let wait = if is_drill { wait.max(DRILL_ENDS) } else { wait };
    if wait.is_zero() {
        return Err(LockError::Held { holder: held, processes });
    }
    let waiting = Waiting::announce(&layout.waiting_file());
    if let Err(error) = &waiting {
        tracing::debug!(
            "{}: cannot record that this run is waiting: {error}",
            layout.waiting_file().display()
        );
    }
    let taken = Lock::take(&path, holder, wait).await;
    drop(waiting);
    taken
}

/// Creates the state directory, if it is separate.
///
/// # Errors
/// When it cannot be created.
pub fn make_state_directory(layout: &Layout) -> Result<(), Refusal> {
    if layout.state() == layout.root() {
        return Ok(());
    }
    atomic::create_directory(layout.state()).map_err(|error| {
        let error = links::leads_nowhere(layout.state()).unwrap_or(error);
        Refusal::configuration(format!(
            "state directory {}: cannot be created: {error}",
            layout.state().display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_configuration_file_that_is_looked_at_first_needs_no_naming() {
        assert_eq!(config_to_name(Path::new("/etc/qdrant-backup/backup.yaml")), None);
        for path in ["/opt/qdrant/config/backup.yaml", "/srv/backup.yaml"] {
            assert_eq!(config_to_name(Path::new(path)), Some(Path::new(path)));
        }
    }
}
