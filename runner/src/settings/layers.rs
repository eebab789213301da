//! The sources of values, and their precedence.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;

use qdrant_backup_shared::config_file::{About, ConfigFile, Knob, Place, Written, keys};
use serde_json::json;

use super::env_file::EnvFile;
use super::opts::Opts;
use super::setting::{Setting, Source};
use super::values::Values;

/// The sources, the resulting values, and problems and warnings so far.
pub(super) struct Layers<'a> {
    pub(super) opts: &'a Opts,
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) env_file: EnvFile,
    pub(super) env_file_path: Option<PathBuf>,
    pub(super) config: ConfigFile,
    pub(super) config_path: Option<PathBuf>,
    pub(super) config_text: Option<String>,
    pub(super) values: Values,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The value of a setting in one source.
pub(super) type Offer<'l> = (Source, Written<'l>);

impl<'a> Layers<'a> {
    /// Only the command line and the process environment.
    pub(super) fn over(opts: &'a Opts, environment: &'a BTreeMap<OsString, OsString>) -> Self {
        Self {
            opts,
            environment,
            env_file: EnvFile::default(),
            env_file_path: None,
            config: ConfigFile::default(),
            config_path: None,
            config_text: None,
            values: Values::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The values of a setting in each source, in order of precedence. Empty variables are ignored.
    pub(super) fn offers(&self, about: &About) -> Vec<Offer<'_>> {
        let given = about.option.and_then(|option| {
            Some((Source::CommandLine(option.long), Written::Word(self.opts.given.get(option.long)?)))
        });
        let environment = about.variable.and_then(|name| {
            let value = self.variable(name)?;
            Some((Source::Environment(name), Written::Word(value)))
        });
        let env_file = about.variable.and_then(|name| {
            let (line, value) = self.env_file.get(name).filter(|(_, value)| !value.is_empty())?;
            let file = self.env_file_path.clone().unwrap_or_default();
            Some((Source::EnvFile { file, line, name }, Written::Word(OsStr::new(value))))
        });
        let config = self
            .config
            .written(about.key)
            .map(|located| (self.config_source(about.key, located.line), Written::Yaml(&located.value)));
        [given, environment, env_file, config].into_iter().flatten().collect()
    }

    /// A variable of the process environment that is not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(OsStr::new(name)).filter(|value| !value.is_empty())?;
        Some(value.as_os_str())
    }

    /// Whether the process environment or the env file has the variable with an empty value.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.environment.get(OsStr::new(name)).is_some_and(|value| value.is_empty())
            || self.env_file.get(name).is_some_and(|(_, value)| value.is_empty())
    }

    /// A line of `backup.yaml` as a source.
    pub(super) fn config_source(&self, key: &'static str, line: usize) -> Source {
        Source::ConfigFile { file: self.config_path.clone().unwrap_or_default(), line, key }
    }

    /// Reads every setting. The first source that sets it counts. Invalid values are reported in all sources, even if overridden;
    /// those of `backup.yaml` were reported when it was parsed.
    pub(super) fn read(&mut self) {
        for setting in keys::all() {
            let about = setting.about();
            let mut chosen = (setting.unset(), Source::Default);
            let mut problems = Vec::new();
            for (position, (source, written)) in self.offers(about).into_iter().enumerate() {
                match setting.read_from(source.place(), written) {
                    Ok(read) if position == 0 => chosen = (read, source),
                    Err(message) if source.place() != Place::File => problems.push(source.problem(message)),
                    Ok(_) | Err(_) => {}
                }
            }
            self.values.put(about.key, chosen.0, chosen.1);
            self.problems.append(&mut problems);
        }
    }

    /// The valid values of a setting in each source.
    pub(super) fn readable<T>(&self, knob: &Knob<Option<T>>) -> Vec<(Source, T)> {
        let read = |(source, written): Offer<'_>| {
            let value = knob.value(source.place(), written).flatten()?;
            Some((source, value))
        };
        self.offers(knob.about()).into_iter().filter_map(read).collect()
    }

    /// The value of a setting that needs a conversion and a different display. Invalid values are reported in all sources. `None`
    /// if it is not set, or invalid in the first source.
    pub(super) fn convert<T, U, E: Display>(
        &mut self,
        knob: &Knob<Option<T>>,
        convert: impl Fn(T, &Source) -> Result<U, E>,
        show: impl Fn(&U) -> String,
    ) -> Option<Setting<U>> {
        let first = self.values.source(knob.key());
        let default = knob.default_value().map(|value| (Source::Default, value));
        let mut chosen = None;
        for (source, value) in self.readable(knob).into_iter().chain(default) {
            match convert(value, &source) {
                Ok(value) if source == first => chosen = Some(Setting { value, source }),
                Ok(_) => {}
                Err(message) => self.problems.push(source.problem(message)),
            }
        }
        if let Some(setting) = &chosen {
            self.values.show(knob.key(), json!(show(&setting.value)));
        }
        chosen
    }
}
