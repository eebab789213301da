//! Runs the command of the command line, and returns its exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;

use qdrant_backup_shared::config_file::keys::{LOG_FORMAT, LOG_LEVEL};
use qdrant_backup_shared::config_file::{LogFormat, LogLevel};
use qdrant_backup_shared::text::{of_parser, one_line};
use tracing::Level;

use super::refusal::Refusal;
use super::{
    accept_source, as_owner, backup, compare, config, drill, export, hold, import, list, named, offsite,
    prune, refused, restore, run, schedule, setup, status, transfer, verify,
};
use crate::commands::cli::{Cli, Command, ConfigCommand};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::output;
use crate::settings::Settings;

/// Prints why the command line is invalid, or the output of `--help` or `--version`.
pub fn misunderstood(error: &clap::Error, arguments: &[OsString], clock: Clock) -> Exit {
    let is_json = |pair: &[OsString]| pair[0] == "--log-format" && pair[1] == "json";
    let json = arguments.windows(2).any(is_json) || arguments.iter().any(|one| one == "--log-format=json");
    let console = Console::new(false);
    let format = if json { LogFormat::Json } else { LogFormat::Text };
    tracing::subscriber::with_default(console.subscriber(Level::INFO, format, clock), || {
        if error.use_stderr() && json {
            tracing::error!("{}", of_parser(&error.to_string()));
        } else if let Err(failed) = error.print() {
            if failed.kind() != std::io::ErrorKind::BrokenPipe {
                tracing::error!("{}", output::full(&failed));
            }
            return Exit::Failed;
        }
        if error.use_stderr() { Exit::Usage } else { Exit::Success }
    })
}

/// Runs the command.
pub fn dispatch(cli: &Cli, environment: &BTreeMap<OsString, OsString>, clock: Clock) -> Exit {
    let settings = Settings::load(&cli.opts(), environment);
    let level = settings.as_ref().map_or(Level::INFO, |settings| match settings.get(&LOG_LEVEL) {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    });
    let level = if cli.global.quiet { level.min(Level::WARN) } else { level };
    let format =
        settings.as_ref().map_or_else(|error| error.log_format, |settings| settings.get(&LOG_FORMAT));
    let console = Console::new(std::io::stderr().is_terminal() && !cli.global.quiet);
    tracing::subscriber::with_default(console.subscriber(level, format, clock), || {
        let settings = match settings {
            Ok(settings) => settings,
            Err(error) => {
                for problem in &error.problems {
                    tracing::error!("{problem}");
                }
                if let Some(command) = cli.command.manner().scheduled {
                    refused::note(&error.layout, command, &error.problems.join("; "), clock);
                }
                return Exit::Configuration;
            }
        };
        if let Err(refusal) = as_owner::go_on_as_owner(&cli.command, &settings) {
            tracing::error!("{}", one_line(&refusal.message));
            return refusal.exit;
        }
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        if let Err(refusal) = named::check(&cli.command, &settings) {
            tracing::error!("{}", one_line(&refusal.message));
            return refusal.exit;
        }
        execute(cli, &settings, environment, clock, &console).unwrap_or_else(|refusal| {
            tracing::error!("{}", one_line(&refusal.message));
            if let (Exit::Configuration, Some(command)) = (refusal.exit, cli.command.manner().scheduled) {
                refused::note(&settings.layout(), command, &refusal.message, clock);
            }
            refusal.exit
        })
    })
}

fn execute(
    cli: &Cli,
    settings: &Settings,
    environment: &BTreeMap<OsString, OsString>,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    match &cli.command {
        Command::Init => setup::init_and_give(settings, clock),
        Command::Backup(args) => block_on(backup::backup(settings, args, clock, console))?,
        Command::Run(args) => block_on(run::run(settings, args, clock, console))?,
        Command::Prune(args) => block_on(prune::prune(settings, args, clock))?,
        Command::Hold(args) => hold::hold(settings, args, clock),
        Command::Unhold(args) => hold::unhold(settings, args),
        Command::Import(args) if args.points => block_on(transfer::import_points(settings, args))?,
        Command::Import(args) => block_on(import::import(settings, args, clock))?,
        Command::Verify(args) => block_on(verify::verify(settings, args, clock, console))?,
        Command::Export(args) if args.points => {
            block_on(transfer::export_points(settings, args, clock, console))?
        }
        Command::Export(args) => block_on(export::export(settings, args, clock, console))?,
        Command::Restore(args) => block_on(restore::restore(settings, args, clock, console))?,
        Command::Compare(args) => block_on(compare::compare(settings, args, clock, console))?,
        Command::Drill(args) => block_on(drill::drill(settings, args, clock, console))?,
        Command::List(args) => list::list(settings, args, clock),
        Command::Status(args) => status::status(settings, args, clock),
        Command::Offsite(command) => block_on(offsite::offsite(settings, command, clock, console))?,
        Command::AcceptSource => block_on(accept_source::accept_source(settings, clock))?,
        Command::Setup(args) => {
            block_on(setup::setup(settings, args, cli.named_config(), environment, clock))?
        }
        Command::Schedule(args) => schedule::schedule(settings, args, clock),
        Command::Config(ConfigCommand::Show { json }) => config::show(settings, *json),
        Command::Config(ConfigCommand::Check(args)) => block_on(config::check(settings, args, clock))?,
    }
}

/// Runs a command that connects to Qdrant. Uses the log of the calling thread.
fn block_on<F: Future>(future: F) -> Result<F::Output, Refusal> {
    let dispatcher = tracing::dispatcher::get_default(Clone::clone);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // Threads of the runtime use the log of this thread.
            std::mem::forget(tracing::dispatcher::set_default(&dispatcher));
        })
        .build()
        .map_err(|error| Refusal::failed(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(future))
}
