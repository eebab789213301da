//! `backup.yaml`: reads the text into typed, optional values that know the line they stand on.
//!
//! Owns the list of keys, their types and the wording of what is wrong with a file. It opens no file, knows no
//! default and merges nothing: the runner's settings do that, and the exporter may read the same file.
//! A file is judged as a whole: every problem is reported, not only the first.

mod file;
mod hook;
mod keys;
mod overrides;
mod problem;
mod suggest;
pub mod tree;
mod types;
mod values;

pub use file::InvalidConfigFile;
pub use hook::HookCommand;
pub use keys::{
    BackupSection, ConfigFile, DrillSection, HooksSection, KEYS, LogSection, QdrantSection, RestoreSection,
    RetentionSection, ScheduleSection,
};
pub use overrides::RetentionOverride;
pub use problem::Problem;
pub use suggest::closest;
pub use types::{
    BadValue, Compression, LogFormat, LogLevel, PingStyle, UrlText, parse_duration, parse_jobs, parse_rate,
    parse_size,
};
pub use values::Located;

/// Where `backup.yaml` is looked for when nobody names it; the first that exists is read.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/qdrant-backup/backup.yaml", "/opt/qdrant/config/backup.yaml"];

/// The backup directory when nobody names one.
pub const DEFAULT_BACKUP_PATH: &str = "/opt/qdrant/backups";
