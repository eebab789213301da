//! What the commands that a schedule starts have in common: others are told how they ended.

use qdrant_backup_shared::run_report::RunReport;

use super::Refusal;
use crate::commands::exit::Exit;
use crate::commands::notify::{Ended, Notifier};
use crate::settings::Settings;

/// A command that came to a report.
pub struct Done {
    /// How the program ends.
    pub exit: Exit,
    /// The report.
    pub report: RunReport,
}

/// Does `work`, which says when it has the lock, and tells those whom the settings name how it ended.
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
