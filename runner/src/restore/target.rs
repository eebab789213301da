//! The state of the target after a failed restore.

/// The state of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is as it was before.
    Untouched,
    /// It did not exist before and does not exist now.
    Absent,
    /// The server started to restore it and did not finish, or the result differs from the backup.
    Doubtful,
    /// Some of its shards are restored. The same command continues with the others.
    Half,
    /// It contains more than the backup.
    Exceeded,
    /// The server has everything but did not answer: it may still be working.
    Unknown,
    /// It is completely restored; only a later step failed.
    Restored,
}

impl TargetState {
    /// Describes the state, with advice. `again` is the command to try again.
    pub fn words(self, target: &str, again: &str) -> String {
        match self {
            Self::Untouched => format!("\"{target}\" is untouched; to try again: {again}"),
            Self::Absent => format!("\"{target}\" does not exist; to try again: {again}"),
            Self::Doubtful => {
                format!("\"{target}\" may be PARTLY RESTORED: do not use it; to restore again: {again}")
            }
            Self::Half => {
                format!(
                    "\"{target}\" is PARTLY RESTORED: do not use it; to continue where this stopped: {again}; if that stops in the same way, delete \"{target}\" first"
                )
            }
            Self::Exceeded => format!(
                "\"{target}\" is restored, but contains more than the backup: find out who writes to it before you use it; to restore again: {again}"
            ),
            Self::Unknown => format!(
                "the server may still be restoring \"{target}\": check Qdrant's log before you use it; to restore again: {again}"
            ),
            Self::Restored => format!("\"{target}\" itself is completely restored"),
        }
    }
}
