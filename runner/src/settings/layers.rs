//! The places a value can come from, and the choice between them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::Located;

use super::env_file::EnvFile;
use super::setting::{Setting, Source};

/// A value that some place offers, or what is wrong with it there. `None` where the place says nothing.
pub(super) type Candidate<T> = Option<(Source, Result<T, String>)>;

/// The places below the command line, and the problems found so far.
pub(super) struct Layers<'a> {
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) env_file: EnvFile,
    pub(super) env_file_path: Option<PathBuf>,
    pub(super) config_path: Option<PathBuf>,
    pub(super) config_text: Option<String>,
    pub(super) problems: Vec<String>,
}

impl<'a> Layers<'a> {
    /// Nothing but the process environment.
    pub(super) fn over(environment: &'a BTreeMap<OsString, OsString>) -> Self {
        Self {
            environment,
            env_file: EnvFile::default(),
            env_file_path: None,
            config_path: None,
            config_text: None,
            problems: Vec::new(),
        }
    }
}

impl Layers<'_> {
    /// What the process environment says. An empty value says nothing.
    pub(super) fn environment<T, E: Display>(
        &self,
        name: &'static str,
        convert: impl FnOnce(&str) -> Result<T, E>,
    ) -> Candidate<T> {
        let value = self.environment.get(&OsString::from(name)).filter(|value| !value.is_empty())?;
        let converted = match value.to_str() {
            Some(text) => convert(text).map_err(|error| error.to_string()),
            None => Err("not valid UTF-8".to_owned()),
        };
        Some((Source::Environment(name), converted))
    }

    /// Whether the process environment has the variable, and something in it.
    pub(super) fn names(&self, name: &'static str) -> bool {
        self.environment.get(&OsString::from(name)).is_some_and(|value| !value.is_empty())
    }

    /// Whether the process environment or the env file has the variable, with nothing in it.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.environment.get(&OsString::from(name)).is_some_and(|value| value.is_empty())
            || self.env_file.get(name).is_some_and(|(_, value)| value.is_empty())
    }

    /// What the env file says. An empty value says nothing.
    pub(super) fn env_file<T, E: Display>(
        &self,
        name: &'static str,
        convert: impl FnOnce(&str) -> Result<T, E>,
    ) -> Candidate<T> {
        let (line, value) = self.env_file.get(name).filter(|(_, value)| !value.is_empty())?;
        let file = self.env_file_path.clone().unwrap_or_default();
        Some((Source::EnvFile { file, line, name }, convert(value).map_err(|error| error.to_string())))
    }

    /// What `backup.yaml` says.
    pub(super) fn config<V: Clone, T, E: Display>(
        &self,
        key: &'static str,
        located: &Option<Located<V>>,
        convert: impl FnOnce(V) -> Result<T, E>,
    ) -> Candidate<T> {
        let located = located.as_ref()?;
        let value = convert(located.value.clone()).map_err(|error| error.to_string());
        Some((self.config_source(key, located.line), value))
    }

    /// A line of `backup.yaml` as a source.
    pub(super) fn config_source(&self, key: &'static str, line: usize) -> Source {
        Source::ConfigFile { file: self.config_path.clone().unwrap_or_default(), line, key }
    }

    /// Takes the first candidate, the places being in order of precedence. Bad values are reported wherever they
    /// are, also where a better place would hide them. `None` when there is no candidate or the first is bad.
    pub(super) fn choose<T>(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate<T>>,
    ) -> Option<Setting<T>> {
        let mut chosen = None;
        for (position, (source, value)) in candidates.into_iter().flatten().enumerate() {
            match value {
                Ok(value) if position == 0 => chosen = Some(Setting { value, source }),
                Ok(_) => {}
                Err(message) => self.problems.push(source.problem(message)),
            }
        }
        chosen
    }

    /// As [`Layers::choose`], with a default.
    pub(super) fn choose_or<T>(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate<T>>,
        default: T,
    ) -> Setting<T> {
        self.choose(candidates).unwrap_or_else(|| Setting::default_value(default))
    }
}

/// What an option of the command line says.
pub(super) fn option<V: Clone, T, E: Display>(
    name: &'static str,
    value: &Option<V>,
    convert: impl FnOnce(V) -> Result<T, E>,
) -> Candidate<T> {
    let value = value.clone()?;
    Some((Source::CommandLine(name), convert(value).map_err(|error| error.to_string())))
}

/// A value that needs no further judging.
pub(super) fn as_is<T>(value: T) -> Result<T, Infallible> {
    Ok(value)
}

/// A path that means the same wherever the program is started from: cron starts it in a home directory.
/// The message does not repeat the path, because people paste keys where key files belong.
pub(super) fn absolute(path: impl AsRef<Path>) -> Result<PathBuf, &'static str> {
    let path = path.as_ref();
    if path.is_absolute() {
        Ok(path.to_owned())
    } else {
        Err("expected an absolute path, one that begins with /")
    }
}

/// A setting that may stay unset.
pub(super) fn optional<T>(chosen: Option<Setting<T>>) -> Setting<Option<T>> {
    match chosen {
        Some(setting) => Setting { value: Some(setting.value), source: setting.source },
        None => Setting::default_value(None),
    }
}
