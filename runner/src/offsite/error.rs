//! Errors of offsite places, and the meaning of restic's messages.

use std::io;

use qdrant_backup_shared::text::{one_line, shortened};
use qdrant_backup_shared::{Failure, FailureKind};

use crate::archive::read::{ArchiveError, Stopped};

/// Maximum length of a repeated restic message, in characters.
const SHOWN: usize = 300;

/// A failure at a place, or of the connection to it. Messages never contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum OffsiteError {
    /// The program cannot be started.
    #[error(
        "cannot start the program {program}: {why}; install restic (0.14 or newer), or give its path with `restic:`"
    )]
    NoProgram {
        /// Program that was called.
        program: String,
        /// Reason that the system gave.
        why: String,
    },
    /// The program is too old, or is not restic.
    #[error("{program} is {found}; restic 0.14 or newer is needed")]
    TooOld {
        /// Program that was called.
        program: String,
        /// Its version output.
        found: String,
    },
    /// A file that restic needs cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The password is wrong.
    #[error("the password in {file} does not open the repository {repository}: check password_file")]
    WrongPassword {
        /// Password file.
        file: String,
        /// Address of the repository, without a password.
        repository: String,
    },
    /// There is no repository.
    #[error(
        "there is no restic repository at {repository}; is the disk mounted? Only if the place is new: `qdrant-backup offsite init {place}`"
    )]
    NoRepository {
        /// Name of the place.
        place: String,
        /// Address of the missing repository, without a password.
        repository: String,
    },
    /// It is locked.
    #[error(
        "the repository is locked by another process ({by}); nothing was removed; if that process is gone, run `restic unlock`"
    )]
    Locked {
        /// restic's information about the lock.
        by: String,
    },
    /// It is on a file system that is mounted read-only.
    #[error("the repository cannot be written: its file system is mounted read-only")]
    ReadOnly,
    /// The repository's disk is full.
    #[error("the repository's disk is full: {0}; free some space there, or keep fewer copies (retention)")]
    NoSpace(String),
    /// The connection failed.
    #[error("cannot reach the repository: {0}")]
    Unreachable(String),
    /// The storage denied access.
    #[error("the storage denied access: {0}; check environment_file")]
    Refused(String),
    /// The data is damaged.
    #[error(
        "the repository is damaged: {0}; read docs/runbook.md#qdrantbackupoffsitecheckfailed before you delete anything"
    )]
    Damaged(String),
    /// restic failed in another way.
    #[error("restic failed ({status}): {said}")]
    Failed {
        /// Its exit status.
        status: String,
        /// restic's message, in one line.
        said: String,
    },
    /// restic's output cannot be understood.
    #[error("cannot understand restic's answer to `{command}`: {why}; is this a newer version of restic?")]
    Answer {
        /// restic command that was run.
        command: &'static str,
        /// The problem.
        why: String,
    },
    /// A signal ended the run.
    #[error("interrupted by a signal")]
    Interrupted,
    /// The archive here cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive does not match its manifest.
    #[error("archive {file} is damaged and was not copied: {problem}")]
    NotAsManifest {
        /// Name of the damaged archive.
        file: String,
        /// Difference from the manifest.
        problem: String,
    },
    /// This program cannot read it.
    #[error("{0}")]
    Unsupported(String),
    /// A manifest here, or of a copy, cannot be used.
    #[error("{0}")]
    Manifest(String),
    /// A file here cannot be written.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Nothing is deleted without confirmation, or because data is damaged.
    #[error("{0}")]
    Kept(String),
}

impl OffsiteError {
    /// The error of a reader of an archive.
    pub(super) fn while_reading(self) -> io::Error {
        if matches!(self, Self::Interrupted) { io::Error::other(Stopped) } else { io::Error::other(self) }
    }

    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoProgram { .. }
            | Self::TooOld { .. }
            | Self::Unreadable(_)
            | Self::NoRepository { .. }
            | Self::ReadOnly => FailureKind::OffsiteUnusable,
            Self::WrongPassword { .. } | Self::Refused(_) => FailureKind::Unauthorized,
            Self::Locked { .. } => FailureKind::Locked,
            Self::NoSpace(_) => FailureKind::NoSpace,
            Self::Unreachable(_) => FailureKind::Unreachable,
            Self::Damaged(_) => FailureKind::OffsiteDamaged,
            Self::Failed { .. } | Self::Local { .. } => FailureKind::Io,
            Self::Answer { .. } | Self::Unsupported(_) => FailureKind::VersionUnsupported,
            Self::Interrupted => FailureKind::Interrupted,
            Self::Archive(error) => error.kind(),
            Self::NotAsManifest { .. } => FailureKind::ArchiveCorrupt,
            Self::Manifest(_) => FailureKind::ManifestInvalid,
            Self::Kept(_) => FailureKind::PruneRefused,
        }
    }

    /// For the status and the report.
    pub fn to_failure(&self) -> Failure {
        Failure { kind: self.kind(), message: one_line(&self.to_string()) }
    }

    /// Whether only one local archive or manifest is affected, so that others can still be copied.
    pub fn is_of_one(&self) -> bool {
        matches!(
            self,
            Self::Archive(_) | Self::NotAsManifest { .. } | Self::Unsupported(_) | Self::Manifest(_)
        )
    }
}

/// The meaning of restic's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    WrongPassword,
    NoRepository,
    Locked,
    ReadOnly,
    NoSpace,
    Unreachable,
    Refused,
    Damaged,
    Other,
}

/// Specific exit codes, since restic 0.17.
const NO_REPOSITORY: i32 = 10;
const LOCKED: i32 = 11;
const WRONG_PASSWORD: i32 = 12;

/// Texts with a known meaning, in lower case; the first match counts. Until restic 0.16, the exit code is always 1. Network
/// errors come before damage, because a check that could not read everything also reports an error of the repository.
const WORDS: [(Meaning, &[&str]); 8] = [
    (Meaning::WrongPassword, &["wrong password or no key found"]),
    (Meaning::Locked, &["already locked", "unable to create lock in backend"]),
    (
        Meaning::NoSpace,
        &["no space left on device", "insufficient storage", "disk quota exceeded", "quotaexceeded"],
    ),
    (
        Meaning::Unreachable,
        &[
            "connection refused",
            "no such host",
            "i/o timeout",
            "connection reset",
            "network is unreachable",
            "no route to host",
            "broken pipe",
            "tls:",
            "x509:",
            "dial tcp",
            "server misbehaving",
            "503 service unavailable",
            "502 bad gateway",
            "connection timed out",
        ],
    ),
    (
        Meaning::Refused,
        &[
            "access denied",
            "accessdenied",
            "401 unauthorized",
            "403 forbidden",
            "signaturedoesnotmatch",
            "invalidaccesskeyid",
            "permission denied",
        ],
    ),
    (
        Meaning::Damaged,
        &[
            "repository contains errors",
            "ciphertext verification failed",
            "does not match",
            "invalid data returned",
            "not found in index",
            "readfull(<data/",
            "load(<data/",
            "unexpected file size",
        ],
    ),
    (Meaning::Unreachable, &["unexpected eof", ": eof"]),
    (
        Meaning::NoRepository,
        &["is there a repository at the following location", "nosuchbucket", "repository does not exist"],
    ),
];

/// In messages about a lock.
const LOCKS: [&str; 3] = ["<lock/", "/locks/", "create lock"];

/// The error for restic's exit code and output.
pub(super) fn meaning(code: Option<i32>, said: &str) -> Meaning {
    match code {
        Some(NO_REPOSITORY) => return Meaning::NoRepository,
        Some(LOCKED) => return Meaning::Locked,
        Some(WRONG_PASSWORD) => return Meaning::WrongPassword,
        Some(_) | None => {}
    }
    // restic says why it cannot lock only before its retries. Its cache may be on such a file system, too.
    let is_of_lock =
        |line: &str| line.contains("read-only file system") && LOCKS.iter().any(|lock| line.contains(lock));
    if said.to_lowercase().lines().any(is_of_lock) {
        return Meaning::ReadOnly;
    }
    // Errors that were retried are not the cause.
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("retrying after")).collect();
    let said = lines.join("\n").to_lowercase();
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
    found.map_or(Meaning::Other, |(meaning, _)| *meaning)
}

/// restic's message in one short line: the fatal error, otherwise the last line.
pub(super) fn gist(said: &str) -> String {
    let lines = || {
        let lines = said.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.contains("retrying after"))
    };
    let is_telling = |line: &&str| {
        let line = line.to_lowercase();
        line.starts_with("fatal")
            || line.starts_with("error")
            || line.starts_with("pack ")
            || line.contains("unable to")
            || line.contains("cannot dump")
    };
    let mut telling: Vec<&str> = lines().filter(is_telling).take(4).collect();
    telling.dedup();
    let text = if telling.is_empty() {
        lines().next_back().unwrap_or("nothing").to_owned()
    } else {
        telling.join("; ")
    };
    shortened(&one_line(&text), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_old_versions_and_the_codes_of_new_ones_mean_the_same() {
        for (code, said, expected) in [
            (1, "Fatal: wrong password or no key found\n", Meaning::WrongPassword),
            (12, "anything", Meaning::WrongPassword),
            (
                1,
                "Fatal: unable to open config file: stat /x/config: no such file or directory\nIs there a repository at the following location?\n/x\n",
                Meaning::NoRepository,
            ),
            (10, "", Meaning::NoRepository),
            (
                1,
                "Fatal: unable to open config file: client.Head: dial tcp 127.0.0.1:1: connect: connection refused\nIs there a repository at the following location?",
                Meaning::Unreachable,
            ),
            (
                1,
                "unable to create lock in backend: repository is already locked by PID 1 on vm by root",
                Meaning::Locked,
            ),
            (11, "", Meaning::Locked),
            (
                1,
                "Save(<lock/ab>) returned error, retrying after 1s: open /x/locks/ab: read-only file system\nunable to create lock in backend: context canceled",
                Meaning::ReadOnly,
            ),
            (
                1,
                "unable to open cache: mkdir /var/cache/x: read-only file system\nFatal: wrong password or no key found",
                Meaning::WrongPassword,
            ),
            (1, "Fatal: unable to save snapshot: write /x: no space left on device", Meaning::NoSpace),
            (1, "error: pack ab: ...\nFatal: repository contains errors", Meaning::Damaged),
            (
                1,
                "Load(<data/ab>, 1, 0) returned error, retrying after 1s: connection reset\ncannot dump file: ReadFull(<data/ab>): unexpected EOF",
                Meaning::Damaged,
            ),
            (
                1,
                "error: pack ab: dial tcp: connection refused\nFatal: repository contains errors",
                Meaning::Unreachable,
            ),
            (1, "Fatal: client.ListObjects: Access Denied.", Meaning::Refused),
            (1, "Fatal: something new", Meaning::Other),
        ] {
            assert_eq!(meaning(Some(code), said), expected, "{said}");
        }
    }

    #[test]
    fn the_gist_is_one_line_of_what_is_fatal() {
        assert_eq!(gist("a\nFatal: b\nhelp\n"), "Fatal: b");
        assert_eq!(gist("only\nthis\n"), "this");
        assert_eq!(gist(""), "nothing");
    }
}
