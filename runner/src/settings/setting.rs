//! A value with its source.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

use qdrant_backup_shared::config_file::Place;
use qdrant_backup_shared::text::one_line;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An option such as `--url`.
    CommandLine(&'static str),
    /// A variable of the process environment.
    Environment(&'static str),
    /// A line of the `--env-file`.
    EnvFile {
        /// The file as given by the user.
        file: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// Name of the variable.
        name: &'static str,
    },
    /// A line of `backup.yaml`.
    ConfigFile {
        /// The file as given by the user.
        file: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// Dotted key, as in `retention.keep_days`.
        key: &'static str,
    },
    /// Not set: the default applies.
    Default,
}

impl Source {
    /// The kind of source.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::CommandLine(_) => Place::CommandLine,
            Self::Environment(_) | Self::EnvFile { .. } => Place::Variable,
            Self::ConfigFile { .. } => Place::File,
            Self::Default => Place::Default,
        }
    }

    /// The rank in the order of precedence. 0 is first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::CommandLine(_) => 0,
            Self::Environment(_) => 1,
            Self::EnvFile { .. } => 2,
            Self::ConfigFile { .. } => 3,
            Self::Default => 4,
        }
    }

    /// One line with a problem of the value from this source.
    pub(super) fn problem(&self, message: impl fmt::Display) -> String {
        let place = match self {
            Self::CommandLine(option) => (*option).to_owned(),
            Self::Environment(name) => format!("environment variable {name}"),
            Self::EnvFile { file, line, name } => format!("{}:{line}: {name}", file.display()),
            Self::ConfigFile { file, line, key } => format!("{}:{line}: {key}", file.display()),
            Self::Default => "default".to_owned(),
        };
        one_line(&format!("{place}: {message}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::CommandLine(option) => format!("command line {option}"),
            Self::Environment(name) => format!("environment {name}"),
            Self::EnvFile { file, line, name } => format!("env file {}:{line} {name}", file.display()),
            Self::ConfigFile { file, line, key } => format!("{}:{line} {key}", file.display()),
            Self::Default => "default".to_owned(),
        };
        f.write_str(&one_line(&text))
    }
}

/// A value and its source. Reads like the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The effective value.
    pub value: T,
    /// The source of the value.
    pub source: Source,
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_line_whatever_the_file_is_called() {
        let source = Source::EnvFile { file: PathBuf::from("a\nb\u{1b}"), line: 3, name: "QDRANT_URL" };
        assert_eq!(source.to_string(), r"env file a\nb\u{1b}:3 QDRANT_URL");
        assert_eq!(source.problem("bad\nvalue"), r"a\nb\u{1b}:3: QDRANT_URL: bad\nvalue");
    }
}
