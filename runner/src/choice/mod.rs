//! Which backups and which collections somebody means. Pure: words and patterns on one side, what there is on the other.

mod globs;
mod selection;
mod which;

pub use globs::Globs;
pub use selection::Selection;
pub use which::{Accept, ChoiceError, Which, choose, choose_one, drill_turn};
