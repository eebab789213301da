//! Builds all settings: reads every source, applies the precedence, and reports all problems at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::config_file::keys::{
    self, BACKUP_PATH, LOG_FORMAT, SCHEDULE_CRON, STATE_DIR, TIMEZONE,
};
use qdrant_backup_shared::config_file::{ConfigFile, Knob, LogFormat};

use super::files::{DEFAULT_CONFIG_FILES, read_config_file, read_env_file, take_config};
use super::hooks::{PingUrl, find_programs};
use super::layers::Layers;
use super::offsite::{PlaceSettings, choose_places};
use super::opts::Opts;
use super::qdrant::QdrantSettings;
use super::restore::{DrillSettings, OtherServer};
use super::retention::check_overrides;
use super::schedule::{Schedule, TimeZone};
use super::selection::{check_include_files, choose_selection};
use super::setting::Source;
use super::values::Values;
use crate::choice::Selection;
use crate::host::shell::quoted;

/// All settings of a run. Built once and passed by reference. Most are read with [`Settings::get`]; those that need a conversion
/// are fields.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) values: Values,
    /// Overrides the directories of the settings.
    pub(super) other_layout: Option<Layout>,
    /// The server and how to connect to it.
    pub qdrant: QdrantSettings,
    /// The collections to back up.
    pub selection: Selection,
    /// The expected schedule of backups, if set.
    pub schedule: Option<Schedule>,
    /// The time zone of schedules.
    pub timezone: TimeZone,
    /// Options of drills.
    pub drill: DrillSettings,
    /// The offsite places.
    pub offsite: Vec<PlaceSettings>,
    /// The server of `--to`.
    pub restore_to: Option<OtherServer>,
    /// The dead man's switch for scheduled runs.
    pub ping_url: Option<PingUrl>,
    /// The `backup.yaml` that was read, if there was one.
    pub config_file: Option<PathBuf>,
    /// The env file that was read, if one was given.
    pub env_file: Option<PathBuf>,
    /// Settings from the environment or options of this call, which scheduled runs do not have.
    pub only_now: Vec<&'static str>,
    /// The options as given, for another process with the same settings.
    pub given: BTreeMap<&'static str, OsString>,
    /// The key file of `--to`.
    pub to_api_key_file: Option<PathBuf>,
    /// Warnings, one line each, to be logged when logging is set up.
    pub warnings: Vec<String>,
}

/// All problems of the configuration, from all sources. Displayed as one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct SettingsError {
    /// One line each, with the source. Never empty, never contains secrets.
    pub problems: Vec<String>,
    /// The log settings for the problems, if they are valid.
    pub log_format: LogFormat,
    /// The directories of backups and status, if they are valid.
    pub layout: Layout,
}

impl SettingsError {
    /// The exit code of a program that cannot be configured (`EX_CONFIG`).
    pub const EXIT_CODE: u8 = 78;
}

impl Settings {
    /// The given options that say which backups, servers and keys are meant, to be added to a command that is shown. A password
    /// is never among them, because URLs with one are refused on the command line.
    pub fn shown_options(&self) -> String {
        let is_default =
            |path: &&PathBuf| DEFAULT_CONFIG_FILES.iter().any(|default| path.as_path() == Path::new(default));
        let config = self.config_file.as_ref().filter(|path| !is_default(path));
        let files = [("--config", config), ("--env-file", self.env_file.as_ref())];
        let files = files.into_iter().filter_map(|(name, path)| Some((name, path?.as_os_str())));
        let given = ["--backup-path", "--state-dir", "--url", "--api-key-file", "--ca-file"];
        let given = given.into_iter().filter_map(|name| Some((name, self.given.get(name)?.as_os_str())));
        files
            .chain(given)
            .map(|(name, value)| format!(" {name} {}", quoted(&value.to_string_lossy())))
            .collect()
    }

    /// The names of the places for copies.
    pub fn places(&self) -> Vec<String> {
        self.offsite.iter().map(|place| place.name().to_owned()).collect()
    }

    /// Builds the settings. Precedence: command line, environment, env file, `backup.yaml`, default.
    ///
    /// # Errors
    /// Unreadable files, and invalid values in any source, even if overridden.
    pub fn load(opts: &Opts, environment: &BTreeMap<OsString, OsString>) -> Result<Self, SettingsError> {
        Self::load_with(opts, environment, &DEFAULT_CONFIG_FILES.map(PathBuf::from))
    }

    /// As [`Settings::load`], with other places to look for `backup.yaml`.
    pub(super) fn load_with(
        opts: &Opts,
        environment: &BTreeMap<OsString, OsString>,
        default_config_files: &[PathBuf],
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::over(opts, environment);
        read_env_file(&mut layers);
        read_config_file(&mut layers, default_config_files);
        Self::choose(layers)
    }

    /// Builds the settings as if a `backup.yaml` with this text existed at `path`.
    ///
    /// # Errors
    /// As for [`Settings::load`].
    pub fn of_text(
        path: &Path,
        text: &str,
        opts: &Opts,
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::over(opts, environment);
        read_env_file(&mut layers);
        take_config(&mut layers, path, text);
        Self::choose(layers)
    }

    fn choose(mut layers: Layers<'_>) -> Result<Self, SettingsError> {
        layers.read();
        let qdrant = QdrantSettings::choose(&mut layers);
        let selection = choose_selection(&mut layers);
        check_include_files(&mut layers);
        let timezone = layers.convert(&TIMEZONE, |text, _| TimeZone::parse(&text), TimeZone::to_string);
        let timezone = timezone.map_or(TimeZone::Local, |zone| zone.value);
        let schedule = layers.convert(
            &SCHEDULE_CRON,
            |text, _| Schedule::parse(&text, timezone),
            |schedule| schedule.expression().to_owned(),
        );
        check_overrides(&mut layers);
        let offsite = choose_places(&mut layers, timezone);
        let restore_to = OtherServer::choose(&mut layers);
        let drill = DrillSettings::choose(&mut layers, timezone);
        find_programs(&mut layers);
        let ping_url = PingUrl::choose(&mut layers);
        if layers.values.get(&STATE_DIR).is_none() {
            let path = layers.values.get(&BACKUP_PATH);
            layers.values.set(&STATE_DIR, Some(path), Source::Default);
        }
        let only_now = only_now(&layers);
        match qdrant {
            Some(qdrant) if layers.problems.is_empty() => Ok(Self {
                values: layers.values,
                other_layout: None,
                qdrant,
                selection,
                schedule: schedule.map(|schedule| schedule.value),
                timezone,
                drill,
                offsite,
                restore_to,
                ping_url,
                config_file: layers.config_path,
                env_file: layers.env_file_path,
                only_now,
                given: layers.opts.given.clone(),
                to_api_key_file: layers.opts.to_api_key_file.clone(),
                warnings: layers.warnings,
            }),
            Some(_) | None => {
                let problems = std::mem::take(&mut layers.problems);
                let log_format = layers.values.get(&LOG_FORMAT);
                let config = layers.config_text.as_deref().map(ConfigFile::readable_sections);
                layers.config = config.unwrap_or_default();
                layers.read();
                Err(SettingsError { problems, log_format, layout: layout(&layers.values) })
            }
        }
    }

    /// The value of a setting.
    pub fn get<T: Clone + Default + 'static>(&self, knob: &Knob<T>) -> T {
        self.values.get(knob)
    }

    /// The source of a setting's value.
    pub fn source<T>(&self, knob: &Knob<T>) -> Source {
        self.values.source(knob.key())
    }

    /// The backup directory and the directory of the status files.
    pub fn layout(&self) -> Layout {
        self.other_layout.clone().unwrap_or_else(|| layout(&self.values))
    }

    /// The same settings for another directory.
    #[must_use]
    pub fn in_directory(&self, layout: Layout) -> Self {
        Self { other_layout: Some(layout), ..self.clone() }
    }
}

/// The default directory of the status files is the backup directory.
fn layout(values: &Values) -> Layout {
    let path = values.get(&BACKUP_PATH);
    let state = values.get(&STATE_DIR).unwrap_or_else(|| path.clone());
    Layout::new(path, state)
}

/// Variables and options with a value that is not in a file. Log settings do not matter.
fn only_now(layers: &Layers<'_>) -> Vec<&'static str> {
    let same_in_file = |name: &str| {
        let value = layers.variable(name).and_then(|value| value.to_str());
        value.is_some() && layers.env_file.get(name).map(|(_, text)| text) == value
    };
    let variables = keys::variables().filter(|name| layers.variable(name).is_some() && !same_in_file(name));
    let options = keys::all().map(|setting| setting.about()).filter(|about| about.section() != "log");
    let options = options.filter_map(|about| Some(about.option?.long));
    variables.chain(options.filter(|option| layers.opts.given.contains_key(option))).collect()
}
