//! From the command line to a running server, and to its end.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::config_file::DEFAULT_FILES;
use qdrant_backup_shared::text::of_parser;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::build_info;
use crate::cli::{Cli, Directories};
use crate::log;
use crate::observe::Observer;
use crate::once::{check_output, once};
use crate::stop::Stop;
use crate::web::{Live, Server, check_telemetry_path, listen};

/// Prints the error of an invalid command line, or the requested `--help`.
pub(crate) fn misunderstood(
    error: &clap::Error,
    arguments: &[OsString],
    clock: fn() -> DateTime<Utc>,
) -> ExitCode {
    let arguments = arguments.join(OsStr::new("=")).to_string_lossy().into_owned();
    let json = arguments.contains("--log.format=json");
    if error.use_stderr() && json {
        let subscriber = log::subscriber(tracing::Level::INFO, log::Format::Json, clock);
        tracing::subscriber::with_default(subscriber, || error!("{}", of_parser(&error.to_string())));
    } else if let Err(failed) = error.print() {
        return not_printed(&failed, if json { log::Format::Json } else { log::Format::Logfmt }, clock);
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// The end of a program that could not print.
fn not_printed(error: &io::Error, format: log::Format, clock: fn() -> DateTime<Utc>) -> ExitCode {
    let subscriber = log::subscriber(tracing::Level::INFO, format, clock);
    if error.kind() != io::ErrorKind::BrokenPipe {
        tracing::subscriber::with_default(subscriber, || {
            error!("standard output cannot be written: {error}");
        });
    }
    ExitCode::FAILURE
}

/// Runs what the command line requests.
pub(crate) fn start(
    cli: &Cli,
    environment: &BTreeMap<OsString, OsString>,
    clock: fn() -> DateTime<Utc>,
) -> ExitCode {
    if cli.version {
        let printed = io::stdout().write_all(build_info::version_text().as_bytes());
        return match printed.and_then(|()| io::stdout().flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failed) => not_printed(&failed, cli.log_format, clock),
        };
    }
    let subscriber = log::subscriber(cli.log_level, cli.log_format, clock);
    log::tell_of_panics();
    // No other code sets a subscriber, so this cannot fail.
    tracing::subscriber::set_global_default(subscriber).unwrap_or(());
    run(cli, environment, clock).unwrap_or_else(|error| {
        for line in error.to_string().lines() {
            error!("{line}");
        }
        ExitCode::from(error.exit_code())
    })
}

fn run(
    cli: &Cli,
    environment: &BTreeMap<OsString, OsString>,
    clock: fn() -> DateTime<Utc>,
) -> Result<ExitCode, Stop> {
    let directories = Directories::find(cli, environment, &DEFAULT_FILES)?;
    let observer = Observer::new(&directories.backup, &directories.state);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Three parts of an observation and the web configuration, which may hang, plus a password and the
        // renderings.
        .max_blocking_threads(8)
        .enable_all()
        .build()?;
    if cli.once {
        let up = runtime.block_on(async {
            if let Some(output) = &cli.output {
                check_output(output, [&directories.backup, &directories.state]).await?;
            }
            once(&observer, clock(), cli.output.as_deref(), &mut io::stdout()).await
        });
        // Does not wait for an observation that hangs.
        runtime.shutdown_background();
        return Ok(if up? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    check_telemetry_path(&cli.telemetry_path)?;
    let live = Live::open(cli.web_config_file.as_deref())?;
    greet(&directories);
    let result = runtime.block_on(serve(cli, live, observer, clock));
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

fn greet(directories: &Directories) {
    info!(
        version = format!("(version={}, branch=, revision={})", build_info::VERSION, build_info::REVISION),
        "Starting qdrant-backup-exporter"
    );
    info!(
        build_context = format!("(rust={}, platform={})", build_info::RUST_VERSION, build_info::TARGET),
        "Build context"
    );
    info!(
        backup_dir = %directories.backup.display(),
        state_dir = %directories.state.display(),
        "Looking at"
    );
    for warning in &directories.warnings {
        warn!("{warning}");
    }
}

async fn serve(cli: &Cli, live: Live, observer: Observer, clock: fn() -> DateTime<Utc>) -> Result<(), Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut listeners = Vec::new();
    for address in &cli.listen_addresses {
        let listener = listen(address).await?;
        info!(address = %listener.local_addr()?, "Listening on");
        listeners.push(listener);
    }
    let tls = if live.has_tls() { "TLS is enabled." } else { "TLS is disabled." };
    match &cli.web_config_file {
        Some(path) => info!(file = %path.display(), "{tls}"),
        None => info!("{tls}"),
    }
    let server = Server::new(live, cli.telemetry_path.clone(), cli.max_requests, observer, clock);
    tell_systemd(NotifyState::Ready);
    let stop = async {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "Stopping; current requests are finished first");
        tell_systemd(NotifyState::Stopping);
    };
    if server.run(listeners, stop).await {
        info!("Stopped");
    } else {
        warn!("Stopped before every request was answered");
    }
    Ok(())
}

/// Does nothing if systemd is not listening.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(err = %error, "Unable to notify systemd");
    }
}
