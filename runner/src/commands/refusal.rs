//! How a command ends that could not do what it was asked to.

use crate::commands::exit::Exit;

/// A command ended without doing what it was asked to: one line for a person, and the exit code.
#[derive(Debug)]
pub struct Refusal {
    /// How the program ends.
    pub exit: Exit,
    /// What failed, of what, why, what to do.
    pub message: String,
}

impl Refusal {
    /// A failure of the work itself.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: error.to_string() }
    }

    /// An id was given, and not one collection.
    pub fn id_of_several() -> Self {
        let message = "a backup id belongs to one collection: give exactly one --collection".to_owned();
        Self { exit: Exit::Usage, message }
    }

    /// Something that must be set up differently.
    pub fn configuration(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Configuration, message: error.to_string() }
    }
}
