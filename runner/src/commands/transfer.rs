//! `export --points` and `import --points`: whole collections as lines of JSON.

use qdrant_backup_shared::config_file::closest;
use qdrant_backup_shared::config_file::keys::DRILL_MAX_SIZE;
use serde_json::Value;

use super::compare::{WORDS, destination, failed};
use super::scratch_server::scratch_server;
use super::{Refusal, client, client_for_other, collection, listen, repository, target};
use crate::commands::cli::{ExportArgs, ImportArgs};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::points::{
    ExportContext, ImportContext, Input, Output, SourceOptions, export_points as export,
    import_points as import,
};
use crate::qdrant::create_keys;
use crate::session::Purpose;
use crate::settings::Settings;

/// Writes all points of a backup to a file or to stdout.
pub async fn export_points(
    settings: &Settings,
    args: &ExportArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let collection = collection(&args.collection)?;
    let (scratch, on_source) = scratch_server(settings, args.on_source, WORDS, &signals.token())?;
    repository::open(settings)?;
    let mut output = Output::open(&args.output, args.force).map_err(Refusal::failed)?;
    let mut held = repository::enter(Purpose::Upkeep, settings, "export", clock, &signals).await?;
    let context = ExportContext {
        scratch: destination(settings, scratch, on_source, console),
        source: SourceOptions {
            collection: collection.clone(),
            max_size_bytes: on_source.then_some(settings.get(&DRILL_MAX_SIZE)),
            allow_version_skew: args.allow_version_skew,
            accept_failed: true,
        },
        which: args.backup,
        most_a_second: args.rate,
    };
    let exported = export(&mut held.session, &context, &mut output).await;
    let to = output.name().to_owned();
    let exported = exported.and_then(|exported| output.finish().map(|()| exported));
    let exported = exported.map_err(|error| failed("Export of points", &error, &signals))?;
    tracing::info!(
        "Exported {} points of {collection} {} to {to}, in {:.1} s",
        exported.points,
        exported.backup_id,
        exported.took.as_secs_f64()
    );
    Ok(Exit::Success)
}

/// Creates a collection from such a file.
pub async fn import_points(settings: &Settings, args: &ImportArgs) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let usage = |message: String| Refusal { exit: Exit::Usage, message };
    let ([file], Some(into)) = (args.files.as_slice(), &args.into) else {
        return Err(usage("--points needs exactly one FILE, and --into NAME".to_owned()));
    };
    if file.to_string_lossy().contains(".snapshot") {
        let text = format!("{} is a snapshot: import it without --points, then restore it", file.display());
        return Err(usage(text));
    }
    let set = args.set.iter().map(|change| setting(change)).collect::<Result<_, _>>().map_err(usage)?;
    let client = match &settings.restore_to {
        Some(other) => client_for_other(settings, other, signals.token())?,
        None => client(settings, signals.token())?,
    };
    let context = ImportContext {
        client,
        into: target("--into", into).map_err(Refusal::configuration)?,
        set,
        resume: args.resume,
    };
    let mut input =
        Input::open(file, &signals.token()).map_err(|error| failed("Import of points", &error, &signals))?;
    let imported = import(&context, &mut input).await;
    let imported = imported.map_err(|error| failed("Import of points", &error, &signals))?;
    for warning in &imported.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        "Imported {} points of {} {} into \"{}\"",
        imported.points,
        imported.header.collection,
        imported.header.backup_id,
        context.into
    );
    Ok(Exit::Success)
}

/// `key=value`; the value is JSON, otherwise text.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("--set {text}: expected KEY=VALUE, as in shard_number=6"))?;
    let first = key.split('.').next().unwrap_or(key);
    if !create_keys().any(|known| known == first) {
        let meant = closest(first, create_keys()).map(|meant| format!("did you mean {meant}?"));
        let known = || format!("known: {}", create_keys().collect::<Vec<_>>().join(", "));
        return Err(format!(
            "--set: Qdrant's create request has no {first}; {}",
            meant.unwrap_or_else(known)
        ));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}
