//! The command to repeat a restore, for messages.

use qdrant_backup_shared::BackupId;

use super::plan::{Plan, PlanOptions};
use super::target::TargetState;
use crate::host::shell::quoted;

/// The command to repeat a restore.
#[derive(Clone)]
pub struct Again {
    begin: String,
    backup: String,
    options: String,
    existed: bool,
    /// Which backups, servers and keys are meant.
    rest: String,
}

impl Again {
    /// From the options, for the server at `url`.
    pub fn of(plan: &Plan, given: &PlanOptions, url: &str) -> Self {
        let begin = format!("qdrant-backup restore --collection {}", quoted(plan.collection.as_str()));
        // Not "latest", which may now be the safety backup.
        let backup = plan.backup.as_ref().map(|backup| format!(" --backup {}", backup.manifest.backup_id));
        let mut options = String::new();
        if plan.target != plan.collection {
            options.push_str(&format!(" --as {}", quoted(plan.target.as_str())));
        }
        if given.elsewhere {
            options.push_str(&format!(" --to {}", quoted(url)));
            if let Some(file) = &given.shown_key {
                options.push_str(&format!(" --to-api-key-file {}", quoted(&file.to_string_lossy())));
            }
        }
        if let Some(factor) = given.replication_factor {
            options.push_str(&format!(" --replication-factor {factor}"));
        }
        for (is_given, option) in
            [(given.allow_version_skew, " --allow-version-skew"), (given.with_aliases, " --with-aliases")]
        {
            options.push_str(if is_given { option } else { "" });
        }
        let (backup, existed) = (backup.unwrap_or_default(), plan.existing.is_some());
        Self { begin, backup, options, existed, rest: given.shown.clone() }
    }

    /// The same with another backup.
    pub fn of_other(&self, id: BackupId) -> Self {
        Self { backup: format!(" --backup {id}"), ..self.clone() }
    }

    /// The command for the current state of the target. A partly restored one needs no safety backup.
    pub fn after(&self, state: TargetState) -> String {
        let force = match state {
            TargetState::Doubtful | TargetState::Exceeded | TargetState::Unknown => {
                " --force --no-safety-backup"
            }
            TargetState::Untouched | TargetState::Absent | TargetState::Restored if self.existed => {
                " --force"
            }
            TargetState::Untouched | TargetState::Absent | TargetState::Half | TargetState::Restored => "",
        };
        format!("`{}{}{}{force}{}`", self.begin, self.backup, self.options, self.rest)
    }
}
