//! What the machine gives and asks: the clock, users, signals, the terminal.

pub mod clock;
pub mod console;
pub mod empty_directory;
pub mod output;
pub mod shell;
pub mod signals;
pub mod user;
