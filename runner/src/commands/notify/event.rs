//! The outcome of a run, for hooks and the dead man's switch.

use std::path::Path;

use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::{OperationReport, RunReport};
use qdrant_backup_shared::text::one_line;

use crate::commands::exit::Exit;

/// The kind of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Success.
    Success,
    /// It failed, or a backup was found bad, or it was interrupted.
    Failure,
    /// Some collections failed.
    Partial,
    /// Another run held the lock.
    Skipped,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The command, as in `run`.
    pub command: &'static str,
    /// The exit code of the program.
    pub exit: Exit,
    /// The report, if there is one.
    pub report: Option<&'a RunReport>,
    /// Why there is no report.
    pub refusal: Option<&'a str>,
}

impl Ended<'_> {
    /// The event for hooks.
    pub fn event(&self) -> Event {
        match self.exit {
            Exit::Success => Event::Success,
            Exit::Partial | Exit::Different => Event::Partial,
            Exit::Locked => Event::Skipped,
            Exit::Failed
            | Exit::Usage
            | Exit::VerificationFailed
            | Exit::TooOld
            | Exit::Configuration
            | Exit::Interrupted(_) => Event::Failure,
        }
    }

    fn backup(&self) -> Option<&OperationReport> {
        self.report?.operations.iter().find(|operation| operation.operation == Operation::Backup)
    }

    /// The report as JSON. Empty if there is none.
    pub fn report_json(&self) -> Vec<u8> {
        self.report.and_then(|report| serde_json::to_vec(report).ok()).unwrap_or_default()
    }

    /// The main data, as environment variables.
    pub fn essentials(&self, directory: &Path) -> Vec<(&'static str, String)> {
        let event = match self.event() {
            Event::Success => "success",
            Event::Failure => "failure",
            Event::Partial => "partial",
            Event::Skipped => "skipped",
        };
        let mut essentials = vec![
            ("QDRANT_BACKUP_EVENT", event.to_owned()),
            ("QDRANT_BACKUP_COMMAND", self.command.to_owned()),
            ("QDRANT_BACKUP_EXIT_CODE", self.exit.code().to_string()),
            ("QDRANT_BACKUP_MESSAGE", self.message()),
            ("QDRANT_BACKUP_DIRECTORY", directory.display().to_string()),
        ];
        if let Some(report) = self.report {
            let collections = self.backup().map(|backup| backup.collections.as_slice()).unwrap_or_default();
            let failed: Vec<String> = collections
                .iter()
                .filter(|collection| collection.outcome != Outcome::Success)
                .map(|collection| one_line(&collection.collection.to_string()))
                .collect();
            let stored: u64 = collections.iter().filter_map(|collection| collection.stored_size_bytes).sum();
            essentials.extend([
                ("QDRANT_BACKUP_RUN_ID", report.run_id.clone()),
                ("QDRANT_BACKUP_COLLECTIONS", collections.len().to_string()),
                ("QDRANT_BACKUP_FAILED_COLLECTIONS", failed.join("\n")),
                ("QDRANT_BACKUP_STORED_BYTES", stored.to_string()),
                ("QDRANT_BACKUP_DURATION_SECONDS", format!("{:.1}", report.duration_seconds)),
            ]);
        }
        essentials
    }

    /// One line for a person.
    fn message(&self) -> String {
        let operations = self.report.map(|report| report.operations.as_slice()).unwrap_or_default();
        let parts: Vec<String> = operations.iter().map(describe).collect();
        one_line(&parts.into_iter().chain(self.refusal.map(str::to_owned)).collect::<Vec<_>>().join("; "))
    }
}

/// As `backup partial: 2 of 3 collections; "docs" (stalled): …`.
fn describe(operation: &OperationReport) -> String {
    let succeeded = operation.collections.iter().filter(|report| report.outcome == Outcome::Success).count();
    let mut text = format!("{} {}", operation.operation, operation.outcome);
    if !operation.collections.is_empty() || operation.failure.is_none() {
        text.push_str(&format!(": {succeeded} of {} collections", operation.collections.len()));
    }
    if let Some(failure) = &operation.failure {
        text.push_str(&format!("; {}", failure.message));
    }
    for report in &operation.collections {
        if let Some(failure) = &report.failure {
            text.push_str(&format!("; \"{}\" ({}): {}", report.collection, failure.kind, failure.message));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::signals::Signal;

    #[test]
    fn only_a_run_without_any_fault_is_a_success() {
        let event = |exit| Ended { command: "run", exit, report: None, refusal: Some("why\nnot") }.event();
        assert_eq!(event(Exit::Success), Event::Success);
        assert_eq!(event(Exit::Partial), Event::Partial);
        assert_eq!(event(Exit::Locked), Event::Skipped);
        for exit in [
            Exit::Failed,
            Exit::VerificationFailed,
            Exit::Configuration,
            Exit::Interrupted(Signal::Terminate),
        ] {
            assert_eq!(event(exit), Event::Failure, "{exit:?}");
        }
    }

    #[test]
    fn a_run_that_was_refused_tells_why_in_one_line() {
        let ended =
            Ended { command: "run", exit: Exit::Configuration, report: None, refusal: Some("not\nmounted") };
        let essentials = ended.essentials(Path::new("/b"));
        let value = |name| essentials.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("QDRANT_BACKUP_MESSAGE"), Some(r"not\nmounted"));
        assert_eq!(value("QDRANT_BACKUP_EXIT_CODE"), Some("78"));
        assert_eq!(value("QDRANT_BACKUP_RUN_ID"), None);
        assert!(ended.report_json().is_empty());
    }
}
