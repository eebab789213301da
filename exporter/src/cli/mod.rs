//! The command line, and the settings from command line, environment and `backup.yaml`.

mod args;
mod settings;

pub use args::Cli;
pub use settings::Directories;
