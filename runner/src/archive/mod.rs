//! Archives: writing during the download, reading, and inspection of the contents.

pub mod inspect;
pub mod read;
pub mod write;
