//! `backup.yaml`, and every setting that there is: the table of them, and the file as values that know the line they stand on.
//!
//! Owns the declarations, how values are read and shown, and the wording of what is wrong with a file. It opens no file and merges
//! nothing: the runner's settings do that, and the exporter may read the same file.
//! A file is judged as a whole: every problem is reported, not only the first.

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
pub use offsite::{OffsitePlace, shown_repository};
pub use policy::Policy;
pub use problem::Problem;
pub use suggest::closest;
pub use types::{
    BadValue, Choice, Compression, LogFormat, LogLevel, PingStyle, SecretText, parse_duration, parse_rate,
    parse_size,
};

/// Where `backup.yaml` is looked for when nobody names it; the first that exists is read.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/qdrant-backup/backup.yaml", "/opt/qdrant/config/backup.yaml"];

/// The backup directory when nobody names one.
pub const DEFAULT_BACKUP_PATH: &str = "/opt/qdrant/backups";
