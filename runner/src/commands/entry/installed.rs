//! Paths of installed entries, and whether this program wrote them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic;
use qdrant_backup_shared::regular_file::{self, Links};

/// The first line of files written by this program, which it may replace.
pub const MARK: &str = "# Written by `qdrant-backup schedule`, which replaces it when it is called again.";

/// Entries are readable for everybody; they contain no secrets.
const MODE: u32 = 0o644;

/// Larger files are not entries.
const MAX_BYTES: u64 = 1 << 20;

/// A file of an entry.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its path on the target machine.
    pub path: &'static str,
    /// Root of the target machine's files. `/` for this machine.
    pub root: PathBuf,
}

/// Result of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// The file was created or changed.
    Written,
    /// The file was already up to date.
    Unchanged,
}

/// An entry could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The existing file was not written by this program.
    #[error("{} exists and was not written by `qdrant-backup schedule`; check it, then remove it or use --force", .0.display())]
    Foreign(PathBuf),
    /// The system refuses.
    #[error("{}: cannot be written: {source}{}", path.display(), hint(source))]
    Io {
        /// Path of the entry.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "; run it as root (sudo)"
    } else if error.kind() == io::ErrorKind::NotFound {
        "; is this kind of scheduler installed?"
    } else {
        ""
    }
}

impl Place {
    /// The file on the root's file system.
    pub fn file(&self) -> PathBuf {
        self.root.join(self.path.trim_start_matches('/'))
    }

    /// Checks whether an existing file may be replaced: this program wrote it, or it has no effect.
    ///
    /// # Errors
    /// When it was written by someone else, or cannot be read.
    pub fn check(&self) -> Result<(), PlaceError> {
        match self.read()? {
            Some(text) if !is_ours(&text) && !is_idle(&text) => Err(PlaceError::Foreign(self.file())),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes the file, unless it is up to date.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install(&self, text: &str) -> Result<Installed, PlaceError> {
        if self.read()?.as_deref() == Some(text) {
            return Ok(Installed::Unchanged);
        }
        let file = self.file();
        let written = match file.parent() {
            // Drop-in directories are created. If those of cron or systemd are missing, the scheduler is not installed.
            Some(directory) if self.path.ends_with(".conf") => make(directory),
            Some(_) | None => Ok(()),
        };
        written
            .and_then(|()| atomic::write(&file, MODE, text.as_bytes()))
            .map_err(|source| PlaceError::Io { path: file, source })?;
        Ok(Installed::Written)
    }

    /// The text of an existing file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Option<String>, PlaceError> {
        let file = self.file();
        match regular_file::read_text(&file, Links::Follow, MAX_BYTES) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PlaceError::Io { path: file, source }),
        }
    }
}

fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_ours(text: &str) -> bool {
    text.lines().next() == Some(MARK)
}

/// Whether a cron file starts nothing: only comments and variables, as in the package's file.
fn is_idle(text: &str) -> bool {
    let starts_something = |line: &str| {
        let line = line.trim();
        let variable = line
            .split_once('=')
            .is_some_and(|(name, _)| name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        !line.is_empty() && !line.starts_with('#') && !variable
    };
    !text.contains("[Unit]") && !text.lines().any(starts_something)
}

/// The installed files that start runs on the machine with the files below `root`. Checks only files of this program and its
/// package, not users' crontabs.
pub fn is_started_by(root: &Path) -> Vec<&'static str> {
    let cron = regular_file::read_text(&root.join("etc/cron.d/qdrant-backup"), Links::Follow, MAX_BYTES);
    let mut found = Vec::new();
    if cron.is_ok_and(|text| !is_idle(&text)) {
        found.push(CRON);
    }
    if root.join(TIMER_ENABLED.trim_start_matches('/')).symlink_metadata().is_ok() {
        found.push(TIMER_ENABLED);
    }
    found
}

/// Whether a cron daemon runs on the machine with the files below `root`, according to its pid file or process.
pub fn cron_runs(root: &Path) -> bool {
    const DAEMONS: [&str; 4] = ["cron", "crond", "fcron", "dcron"];
    let noted = |name: &&str| root.join("run").join(format!("{name}.pid")).exists();
    let processes = || fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let is_cron = |process: fs::DirEntry| {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        DAEMONS.contains(&name.trim())
    };
    DAEMONS.iter().any(noted) || processes().any(is_cron)
}

/// Whether the package has put its units on the machine.
pub fn is_packaged(root: &Path) -> bool {
    ["usr/lib", "lib"].iter().any(|lib| root.join(lib).join("systemd/system/qdrant-backup.service").exists())
}

/// Cron's table.
pub const CRON: &str = "/etc/cron.d/qdrant-backup";
/// Drop-in for the package's service.
pub const SERVICE_DROP_IN: &str = "/etc/systemd/system/qdrant-backup.service.d/schedule.conf";
/// Drop-in for the package's timer.
pub const TIMER_DROP_IN: &str = "/etc/systemd/system/qdrant-backup.timer.d/schedule.conf";
/// The systemd service that this program writes.
pub const SERVICE: &str = "/etc/systemd/system/qdrant-backup.service";
/// The systemd timer that this program writes.
pub const TIMER: &str = "/etc/systemd/system/qdrant-backup.timer";
/// The link that `systemctl enable` makes.
pub const TIMER_ENABLED: &str = "/etc/systemd/system/timers.target.wants/qdrant-backup.timer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_files_and_idle_ones_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let place = Place { path: "/qdrant-backup", root: root.path().to_owned() };
        let put = |text: &str| atomic::write(&place.file(), 0o644, text.as_bytes()).unwrap();
        assert!(place.check().is_ok());
        for text in [format!("{MARK}\n0 2 * * * me x\n"), "# off\nPATH=/bin\n#0 2 * * * x\n".to_owned()] {
            put(&text);
            assert!(place.check().is_ok(), "{text}");
        }
        for text in ["0 2 * * * me FOO=1 x\n", "[Unit]\nDescription=x\n", "@daily me x\n"] {
            put(text);
            assert!(matches!(place.check(), Err(PlaceError::Foreign(_))), "{text}");
        }
        assert_eq!(place.install("a\n").unwrap(), Installed::Written);
        assert_eq!(place.install("a\n").unwrap(), Installed::Unchanged);
    }

    #[test]
    fn a_cron_that_is_at_work_is_told_from_one_that_is_not() {
        let root = tempfile::tempdir().unwrap();
        assert!(!cron_runs(root.path()));
        let process = root.path().join("proc/7");
        fs::create_dir_all(&process).unwrap();
        atomic::write(&process.join("comm"), 0o644, b"bash\n").unwrap();
        assert!(!cron_runs(root.path()));
        atomic::write(&process.join("comm"), 0o644, b"cron\n").unwrap();
        assert!(cron_runs(root.path()));
        fs::remove_dir_all(root.path().join("proc")).unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        atomic::write(&root.path().join("run/crond.pid"), 0o644, b"7\n").unwrap();
        assert!(cron_runs(root.path()));
    }

    #[test]
    fn what_starts_runs_is_found() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_started_by(root.path()).is_empty());
        let place = |path| Place { path, root: root.path().to_owned() };
        for path in [CRON, TIMER_ENABLED] {
            fs::create_dir_all(place(path).file().parent().unwrap()).unwrap();
        }
        place(CRON).install("#0 2 * * * x\n").unwrap();
        assert!(is_started_by(root.path()).is_empty());
        place(CRON).install("0 2 * * * me x\n").unwrap();
        std::os::unix::fs::symlink("/lib/x", place(TIMER_ENABLED).file()).unwrap();
        assert_eq!(is_started_by(root.path()), [CRON, TIMER_ENABLED]);
    }
}
