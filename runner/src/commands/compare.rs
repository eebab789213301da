//! `qdrant-backup compare`.

use qdrant_backup_shared::config_file::keys::{DRILL_MAX_SIZE, SETTLE_TIMEOUT};
use qdrant_backup_shared::text::pretty_json;

use super::scratch_server::{For, scratch_server};
use super::{Refusal, client, collection, listen, repository};
use crate::commands::cli::CompareArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::output;
use crate::host::signals::Signals;
use crate::points::{self, CompareContext, Output, Outputs, PointsError, SourceOptions};
use crate::restore::Destination;
use crate::session::Purpose;
use crate::settings::Settings;

/// Purpose of the scratch server, for messages.
pub const WORDS: For =
    For { lacking: "no server for a temporary restore of the backup", doing: "restore it to" };

/// Compares, and prints the result.
pub async fn compare(
    settings: &Settings,
    args: &CompareArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let collection = collection(&args.collection)?;
    let (scratch, on_source) = scratch_server(settings, args.scratch.on_source, WORDS, &signals.token())?;
    let live = client(settings, signals.token())?;
    repository::open(settings)?;
    let open = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| Output::open(path, false)).transpose().map_err(Refusal::failed)
    };
    let mut outputs = Outputs { ids: open(&args.ids)?, points: open(&args.points)? };
    let mut held = repository::enter(Purpose::Upkeep, settings, "compare", clock, &signals).await?;
    let context = CompareContext {
        scratch: destination(settings, scratch, on_source, console),
        live,
        source: SourceOptions {
            collection,
            max_size_bytes: on_source.then_some(settings.get(&DRILL_MAX_SIZE)),
            allow_version_skew: args.allow_version_skew,
            accept_failed: true,
        },
        which: args.which(),
        with: args.with,
        most_a_second: args.scratch.rate,
    };
    let compared = points::compare(&mut held.session, &context, &mut outputs).await;
    let compared = compared.and_then(|compared| outputs.finish().map(|()| compared));
    let compared = compared.map_err(|error| failed("Comparison", &error, &signals))?;
    if args.json {
        let text = pretty_json(&compared.json()).map_err(Refusal::failed)?;
        output::print(&text).map_err(Refusal::failed)?;
    } else {
        output::print(&compared.text()).map_err(Refusal::failed)?;
    }
    let walked = compared.tally.points_seen();
    let seconds = compared.walked_for.as_secs_f64();
    let is_equal = compared.tally.is_equal();
    let found = if is_equal { "they are equal" } else { "they differ" };
    let doubt = if is_equal || args.with.is_some() {
        ""
    } else {
        "; points written during the comparison may count as differences"
    };
    tracing::info!("Compared {walked} points in {seconds:.1} s: {found}{doubt}");
    Ok(if is_equal { Exit::Success } else { Exit::Different })
}

/// The server for the temporary restore.
pub fn destination(
    settings: &Settings,
    client: crate::qdrant::Client,
    on_source: bool,
    console: &Console,
) -> Destination {
    Destination {
        client,
        nodes: if on_source { settings.qdrant.nodes.clone() } else { Vec::new() },
        console: console.clone(),
        settle_timeout: settings.get(&SETTLE_TIMEOUT),
    }
}

/// Exit code of a failed operation on points.
pub fn failed(what: &str, error: &PointsError, signals: &Signals) -> Refusal {
    let interrupted = signals.received().filter(|_| error.is_interrupted());
    let exit = interrupted.map_or(Exit::Failed, Exit::Interrupted);
    Refusal { exit, message: format!("{what} failed: {error}") }
}
