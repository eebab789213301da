//! Settings: command line, environment, env file and `backup.yaml` become one `Settings`, once, at the start.
//!
//! Owns precedence and the checks beyond the declarations in `shared::config_file::keys` (URLs, schedules, globs, key files).
//! Other code does not see clap, YAML or the environment. It does not access servers or the backup directory: `config check`
//! does.

mod api_key;
mod env_file;
mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod hooks;
mod layers;
mod load;
mod offsite;
mod opts;
mod qdrant;
mod restore;
mod retention;
mod schedule;
mod selection;
mod server_url;
mod setting;
mod show;
#[cfg(test)]
mod tests;
pub mod trust;
mod values;

pub use api_key::{ApiKey, ApiKeyError};
pub use files::DEFAULT_CONFIG_FILES;
pub use hooks::{HOOKS, PingUrl, hook_problem};
pub use load::{Settings, SettingsError};
pub use offsite::PlaceSettings;
pub use opts::{Keys, Opts};
pub use qdrant::QdrantSettings;
pub use restore::{DrillSettings, OtherServer};
pub use schedule::{Schedule, ScheduleError, TimeZone};
pub use server_url::{BasicAuth, ProxyUrl, QdrantUrl, UrlError};
pub use setting::{Setting, Source};
pub use show::{render_settings, settings_json};
