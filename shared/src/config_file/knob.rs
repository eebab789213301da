//! What a declaration of a setting is made of.

use std::any::Any;
use std::ffi::OsStr;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Kind, Place, Reading, Written};

/// One setting, declared once: everything that any place, page or message has to know of it. A new one is a `static` in
/// `keys/`, its line in the list there, and the place that asks for it.
pub struct Knob<T> {
    about: About,
    kind: Kind<T>,
}

/// What there is to say of a setting, whatever its type.
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
    /// What holds where nobody says anything.
    pub otherwise: Otherwise,
    /// A value for the example in the documentation, as YAML; where there is none, the default is one.
    pub(super) example: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

/// What holds where nobody says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// This, read as if somebody had written it.
    Value(&'static str),
    /// Nothing, and what that amounts to, in Markdown.
    Unset(&'static str),
}

/// An option of the command line.
#[derive(Debug, Clone, Copy)]
pub struct CommandOption {
    /// With its two dashes.
    pub long: &'static str,
    /// A single letter that means the same.
    pub short: Option<char>,
    /// What follows it.
    pub follows: Follows,
    /// For `--help`; the variable and the default are put behind it.
    pub help: &'static str,
    /// The commands that have it; none are all of them.
    pub commands: &'static [&'static str],
}

/// What follows an option, with the word that stands for it in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Nothing: it is a switch, which says `true`.
    Nothing,
    /// Text.
    Text(&'static str),
    /// The path of a file or directory.
    Path(&'static str),
}

/// A value that was read.
#[derive(Clone)]
pub struct Read {
    /// As the type of its setting.
    pub value: Arc<dyn Any + Send + Sync>,
    /// As `config show` shows it: without secrets, null when unset.
    pub shown: Value,
}

/// A setting of whatever type.
pub trait Declared: Send + Sync {
    /// What there is to say of it.
    fn about(&self) -> &About;

    /// Reads what is written somewhere; `None` when that is no good, and has been reported.
    fn read(&self, written: Written<'_>, reading: &mut Reading<'_>) -> Option<Read>;

    /// What holds where nobody says anything.
    fn unset(&self) -> Read;

    /// Reads what is written in one of the places.
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

    /// What it amounts to that nobody says anything, where that is not simply "none".
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

    /// What there is to say of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its dotted key.
    pub fn key(&self) -> &'static str {
        self.about.key
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.about.name()
    }

    /// What is written somewhere, if it is good. For what was read once already: nothing is reported.
    pub fn value(&self, place: Place, written: Written<'_>) -> Option<T> {
        (self.kind.read)(written, &mut Reading::alone(place))
    }
}

impl<T: Default> Knob<T> {
    /// The value that holds where nobody says anything. That every default can be read is tested.
    pub fn default_value(&self) -> T {
        let written = self.about.otherwise.written();
        written.and_then(|written| self.value(Place::Default, written)).unwrap_or_default()
    }
}

impl<T: Default + Send + Sync + 'static> Knob<T> {
    /// A value as it is handed around.
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
    /// The default as if somebody had written it; none where that is nothing.
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
