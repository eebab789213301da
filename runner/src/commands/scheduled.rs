//! Common parts of scheduled commands: they send notifications.

use qdrant_backup_shared::run_report::RunReport;

use super::Refusal;
use crate::commands::exit::Exit;
use crate::commands::notify::{Ended, Notifier};
use crate::settings::Settings;

/// A command with a report.
pub struct Done {
    /// How the program ends.
    pub exit: Exit,
    /// Report of the run.
    pub report: RunReport,
}

/// Runs `work`, which reports when it has the lock, and sends notifications about the outcome.
pub async fn scheduled(
    settings: &Settings,
    command: &'static str,
    work: impl AsyncFnOnce(&mut Notifier) -> Result<Done, Refusal>,
) -> Result<Exit, Refusal> {
    let mut notifier = Notifier::new(settings);
    let result = work(&mut notifier).await;
    let ended = match &result {
        Ok(done) => Ended { command, exit: done.exit, report: Some(&done.report), refusal: None },
        Err(refusal) => Ended { command, exit: refusal.exit, report: None, refusal: Some(&refusal.message) },
    };
    notifier.ended(&ended).await;
    result.map(|done| done.exit)
}
