//! The end of a command that could not do its work.

use crate::commands::exit::Exit;

/// A command could not do its work: one line for people, and the exit code.
#[derive(Debug)]
pub struct Refusal {
    /// The exit code.
    pub exit: Exit,
    /// What failed, of what, why, what to do.
    pub message: String,
}

impl Refusal {
    /// A failure of the work itself.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: error.to_string() }
    }

    /// An id was given without exactly one collection.
    pub fn id_of_several() -> Self {
        let message = "a backup id belongs to one collection: give exactly one --collection".to_owned();
        Self { exit: Exit::Usage, message }
    }

    /// The configuration or setup must be changed.
    pub fn configuration(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Configuration, message: error.to_string() }
    }
}
