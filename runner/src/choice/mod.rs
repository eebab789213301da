//! Selects backups and collections, from words and patterns. Pure functions.

mod globs;
mod selection;
mod which;

pub use globs::Globs;
pub use selection::Selection;
pub use which::{Accept, ChoiceError, Present, Which, choose, choose_one, drill_turn};
