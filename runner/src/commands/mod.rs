//! One module a command: from settings to exit code.

mod accept_source;
mod as_owner;
mod backup;
mod bad;
mod checks;
mod config;
mod drill;
mod export;
mod hold;
mod import;
mod init;
mod leftovers;
mod list;
mod orphans;
mod place;
mod prune;
mod refused;
mod restore;
mod restore_files;
mod retire;
mod run;
mod schedule;
mod scheduled;
mod setup;
mod status;
mod trial;
mod verify;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;

use qdrant_backup_shared::config_file::keys::{
    CA_FILE, CONNECT_TIMEOUT, COUNT_TIMEOUT, CREATE_TIMEOUT, LOG_FORMAT, LOG_LEVEL, REQUEST_TIMEOUT, RETRIES,
    STALL_TIMEOUT, TLS_CERT_FILE, TLS_KEY_FILE,
};
use qdrant_backup_shared::config_file::{LogFormat, LogLevel};
use qdrant_backup_shared::text::one_line;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::clock::Clock;
use crate::console::Console;
use crate::exit::Exit;
use crate::output;
use crate::qdrant::{Client, ClientOptions, Identity, TransportError};
use crate::session::Finished;
use crate::settings::{ApiKey, OtherServer, QdrantUrl, Settings};
use crate::signals::{Signal, Signals};

/// A command ended without doing what it was asked to: one line for a person, and the exit code.
#[derive(Debug)]
pub struct Refusal {
    /// How the program ends.
    pub exit: Exit,
    /// What failed, of what, why, what to do.
    pub message: String,
}

impl Refusal {
    /// A failure of the work itself.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: error.to_string() }
    }

    /// Something that must be set up differently.
    pub fn configuration(error: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Configuration, message: error.to_string() }
    }
}

/// Says why the command line is not understood, or what it asks to be told: `--help`, `--version`.
pub fn misunderstood(error: &clap::Error, arguments: &[OsString], clock: Clock) -> Exit {
    let is_json = |pair: &[OsString]| pair[0] == "--log-format" && pair[1] == "json";
    let json = arguments.windows(2).any(is_json) || arguments.iter().any(|one| one == "--log-format=json");
    if error.use_stderr() && json {
        let console = Console::new(false);
        tracing::subscriber::with_default(console.subscriber(Level::INFO, LogFormat::Json, clock), || {
            tracing::error!("{}", in_one_line(&error.to_string()));
        });
    } else if error.print().is_err() {
        return Exit::Failed;
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

/// What clap says over several lines.
fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join("; ").replace(":; ", ": ");
    one_line(text.strip_prefix("error: ").unwrap_or(&text))
}

/// Does what the command line says.
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
                if let Some(command) = cli.command.manner().writes {
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
        run(cli, &settings, environment, clock, &console).unwrap_or_else(|refusal| {
            tracing::error!("{}", one_line(&refusal.message));
            if let (Exit::Configuration, Some(command)) = (refusal.exit, cli.command.manner().writes) {
                refused::note(&settings.layout(), command, &refusal.message, clock);
            }
            refusal.exit
        })
    })
}

fn run(
    cli: &Cli,
    settings: &Settings,
    environment: &BTreeMap<OsString, OsString>,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    match &cli.command {
        Command::Init => init::init(settings, clock),
        Command::Backup(args) => block_on(backup::backup(settings, args, clock, console))?,
        Command::Run(args) => block_on(run::run(settings, args, clock, console))?,
        Command::Prune(args) => block_on(prune::prune(settings, args, clock))?,
        Command::Hold(args) => hold::hold(settings, args, clock),
        Command::Unhold(args) => hold::unhold(settings, args),
        Command::Import(args) => block_on(import::import(settings, args, clock))?,
        Command::Verify(args) => block_on(verify::verify(settings, args, clock, console))?,
        Command::Export(args) => block_on(export::export(settings, args, console))?,
        Command::Restore(args) => block_on(restore::restore(settings, args, clock, console))?,
        Command::Drill(args) => block_on(drill::drill(settings, args, clock, console))?,
        Command::List(args) => list::list(settings, args, clock),
        Command::Status(args) => status::status(settings, args, clock),
        Command::AcceptSource => block_on(accept_source::accept_source(settings, clock))?,
        Command::Setup(args) => {
            block_on(setup::setup(settings, args, cli.named_config(), environment, clock))?
        }
        Command::Schedule(args) => schedule::schedule(settings, args, clock),
        Command::Config(ConfigCommand::Show { json }) => config::show(settings, *json),
        Command::Config(ConfigCommand::Check(args)) => block_on(config::check(settings, args, clock))?,
    }
}

/// Runs a command that talks to Qdrant. The log goes wherever it goes for the calling thread.
fn block_on<F: Future>(future: F) -> Result<F::Output, Refusal> {
    let dispatcher = tracing::dispatcher::get_default(Clone::clone);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // Threads of the runtime log as this one does, for as long as they live.
            std::mem::forget(tracing::dispatcher::set_default(&dispatcher));
        })
        .build()
        .map_err(|error| Refusal::failed(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Listens for signals from here on.
pub fn listen() -> Result<Signals, Refusal> {
    Signals::listen().map_err(|error| Refusal::failed(format!("cannot listen for signals: {error}")))
}

/// The client that the settings describe.
pub fn client(settings: &Settings, interrupt: CancellationToken) -> Result<Client, Refusal> {
    let qdrant = &settings.qdrant;
    client_of(settings, &qdrant.url, qdrant.api_key.as_ref(), identity(settings), interrupt)
}

/// The certificate that Qdrant is shown.
fn identity(settings: &Settings) -> Option<Identity> {
    let (cert_file, key_file) = settings.get(&TLS_CERT_FILE).zip(settings.get(&TLS_KEY_FILE))?;
    Some(Identity { cert_file, key_file })
}

/// A client for another server, which has a key of its own and is not shown our certificate. Only where it is the same server
/// after all, the same will do.
pub fn client_for_other(
    settings: &Settings,
    other: &OtherServer,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let same = other.url.as_url() == settings.qdrant.url.as_url();
    let own = settings.qdrant.api_key.as_ref().filter(|_| same);
    let identity = identity(settings).filter(|_| same);
    client_of(settings, &other.url, other.api_key.as_ref().or(own), identity, interrupt)
}

fn client_of(
    settings: &Settings,
    url: &QdrantUrl,
    api_key: Option<&ApiKey>,
    identity: Option<Identity>,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let options = ClientOptions {
        url: url.as_url().clone(),
        basic_auth: url.basic_auth().map(|auth| (auth.user().to_owned(), auth.expose_password().into())),
        api_key: api_key.map(|key| key.expose().into()),
        ca_file: settings.get(&CA_FILE),
        identity,
        proxy: settings.qdrant.proxy.as_ref().map(proxy_url).transpose()?,
        connect_timeout: settings.get(&CONNECT_TIMEOUT),
        stall_timeout: settings.get(&STALL_TIMEOUT),
        request_timeout: settings.get(&REQUEST_TIMEOUT),
        create_timeout: settings.get(&CREATE_TIMEOUT),
        count_timeout: settings.get(&COUNT_TIMEOUT),
        retries: settings.get(&RETRIES),
    };
    Client::new(&options, interrupt).map_err(|error: TransportError| Refusal::configuration(error))
}

/// The proxy's URL with its credentials back in, which is how the HTTP library takes them.
fn proxy_url(proxy: &crate::settings::ProxyUrl) -> Result<url::Url, Refusal> {
    let mut url = proxy.as_url().clone();
    if let Some(auth) = proxy.basic_auth() {
        url.set_username(auth.user()).and_then(|()| url.set_password(Some(auth.expose_password()))).map_err(
            |()| Refusal::configuration(format!("proxy {}: cannot carry a user and a password", **proxy)),
        )?;
    }
    Ok(url)
}

/// How the program ends after a session.
///
/// # Errors
/// A success that monitoring cannot see must not pass in silence.
pub fn exit(finished: &Finished, signal: Option<Signal>) -> Result<Exit, Refusal> {
    let exit = Exit::of(&finished.report.outcome, signal);
    if exit == Exit::Success && !finished.recorded {
        return Err(Refusal::failed(
            "the work is done, but the status could not be written (see above), so monitoring does not know of it",
        ));
    }
    Ok(exit)
}

/// Prints the report of a session as JSON.
pub fn print_report(finished: &Finished) -> Result<(), Refusal> {
    let json = serde_json::to_string_pretty(&finished.report).map_err(Refusal::failed)?;
    output::print(&json).map_err(Refusal::failed)
}
