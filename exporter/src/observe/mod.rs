//! Looking at the backup directory and the status, for whoever asks, without ever blocking a run.

mod collection;
mod directory;
mod files;
mod observation;
mod observer;
mod state;

pub use observation::{
    BackupView, CollectionView, DirectoryView, LevelView, Observation, Part, Problem, Storage,
};
pub use observer::Observer;
