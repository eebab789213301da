//! The host system: clock, users, signals, terminal.

pub mod clock;
pub mod console;
pub mod empty_directory;
pub mod output;
pub mod shell;
pub mod signals;
pub mod user;
