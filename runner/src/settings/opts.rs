//! Command-line overrides.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// How a command uses key files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// It needs them for a server, so they must be readable.
    #[default]
    Needed,
    /// It only shows them: an unreadable file is a warning.
    Shown,
    /// It does not need them, so they are not read: users who read backups may not have access.
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
    /// How key files are used.
    pub keys: Keys,
}
