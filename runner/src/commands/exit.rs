//! Exit codes, as docs/faq.md lists them.

use std::process::ExitCode;

use qdrant_backup_shared::operation::Outcome;

use crate::host::signals::Signal;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything succeeded.
    Success,
    /// It failed.
    Failed,
    /// Invalid usage.
    Usage,
    /// Some collections failed.
    Partial,
    /// Compared points differ.
    Different,
    /// A backup was found bad.
    VerificationFailed,
    /// The newest backup of a collection is too old.
    TooOld,
    /// Another run holds the lock.
    Locked,
    /// The configuration or the backup directory cannot be used.
    Configuration,
    /// A signal stopped it, after cleaning up.
    Interrupted(Signal),
}

impl Exit {
    /// The exit of a run that ended in `outcome`; `signal` if one came.
    pub fn of(outcome: &Outcome, signal: Option<Signal>) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Partial => Self::Partial,
            Outcome::Interrupted => signal.map_or(Self::Failed, Self::Interrupted),
            Outcome::Failed | Outcome::Other(_) => Self::Failed,
        }
    }

    /// The exit code for the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial | Self::Different => 3,
            Self::VerificationFailed => 4,
            Self::TooOld => 5,
            Self::Locked => 75,
            Self::Configuration => 78,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
