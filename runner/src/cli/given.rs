//! Options that are settings: made of their declarations, and gathered as they were given.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use qdrant_backup_shared::config_file::keys::{
    API_KEY_FILE, BACKUP_PATH, CA_FILE, COMPRESSION, JOBS, KEEP_SERVER_SNAPSHOTS, LIMIT_RATE, LOCK_WAIT,
    LOG_FORMAT, LOG_LEVEL, QDRANT_URL, STATE_DIR,
};
use qdrant_backup_shared::config_file::{About, CommandOption, Declared, Otherwise, Takes};

/// Settings that a command takes as options, in the order of its help.
pub trait Taken {
    /// The settings.
    const SETTINGS: &'static [&'static dyn Declared];
    /// Whether every command takes them.
    const GLOBAL: bool = false;
}

/// Those of every command.
pub struct OfEvery;
impl Taken for OfEvery {
    const SETTINGS: &'static [&'static dyn Declared] =
        &[&QDRANT_URL, &API_KEY_FILE, &CA_FILE, &BACKUP_PATH, &STATE_DIR, &LOG_LEVEL, &LOG_FORMAT];
    const GLOBAL: bool = true;
}

/// Those of `backup`.
pub struct OfBackup;
impl Taken for OfBackup {
    const SETTINGS: &'static [&'static dyn Declared] =
        &[&COMPRESSION, &KEEP_SERVER_SNAPSHOTS, &JOBS, &LIMIT_RATE, &LOCK_WAIT];
}

/// Those of `run`.
pub struct OfRun;
impl Taken for OfRun {
    const SETTINGS: &'static [&'static dyn Declared] = &[&JOBS, &LIMIT_RATE, &LOCK_WAIT];
}

/// That of the other commands which wait for the lock.
pub struct OfWaiting;
impl Taken for OfWaiting {
    const SETTINGS: &'static [&'static dyn Declared] = &[&LOCK_WAIT];
}

/// What was given of the settings that `T` lists, by the options' names with the dashes.
pub struct Given<T> {
    words: BTreeMap<&'static str, OsString>,
    taken: PhantomData<T>,
}

impl<T> Given<T> {
    /// The words. A switch has `true`.
    pub fn words(&self) -> BTreeMap<&'static str, OsString> {
        self.words.clone()
    }
}

impl<T: Taken> Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        let abouts = T::SETTINGS.iter().map(|setting| setting.about());
        let args = abouts.filter_map(|about| Some(arg(about, &about.option?).global(T::GLOBAL)));
        command.args(args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Taken> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = T::SETTINGS.iter().filter_map(|setting| setting.about().option);
        let words = options.filter_map(|option| Some((option.long, word(matches, &option)?))).collect();
        Ok(Self { words, taken: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.words.extend(Self::from_arg_matches(matches)?.words);
        Ok(())
    }
}

/// An option's name as clap knows it.
fn id(option: &CommandOption) -> &'static str {
    option.long.trim_start_matches('-')
}

fn arg(about: &About, option: &CommandOption) -> Arg {
    let arg = Arg::new(id(option)).long(id(option)).help(help(about, option));
    let arg = match option.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    let (value_name, parser): (_, ValueParser) = match option.takes {
        Takes::Nothing => return arg.action(ArgAction::SetTrue),
        Takes::Text(value_name) => (value_name, value_parser!(String).into()),
        Takes::Path(value_name) => (value_name, value_parser!(PathBuf).into()),
    };
    arg.value_name(value_name).value_parser(parser)
}

/// The option's help, with the variable and the default behind it unless it names them itself.
fn help(about: &About, option: &CommandOption) -> String {
    let mut help = option.help.to_owned();
    if let Some(name) = about.variable.filter(|name| !option.help.contains(name)) {
        help.push_str(&format!(" [env: {name}]"));
    }
    match about.otherwise {
        Otherwise::Value(value) if option.takes != Takes::Nothing => help + &format!(" [default: {value}]"),
        Otherwise::Value(_) | Otherwise::Unset(_) => help,
    }
}

fn word(matches: &ArgMatches, option: &CommandOption) -> Option<OsString> {
    match option.takes {
        Takes::Nothing => matches.get_flag(id(option)).then(|| "true".into()),
        Takes::Text(_) | Takes::Path(_) => Some(matches.get_raw(id(option))?.next()?.to_owned()),
    }
}
