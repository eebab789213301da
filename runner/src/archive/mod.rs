//! Archives: written while a snapshot arrives, read back, and what is inside.

pub mod inspect;
pub mod read;
pub mod write;
