//! All settings, and how they are built: every place is read, every key chosen, every problem reported at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::config_file::{ConfigFile, LogFormat, LogLevel};

use super::backup::BackupSettings;
use super::env_file::ENVIRONMENT;
use super::files::{DEFAULT_CONFIG_FILES, read_config_file, read_env_file};
use super::hooks::HooksSettings;
use super::layers::{Layers, as_is, option, optional};
use super::opts::Opts;
use super::qdrant::QdrantSettings;
use super::restore::{DrillSettings, RestoreSettings};
use super::retention::RetentionSettings;
use super::run::RunSettings;
use super::schedule::{Schedule, TimeZone};
use super::setting::Setting;
use super::verify::VerifySettings;

/// All settings of a run. Built once, passed down by reference, in whole or in part.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server and how patient to be with it.
    pub qdrant: QdrantSettings,
    /// Where backups go and what they contain.
    pub backup: BackupSettings,
    /// When backups are expected, if anybody said so.
    pub schedule: Setting<Option<Schedule>>,
    /// The time zone of schedules.
    pub timezone: Setting<TimeZone>,
    /// Which backups stay.
    pub retention: RetentionSettings,
    /// How stored backups are checked.
    pub verify: VerifySettings,
    /// How restores are made.
    pub restore: RestoreSettings,
    /// How drills are made.
    pub drill: DrillSettings,
    /// What a scheduled run does besides backing up.
    pub run: RunSettings,
    /// Who is told how a scheduled run ended.
    pub hooks: HooksSettings,
    /// How much is logged.
    pub log_level: Setting<LogLevel>,
    /// For whom log lines are written.
    pub log_format: Setting<LogFormat>,
    /// The `backup.yaml` that was read, if there was one.
    pub config_file: Option<PathBuf>,
    /// The env file that was read, if one was given.
    pub env_file: Option<PathBuf>,
    /// What was said for this call only, by a variable of the environment or an option, and a scheduled run will not hear.
    pub only_now: Vec<&'static str>,
    /// What works but should be changed, a line each; to be logged once logging works.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with the configuration, from all places. Displayed as one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct SettingsError {
    /// One line each, with the place it is about. Never empty, never a secret.
    pub problems: Vec<String>,
    /// How the problems are to be logged, where that is clear in spite of them.
    pub log_format: LogFormat,
    /// Where backups and status would have been, as far as the settings tell all the same.
    pub layout: Layout,
}

impl SettingsError {
    /// The exit code of a program that cannot be configured (`EX_CONFIG`).
    pub const EXIT_CODE: u8 = 78;
}

impl Settings {
    /// Builds the settings. Precedence: command line, environment, env file, `backup.yaml`, default.
    ///
    /// # Errors
    /// Files that cannot be read, and every bad value in any of the places, also where a better place hides it.
    pub fn load(opts: &Opts, environment: &BTreeMap<OsString, OsString>) -> Result<Self, SettingsError> {
        Self::load_with(opts, environment, &DEFAULT_CONFIG_FILES.map(PathBuf::from))
    }

    /// As [`Settings::load`], with other places to look for `backup.yaml`.
    pub(super) fn load_with(
        opts: &Opts,
        environment: &BTreeMap<OsString, OsString>,
        default_config_files: &[PathBuf],
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::over(environment);
        let mut warnings = Vec::new();
        read_env_file(&mut layers, opts.env_file.as_deref(), &mut warnings);
        let config = read_config_file(&mut layers, opts.config.as_deref(), default_config_files);
        Self::choose(layers, opts, &config, warnings)
    }

    /// Builds the settings that a `backup.yaml` with this text at `path` would give.
    ///
    /// # Errors
    /// As for [`Settings::load`].
    pub fn of_text(
        path: &Path,
        text: &str,
        opts: &Opts,
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::over(environment);
        let mut warnings = Vec::new();
        read_env_file(&mut layers, opts.env_file.as_deref(), &mut warnings);
        layers.config_path = Some(path.to_owned());
        layers.config_text = Some(text.to_owned());
        let config = ConfigFile::parse(path, text).unwrap_or_else(|invalid| {
            layers.problems.extend(invalid.problems.iter().map(ToString::to_string));
            *invalid.readable
        });
        Self::choose(layers, opts, &config, warnings)
    }

    fn choose(
        mut layers: Layers<'_>,
        opts: &Opts,
        config: &ConfigFile,
        mut warnings: Vec<String>,
    ) -> Result<Self, SettingsError> {
        let qdrant = QdrantSettings::choose(&mut layers, opts, config, &mut warnings);
        let backup = BackupSettings::choose(&mut layers, opts, config);
        let (schedule, timezone) = choose_schedule(&mut layers, config);
        let retention = RetentionSettings::choose(&mut layers, config);
        let verify = VerifySettings::choose(&mut layers, config);
        let restore = RestoreSettings::choose(&mut layers, opts, config, &mut warnings);
        let drill = DrillSettings::choose(&mut layers, config, timezone.value, opts, &mut warnings);
        let run = RunSettings::choose(&mut layers, config);
        let hooks = HooksSettings::choose(&mut layers, config);
        let log_level = layers.choose_or(
            [
                option("--log-level", &opts.log_level, |text| LogLevel::parse(&text)),
                layers.config("log.level", &config.log.level, as_is),
            ],
            LogLevel::Info,
        );
        let log_format = layers.choose_or(
            [
                option("--log-format", &opts.log_format, |text| LogFormat::parse(&text)),
                layers.config("log.format", &config.log.format, as_is),
            ],
            LogFormat::Text,
        );
        let only_now = only_now(&layers, opts);
        match qdrant {
            Some(qdrant) if layers.problems.is_empty() => Ok(Self {
                qdrant,
                backup,
                schedule,
                timezone,
                retention,
                verify,
                restore,
                drill,
                run,
                hooks,
                log_level,
                log_format,
                config_file: layers.config_path,
                env_file: layers.env_file_path,
                only_now,
                warnings,
            }),
            Some(_) | None => {
                let problems = std::mem::take(&mut layers.problems);
                let config = layers.config_text.as_deref().map(ConfigFile::readable_sections);
                let place = BackupSettings::choose(&mut layers, opts, &config.unwrap_or_default());
                let layout = Layout::new(place.path.value, place.state_dir.value);
                Err(SettingsError { problems, log_format: log_format.value, layout })
            }
        }
    }
}

/// The variables and options that say something which no file says too.
fn only_now(layers: &Layers<'_>, opts: &Opts) -> Vec<&'static str> {
    let same_in_file = |name: &str| {
        let value = layers.environment.get(&OsString::from(name)).and_then(|value| value.to_str());
        value.is_some() && layers.env_file.get(name).map(|(_, text)| text) == value
    };
    let variables = ENVIRONMENT.iter().copied().filter(|name| layers.names(name) && !same_in_file(name));
    let options = [
        ("--url", opts.url.is_some()),
        ("--api-key-file", opts.api_key_file.is_some()),
        ("--ca-file", opts.ca_file.is_some()),
        ("--backup-path", opts.backup_path.is_some()),
        ("--state-dir", opts.state_dir.is_some()),
    ];
    variables.chain(options.into_iter().filter(|(_, given)| *given).map(|(name, _)| name)).collect()
}

fn choose_schedule(
    layers: &mut Layers<'_>,
    config: &ConfigFile,
) -> (Setting<Option<Schedule>>, Setting<TimeZone>) {
    let file = &config.schedule;
    let timezone = layers.choose_or(
        [layers.config("schedule.timezone", &file.timezone, |text| TimeZone::parse(&text))],
        TimeZone::Local,
    );
    let parse = |text: &str| Schedule::parse(text, timezone.value);
    let schedule = layers.choose([
        layers.environment("BACKUP_SCHEDULE", parse),
        layers.env_file("BACKUP_SCHEDULE", parse),
        layers.config("schedule.cron", &file.cron, |text| parse(&text)),
    ]);
    (optional(schedule), timezone)
}
