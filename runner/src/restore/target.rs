//! In what state a restore that did not succeed leaves its target.

/// What has become of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is as it was before.
    Untouched,
    /// It did not exist before and does not exist now.
    Absent,
    /// The server began to restore it and did not finish, or what came of it is not what was backed up.
    Doubtful,
    /// Some of its shards are restored; the same command goes on with the others.
    Half,
    /// It holds more than the backup does.
    Exceeded,
    /// The server had everything and did not answer: it may still be at work.
    Unknown,
    /// It is restored and whole; only what was to follow failed.
    Restored,
}

impl TargetState {
    /// What to say of the target, and what to do. `again` is the command that tries again.
    pub fn words(self, target: &str, again: &str) -> String {
        match self {
            Self::Untouched => format!("\"{target}\" is untouched; to try again: {again}"),
            Self::Absent => format!("\"{target}\" does not exist; to try again: {again}"),
            Self::Doubtful => {
                format!("\"{target}\" may be PARTLY RESTORED: do not use it; to restore again: {again}")
            }
            Self::Half => {
                format!(
                    "\"{target}\" is PARTLY RESTORED: do not use it; to continue where this stopped: {again}"
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
