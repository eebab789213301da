//! Observes the backup directory and the status without ever blocking a run.

mod collection;
mod collection_view;
mod directory;
mod observation;
mod observer;
mod stamp;
mod state;

pub use collection_view::CollectionView;
pub use observation::{DirectoryView, Observation, Part, Storage};
pub use observer::Observer;
