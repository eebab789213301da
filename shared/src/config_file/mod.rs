//! `backup.yaml` and the table of all settings. Values know their line in the file.
//!
//! Owns the declarations, parsing and display of values, and the messages about problems. It opens no files and merges nothing:
//! the runner's settings do that, and the exporter reads the same file. All problems of a file are reported, not only the first.

mod file;
mod hook;
pub mod keys;
mod kinds;
mod knob;
mod offsite;
mod policy;
mod problem;
pub mod reference;
mod suggest;
pub mod tree;
mod types;

pub use file::{ConfigFile, InvalidConfigFile};
pub use hook::HookCommand;
pub use keys::RetentionOverride;
pub use kinds::{Located, MASK, Place, Reading, Written};
pub use knob::{About, CommandOption, Declared, Follows, Knob, Otherwise, Read};
pub use offsite::{OffsitePlace, repository_secrets, shown_repository};
pub use policy::Policy;
pub use problem::Problem;
pub use suggest::closest;
pub use types::{
    BadValue, Choice, Compression, LogFormat, LogLevel, PingStyle, SecretText, parse_duration, parse_rate,
    parse_size,
};

/// Default paths of `backup.yaml`. The first one that exists is read.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/qdrant-backup/backup.yaml", "/opt/qdrant/config/backup.yaml"];

/// The default backup directory.
pub const DEFAULT_BACKUP_PATH: &str = "/opt/qdrant/backups";
