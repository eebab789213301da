//! The command line, and the settings that it, the environment and `backup.yaml` give together.

mod args;
mod settings;

pub use args::Cli;
pub use settings::Directories;
