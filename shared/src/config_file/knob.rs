//! The parts of a setting's declaration.

use std::any::Any;
use std::ffi::OsStr;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Kind, Place, Reading, Written};

/// One setting, declared once, with everything that is needed to parse, show and document it. To add one: a `static` in `keys/`,
/// its line in the list there, and the code that uses it.
pub struct Knob<T> {
    about: About,
    kind: Kind<T>,
}

/// The properties of a setting that do not depend on its type.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Dotted key in `backup.yaml`, such as `backup.limit_rate`.
    pub key: &'static str,
    /// Never in a file, and never shown.
    pub secret: bool,
    /// The variable of the environment and of the env file.
    pub variable: Option<&'static str>,
    /// The option of the command line.
    pub option: Option<CommandOption>,
    /// The default.
    pub otherwise: Otherwise,
    /// A value for the example in the documentation, as YAML. If there is none, the default is used.
    pub(super) example: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

/// The effect of a setting that is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// This text, parsed like a written value.
    Value(&'static str),
    /// Unset, with the effect of that in Markdown.
    Unset(&'static str),
}

/// An option of the command line.
#[derive(Debug, Clone, Copy)]
pub struct CommandOption {
    /// With its two dashes.
    pub long: &'static str,
    /// The short option.
    pub short: Option<char>,
    /// What follows it.
    pub follows: Follows,
    /// For `--help`. The variable and the default are appended.
    pub help: &'static str,
    /// The commands that have it. Empty means all.
    pub commands: &'static [&'static str],
}

/// The value of an option, with its name in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// No value: a switch, which means `true`.
    Nothing,
    /// Text.
    Text(&'static str),
    /// The path of a file or directory.
    Path(&'static str),
}

/// A value that was read.
#[derive(Clone)]
pub struct Read {
    /// The typed value.
    pub value: Arc<dyn Any + Send + Sync>,
    /// As `config show` shows it: without secrets, null when unset.
    pub shown: Value,
}

/// A setting of any type.
pub trait Declared: Send + Sync {
    /// Key, help text and default.
    fn about(&self) -> &About;

    /// Parses a written value. `None` if it is invalid; the problem is then reported.
    fn read(&self, written: Written<'_>, reading: &mut Reading<'_>) -> Option<Read>;

    /// The default.
    fn unset(&self) -> Read;

    /// Parses a value from one of the sources.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read_from(&self, place: Place, written: Written<'_>) -> Result<Read, String> {
        let mut reading = Reading::alone(place);
        self.read(written, &mut reading).ok_or_else(|| reading.messages())
    }
}

impl<T> Knob<T> {
    pub(super) const fn new(key: &'static str, kind: Kind<T>) -> Self {
        let about = About {
            key,
            secret: false,
            variable: None,
            option: None,
            otherwise: Otherwise::Unset("none"),
            example: "",
            meaning: "",
        };
        Self { about, kind }
    }

    pub(super) const fn secret(mut self) -> Self {
        self.about.secret = true;
        self
    }

    pub(super) const fn variable(mut self, name: &'static str) -> Self {
        self.about.variable = Some(name);
        self
    }

    pub(super) const fn option(mut self, long: &'static str, follows: Follows, help: &'static str) -> Self {
        self.about.option = Some(CommandOption { long, short: None, follows, help, commands: &[] });
        self
    }

    pub(super) const fn short(mut self, letter: char) -> Self {
        if let Some(option) = &mut self.about.option {
            option.short = Some(letter);
        }
        self
    }

    /// Only these commands have the option.
    pub(super) const fn only(mut self, commands: &'static [&'static str]) -> Self {
        if let Some(option) = &mut self.about.option {
            option.commands = commands;
        }
        self
    }

    pub(super) const fn default(mut self, value: &'static str) -> Self {
        self.about.otherwise = Otherwise::Value(value);
        self
    }

    /// The effect of not setting it, if that is not simply "none".
    pub(super) const fn unset_is(mut self, words: &'static str) -> Self {
        self.about.otherwise = Otherwise::Unset(words);
        self
    }

    pub(super) const fn example(mut self, yaml: &'static str) -> Self {
        self.about.example = yaml;
        self
    }

    pub(super) const fn meaning(mut self, markdown: &'static str) -> Self {
        self.about.meaning = markdown;
        self
    }

    /// Key, help text and default.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Key in `backup.yaml`, with dots between sections.
    pub fn key(&self) -> &'static str {
        self.about.key
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.about.name()
    }

    /// The written value, if it is valid. For values that were parsed before: nothing is reported.
    pub fn value(&self, place: Place, written: Written<'_>) -> Option<T> {
        (self.kind.read)(written, &mut Reading::alone(place))
    }
}

impl<T: Default> Knob<T> {
    /// The default value. A test makes sure that every default can be parsed.
    pub fn default_value(&self) -> T {
        let written = self.about.otherwise.written();
        written.and_then(|written| self.value(Place::Default, written)).unwrap_or_default()
    }
}

impl<T: Default + Send + Sync + 'static> Knob<T> {
    /// A value without its static type.
    pub fn of(&self, value: T) -> Read {
        let shown = (self.kind.show)(&value);
        Read { value: Arc::new(value), shown }
    }
}

impl<T: Default + Send + Sync + 'static> Declared for Knob<T> {
    fn about(&self) -> &About {
        &self.about
    }

    fn read(&self, written: Written<'_>, reading: &mut Reading<'_>) -> Option<Read> {
        (self.kind.read)(written, reading).map(|value| self.of(value))
    }

    fn unset(&self) -> Read {
        self.of(self.default_value())
    }
}

impl Otherwise {
    /// The default as written text. None if unset.
    pub fn written(&self) -> Option<Written<'static>> {
        match self {
            Self::Value(text) => Some(Written::Word(OsStr::new(*text))),
            Self::Unset(_) => None,
        }
    }
}

impl About {
    /// The part of the key before its first dot.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }

    /// A value for the example in the documentation, as YAML.
    pub(super) fn example(&self) -> &'static str {
        match self.otherwise {
            Otherwise::Value(value) if self.example.is_empty() => value,
            Otherwise::Value(_) | Otherwise::Unset(_) => self.example,
        }
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(_, name)| name)
    }
}
