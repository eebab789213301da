//! `qdrant-backup config show` and `config check`.

use qdrant_backup_shared::text::pretty_json;

use super::{Refusal, checks, offsite, trial};
use crate::commands::cli::CheckArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::settings::{Settings, render_settings, settings_json};

/// Prints every setting with its value and source.
pub fn show(settings: &Settings, json: bool) -> Result<Exit, Refusal> {
    let text = if json {
        pretty_json(&settings_json(settings)).map_err(Refusal::failed)?
    } else {
        render_settings(settings)
    };
    output::print(text.trim_end()).map_err(Refusal::failed)?;
    Ok(Exit::Success)
}

/// Checks everything that the next run needs: directory, disk space, schedule, server and API key. Changes nothing, except for a
/// temporary file that is removed at once. With `--trial` it also backs up the smallest collection.
pub async fn check(settings: &Settings, args: &CheckArgs, clock: Clock) -> Result<Exit, Refusal> {
    let mut all = checks::place(settings);
    all.extend(checks::trust(settings));
    all.extend(checks::hooks(settings));
    all.extend(checks::include_files(settings));
    all.extend(checks::own_disk(settings));
    all.extend([checks::schedule(settings, clock), checks::started_by(settings)]);
    all.extend(offsite::checks(settings));
    all.extend(checks::client_certificate(settings, clock));
    let server = checks::server(settings).await;
    let selected = server.selected;
    all.extend(checks::names(settings, &selected));
    all.extend(server.checks);
    all.extend(checks::same_server(settings, &selected).await);
    if args.trial && !checks::any_failed(&all) {
        all.push(trial::of_smallest(settings, &selected, None).await);
    }
    output::print(&checks::render(&all)).map_err(Refusal::failed)?;
    Ok(if checks::any_failed(&all) { Exit::Configuration } else { Exit::Success })
}
