//! Settings: command line, environment, env file and `backup.yaml` become one `Settings`, once, at the start.
//!
//! Owns precedence, defaults, the names of environment variables, and the checks that need more than a type
//! (URLs, schedules, globs, key files). Below it nobody sees clap, YAML or the environment. It asks no server
//! and touches no backup directory: `config check` does.

mod api_key;
mod backup;
mod env_file;
mod files;
mod hooks;
mod layers;
mod load;
mod opts;
mod qdrant;
mod restore;
mod retention;
mod run;
mod schedule;
mod selection;
mod server_url;
mod setting;
mod show;
#[cfg(test)]
mod tests;
mod verify;

pub use api_key::{ApiKey, ApiKeyError};
pub use backup::BackupSettings;
pub use env_file::ENVIRONMENT;
pub use files::DEFAULT_CONFIG_FILES;
pub use hooks::{HookCommand, HooksSettings, PingUrl};
pub use load::{Settings, SettingsError};
pub use opts::{Keys, Opts};
pub use qdrant::QdrantSettings;
pub use restore::{DrillSettings, OtherServer, RestoreSettings};
pub use retention::RetentionSettings;
pub use run::RunSettings;
pub use schedule::{Schedule, ScheduleError, TimeZone};
pub use selection::{Globs, Selection};
pub use server_url::{BasicAuth, ProxyUrl, QdrantUrl, UrlError};
pub use setting::{Setting, Source};
pub use show::{render_settings, settings_json};
pub use verify::VerifySettings;
