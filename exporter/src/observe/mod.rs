//! Looking at the backup directory and the status, for whoever asks, without ever blocking a run.

mod collection;
mod directory;
mod figures;
mod observation;
mod observer;
mod stamp;
mod state;

pub use observation::{CollectionView, DirectoryView, Observation, Part, Problem, Storage};
pub use observer::Observer;
