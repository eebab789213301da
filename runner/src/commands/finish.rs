//! Start of signal handling, and the end of a command after a session.

use std::fmt::Display;

use qdrant_backup_shared::text::pretty_json;

use super::refusal::Refusal;
use crate::commands::exit::Exit;
use crate::host::output;
use crate::host::signals::{Signal, Signals};
use crate::session::Finished;

/// Starts signal handling.
pub fn listen() -> Result<Signals, Refusal> {
    Signals::listen().map_err(|error| Refusal::failed(format!("cannot listen for signals: {error}")))
}

/// The exit of the program after a session.
///
/// # Errors
/// When the work succeeded, but the status could not be written, so that monitoring does not see it.
pub fn exit(finished: &Finished, signal: Option<Signal>) -> Result<Exit, Refusal> {
    let exit = Exit::of(&finished.report.outcome, signal);
    if exit == Exit::Success && !finished.recorded {
        return Err(Refusal::failed(
            "the work is done, but the status file could not be written (see above), so monitoring does not see it",
        ));
    }
    Ok(exit)
}

/// The end of a command without a report, stopped by an error of Qdrant or a signal.
pub fn stopped(error: impl Display, signals: &Signals) -> Refusal {
    let exit = signals.received().map_or(Exit::Failed, Exit::Interrupted);
    Refusal { exit, message: error.to_string() }
}

/// Prints the report of a session as JSON.
pub fn print_report(finished: &Finished) -> Result<(), Refusal> {
    let json = pretty_json(&finished.report).map_err(Refusal::failed)?;
    output::print(&json).map_err(Refusal::failed)
}
