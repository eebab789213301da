//! Options that are settings: made of their declarations, and gathered as they were given.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use qdrant_backup_shared::config_file::{About, CommandOption, Follows, Otherwise, keys};

/// Something that has settings among its options, in the order of their declarations.
pub trait Takes {
    /// The command; none for the options of every command.
    const COMMAND: Option<&'static str>;
}

/// The settings that are options of a command, or of every one.
fn settings(command: Option<&'static str>) -> impl Iterator<Item = (&'static About, &'static CommandOption)> {
    let options = keys::all().filter_map(|setting| {
        let about = setting.about();
        Some((about, about.option.as_ref()?))
    });
    options.filter(move |(_, option)| match command {
        Some(command) => option.commands.contains(&command),
        None => option.commands.is_empty(),
    })
}

/// What was given of the settings that are options of `T`, by the options' names with the dashes.
pub struct Given<T> {
    words: BTreeMap<&'static str, OsString>,
    of: PhantomData<T>,
}

impl<T> Given<T> {
    /// The words. A switch has `true`.
    pub fn words(&self) -> BTreeMap<&'static str, OsString> {
        self.words.clone()
    }
}

impl<T: Takes> Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        command
            .args(settings(T::COMMAND).map(|(about, option)| arg(about, option).global(T::COMMAND.is_none())))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Takes> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            settings(T::COMMAND).filter_map(|(_, option)| Some((option.long, word(matches, option)?)));
        Ok(Self { words: given.collect(), of: PhantomData })
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
    let (value_name, parser): (_, ValueParser) = match option.follows {
        Follows::Nothing => return arg.action(ArgAction::SetTrue),
        Follows::Text(value_name) => (value_name, value_parser!(String).into()),
        Follows::Path(value_name) => (value_name, value_parser!(PathBuf).into()),
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
        Otherwise::Value(value) if option.follows != Follows::Nothing => {
            help + &format!(" [default: {value}]")
        }
        Otherwise::Value(_) | Otherwise::Unset(_) => help,
    }
}

fn word(matches: &ArgMatches, option: &CommandOption) -> Option<OsString> {
    match option.follows {
        Follows::Nothing => matches.get_flag(id(option)).then(|| "true".into()),
        Follows::Text(_) | Follows::Path(_) => Some(matches.get_raw(id(option))?.next()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_option_that_is_a_setting_is_there_where_its_declaration_says() {
        let mut program = Cli::command();
        program.build();
        let has = |command: &Command, option: &CommandOption| {
            command.get_arguments().any(|arg| arg.get_id() == id(option) && arg.get_help().is_some())
        };
        for option in keys::all().filter_map(|setting| setting.about().option) {
            for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
                let name = command.get_name();
                let expected = option.commands.is_empty() || option.commands.contains(&name);
                assert_eq!(has(command, &option), expected, "{} of {name}", option.long);
            }
            let takes_it = if option.commands.is_empty() { &["list"] } else { option.commands };
            for name in takes_it {
                let file = (*name == "import").then_some("file");
                let value = (option.follows != Follows::Nothing).then_some("value");
                let line = ["qdrant-backup", name].into_iter().chain(file).chain([option.long]).chain(value);
                let given = Cli::try_parse_from(line).unwrap().opts().given;
                assert_eq!(given.get(option.long).unwrap(), value.unwrap_or("true"), "{name}");
            }
        }
    }
}
