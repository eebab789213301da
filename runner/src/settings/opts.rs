//! What the command line may override.

use std::path::PathBuf;

/// What a command makes of key files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// A server is asked, so they must be readable.
    #[default]
    Needed,
    /// They are only shown: that one cannot be read is said, and keeps nobody from seeing the other settings.
    Shown,
    /// Nobody is asked anything, so they are not read: whoever looks at backups need not be allowed to.
    Unneeded,
}

/// Command-line overrides as given; nothing is checked yet, so that all problems can be reported together.
#[derive(Clone, Default)]
pub struct Opts {
    /// `--config`: must exist when given.
    pub config: Option<PathBuf>,
    /// `--env-file`: must exist when given.
    pub env_file: Option<PathBuf>,
    /// `--url`.
    pub url: Option<String>,
    /// `--api-key-file`.
    pub api_key_file: Option<PathBuf>,
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--backup-path`.
    pub backup_path: Option<PathBuf>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--compression`: true, false, gzip, zstd or none.
    pub compression: Option<String>,
    /// `--keep-server-snapshots`: a switch, so it can only turn this on.
    pub keep_server_snapshots: bool,
    /// `--jobs`: 1 to 16.
    pub jobs: Option<String>,
    /// `--limit-rate`: bytes a second, such as `50MiB`.
    pub limit_rate: Option<String>,
    /// `--lock-wait`: a duration such as `90m`.
    pub lock_wait: Option<String>,
    /// `--to`: another server to restore to.
    pub to: Option<String>,
    /// `--to-api-key-file`: that server's key.
    pub to_api_key_file: Option<PathBuf>,
    /// What becomes of key files.
    pub keys: Keys,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-format`: text or json.
    pub log_format: Option<String>,
}
