//! Which backups somebody means. Pure: the words of a person on one side, what there is on the other.

mod which;

pub use which::{Accept, ChoiceError, Which, choose, choose_one, drill_turn};
