//! End-to-end tests of the built programs.

mod backup;
mod drill;
mod export;
mod restore;
mod verify;
