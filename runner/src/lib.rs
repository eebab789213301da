//! The runner. `main` calls [`cli::main`], which reads as a table of contents; nothing below it knows the command line.

pub mod backup;
mod cli;
mod clock;
mod commands;
pub mod console;
mod exit;
pub mod inspect;
pub mod lock;
pub mod qdrant;
pub mod settings;
mod signals;
pub mod status_store;
pub mod store;
pub mod stream;

pub use clock::Clock;
