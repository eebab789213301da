//! What the command line may override.

use std::collections::BTreeMap;
use std::ffi::OsString;
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
    /// The options that are settings, by their names with the dashes. A switch has `true`.
    pub given: BTreeMap<&'static str, OsString>,
    /// `--to`: another server to restore to.
    pub to: Option<String>,
    /// `--to-api-key-file`: that server's key.
    pub to_api_key_file: Option<PathBuf>,
    /// What becomes of key files.
    pub keys: Keys,
}
