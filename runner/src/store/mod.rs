//! The backup directory: its contents and locks.

pub mod access;
mod backups;
pub mod file_system;
pub mod import;
pub mod lock;
pub mod lock_processes;
pub mod own_disk;
pub mod waiting;

pub use backups::{
    RESERVE_BYTES, available_bytes, begin_archive, commit, limits, prepare, probe, remove_empty_directory,
    remove_temporary_files,
};
