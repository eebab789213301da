//! Options that are settings: built from their declarations, and collected with their values.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use qdrant_backup_shared::config_file::{About, CommandOption, Follows, Otherwise, keys};

/// The name of the command.
pub(super) const PROGRAM: &str = "qdrant-backup";

/// The given values of options that are settings, by the options' names with the dashes. A switch has `true`.
pub struct Given(pub BTreeMap<&'static str, OsString>);

/// Every setting that is an option of some command.
fn options() -> impl Iterator<Item = (&'static About, &'static CommandOption)> {
    keys::all().map(|setting| setting.about()).filter_map(|about| Some((about, about.option.as_ref()?)))
}

impl Args for Given {
    /// The options of the command with this name according to their declarations. For the program itself, those of
    /// every command.
    fn augment_args(command: Command) -> Command {
        let (name, is_program) = (command.get_name().to_owned(), command.get_name() == PROGRAM);
        let here = options().filter(|(_, option)| match option.commands {
            [] => is_program,
            commands => commands.contains(&name.as_str()),
        });
        command.args(here.map(|(about, option)| arg(about, option).global(is_program)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = options().filter_map(|(_, option)| Some((option.long, word(matches, option)?)));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

/// An option's name in clap.
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
        Follows::Text(value_name) => (value_name, value_parser!(String)),
        Follows::Path(value_name) => (value_name, value_parser!(PathBuf)),
    };
    arg.value_name(value_name).value_parser(parser)
}

/// The option's help, followed by the variable and the default unless it contains them.
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

/// The given value of an option. None if the command does not have this option.
fn word(matches: &ArgMatches, option: &CommandOption) -> Option<OsString> {
    match option.follows {
        Follows::Nothing => {
            let given = matches.try_get_one::<bool>(id(option)).ok()??;
            given.then(|| "true".into())
        }
        Follows::Text(_) | Follows::Path(_) => {
            Some(matches.try_get_raw(id(option)).ok()??.next()?.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::commands::cli::Cli;

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
