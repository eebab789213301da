//! `qdrant-backup offsite`: manages offsite copies.

use std::collections::BTreeSet;

use indicatif::HumanBytes;
use qdrant_backup_shared::config_file::keys::GONE_AFTER_DAYS;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::{OperationReport, PlaceReport, RunReport};
use qdrant_backup_shared::text::{number_of, one_line, pretty_json};
use qdrant_backup_shared::verification::CheckOutcome;
use qdrant_backup_shared::{FailureKind, Repository, atomic, json_file};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::checks::Check as Checked;
use super::from::{place, refusal};
use super::{Refusal, exit, listen, print_report, repository};
use crate::commands::cli::OffsiteCommand;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::output;
use crate::host::signals::Signals;
use crate::offsite::{
    Check, Listing, Offsite, OffsiteContext, OffsiteError, Restic, Work, offsite as run_offsite,
    only_repository,
};
use crate::prune::retention::Policies;
use crate::session::{Purpose, Session};
use crate::settings::{PlaceSettings, Settings};
use crate::store;
use crate::store::import::collection_of;

/// One copy, for `--json`.
#[derive(Serialize)]
struct Entry {
    place: String,
    repository_id: String,
    collection: String,
    backup_id: String,
    copied_at: chrono::DateTime<chrono::Utc>,
    manifest_snapshot: String,
    archive_snapshots: Vec<String>,
}

/// Runs the subcommand.
pub async fn offsite(
    settings: &Settings,
    command: &OffsiteCommand,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let nothing = Work { copy: false, check: Check::None, forget: false, prune: false, yes: false };
    match command {
        OffsiteCommand::Init { place } => init(settings, place, &signals),
        OffsiteCommand::List { place, json } => list(settings, place.as_deref(), *json, &signals),
        OffsiteCommand::Recover { place, repository } => {
            recover(settings, place, repository.as_deref(), clock, console, &signals).await
        }
        OffsiteCommand::Copy { place, json } => {
            let work = Work { copy: true, ..nothing };
            let name = place.as_deref();
            work_at(settings, "offsite copy", name, work, *json, clock, console, &signals).await
        }
        OffsiteCommand::Check { place, json } => {
            let work = Work { check: Check::All, ..nothing };
            work_at(settings, "offsite check", Some(place), work, *json, clock, console, &signals).await
        }
        OffsiteCommand::Prune { place, yes, json } => {
            if self::place(settings, place)?.place.append_only {
                return Err(Refusal::configuration(format!(
                    "place {place} is append-only (append_only), so nothing is deleted there"
                )));
            }
            let work = Work { forget: true, prune: true, yes: *yes, ..nothing };
            work_at(settings, "offsite prune", Some(place), work, *json, clock, console, &signals).await
        }
    }
}

/// The places of that name, or all.
fn chosen<'s>(settings: &'s Settings, name: Option<&str>) -> Result<Vec<&'s PlaceSettings>, Refusal> {
    match name {
        Some(name) => Ok(vec![place(settings, name)?]),
        None if settings.offsite.is_empty() => {
            Err(Refusal::configuration("no offsite place is configured (see docs/offsite.md)"))
        }
        None => Ok(settings.offsite.iter().collect()),
    }
}

fn init(settings: &Settings, name: &str, signals: &Signals) -> Result<Exit, Refusal> {
    let restic = Restic::new(place(settings, name)?.clone(), signals.token());
    let failed = |error: OffsiteError| Refusal {
        message: format!("place {name}: {error}"),
        ..refusal(&error, signals.received())
    };
    restic.version().map_err(failed)?;
    let shown = restic.settings().place.shown_repository();
    match restic.repository_id() {
        Ok(_) => {
            tracing::info!(
                "{shown} is already a restic repository, and the password opens it; nothing changed"
            );
            return Ok(Exit::Success);
        }
        Err(OffsiteError::NoRepository { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    restic.init().map_err(failed)?;
    tracing::info!(
        "Created the restic repository {shown} for {name}. Keep a copy of {} elsewhere: without it, nothing in the repository can be read. Next: `qdrant-backup offsite copy {name}`",
        restic.settings().place.password_file.display()
    );
    Ok(Exit::Success)
}

fn list(settings: &Settings, name: Option<&str>, json: bool, signals: &Signals) -> Result<Exit, Refusal> {
    let mut entries = Vec::new();
    let mut worst: Option<Refusal> = None;
    let places = chosen(settings, name)?;
    let count = places.len();
    for settings in places {
        let restic = Restic::new(settings.clone(), signals.token());
        let name = settings.name();
        let listed =
            restic.version().and_then(|_| restic.repository_id()).and_then(|_| Listing::read(&restic));
        match listed {
            Ok(listing) => {
                entries.extend(listing.copies.values().map(|copy| {
                    Entry {
                        place: name.to_owned(),
                        repository_id: copy.key.repository_id.clone(),
                        collection: collection_of(&copy.key.component)
                            .map_or_else(|| copy.key.component.clone(), |name| name.as_str().to_owned()),
                        backup_id: copy.key.backup_id.to_string(),
                        copied_at: copy.copied_at,
                        manifest_snapshot: copy.manifest.snapshot.clone(),
                        archive_snapshots: copy.archives.iter().map(|file| file.snapshot.clone()).collect(),
                    }
                }));
                if !listing.leftovers.is_empty() {
                    tracing::info!(
                        "{name} has {} without a copy; retention in the next run removes ours",
                        number_of(listing.leftovers.len(), "snapshot")
                    );
                }
            }
            Err(error) => {
                let refusal = refusal(&error, signals.received());
                let message = format!("place {name}: {}", refusal.message);
                if count > 1 {
                    tracing::error!("{}", one_line(&message));
                }
                worst = Some(Refusal { message, ..refusal });
            }
        }
    }
    let text = if json {
        pretty_json(&entries).map_err(Refusal::failed)?
    } else {
        let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.repository_id.as_str()).collect();
        // Ids are long; commands ask for one only if there are several.
        let several = ids.len() > 1;
        let rows = entries.iter().map(|entry| {
            let mut row = vec![
                entry.place.clone(),
                one_line(&entry.collection),
                entry.backup_id.clone(),
                output::time(entry.copied_at),
                entry.manifest_snapshot.chars().take(8).collect(),
            ];
            row.extend(several.then(|| one_line(&entry.repository_id)));
            row
        });
        let mut titles = vec!["PLACE", "COLLECTION", "BACKUP", "COPIED", "SNAPSHOT"];
        titles.extend(several.then_some("REPOSITORY"));
        output::table(&titles, &[], rows)
    };
    match worst {
        Some(refusal) if count == 1 => Err(refusal),
        other => {
            output::print(&text).map_err(Refusal::failed)?;
            Ok(if other.is_some() { Exit::Partial } else { Exit::Success })
        }
    }
}

/// The work at each place.
pub(super) fn context(
    settings: &Settings,
    places: &[&PlaceSettings],
    work: Work,
    console: &Console,
    interrupt: CancellationToken,
) -> OffsiteContext {
    let of = |place: &&PlaceSettings| Offsite {
        restic: Restic::new((*place).clone(), interrupt.clone()),
        policies: Policies::of_place(place.place.retention.as_ref(), settings),
        gone_after_days: settings.get(&GONE_AFTER_DAYS).filter(|_| place.place.retention.is_none()),
    };
    OffsiteContext {
        places: places.iter().map(of).collect(),
        configured: settings.offsite.iter().map(|place| place.name().to_owned()).collect(),
        work,
        console: console.clone(),
        interrupt,
    }
}

#[expect(clippy::too_many_arguments, reason = "the whole of a command")]
async fn work_at(
    settings: &Settings,
    command: &'static str,
    name: Option<&str>,
    work: Work,
    json: bool,
    clock: Clock,
    console: &Console,
    signals: &Signals,
) -> Result<Exit, Refusal> {
    let places = chosen(settings, name)?;
    let context = context(settings, &places, work, console, signals.token());
    let mut held = repository::enter(Purpose::Run, settings, command, clock, signals).await?;
    run_offsite(&mut held.session, &context);
    let finished = held.session.finish();
    if json {
        print_report(&finished)?;
    }
    summarize(&finished.report);
    let exit = exit(&finished, signals.received())?;
    Ok(sharpened(exit, &finished.report))
}

/// Damage has its own exit code. If a single place cannot be used, the exit code shows the reason.
pub(super) fn sharpened(exit: Exit, report: &RunReport) -> Exit {
    if matches!(exit, Exit::Interrupted(_) | Exit::Success) {
        return exit;
    }
    if any_damaged(report) {
        return Exit::VerificationFailed;
    }
    let places: Vec<&PlaceReport> =
        report.operations.iter().flat_map(|operation| &operation.places).collect();
    let [place] = places.as_slice() else { return exit };
    match place.failure.as_ref().map(|failure| &failure.kind) {
        Some(FailureKind::OffsiteUnusable | FailureKind::Unauthorized) => Exit::Configuration,
        Some(FailureKind::Locked) => Exit::Locked,
        Some(_) | None => exit,
    }
}

/// Whether a place, or a backup to copy, was found damaged.
pub(super) fn any_damaged(report: &RunReport) -> bool {
    let mut places = report.operations.iter().flat_map(|operation| &operation.places);
    places.any(|place| {
        place.checked == Some(CheckOutcome::Failed)
            || place.all_failures().any(|failure| {
                matches!(failure.kind, FailureKind::OffsiteDamaged | FailureKind::ArchiveCorrupt)
            })
    })
}

/// Logs the outcome for each place in one line.
pub(super) fn summarize(report: &RunReport) {
    for operation in report.operations.iter().filter(|part| part.operation == Operation::Offsite) {
        summarize_operation(operation);
    }
}

pub(super) fn summarize_operation(operation: &OperationReport) {
    if let Some(failure) = &operation.failure {
        tracing::error!("Copying {}: {}", operation.outcome, failure.message);
    }
    for place in &operation.places {
        let mut parts = Vec::new();
        if !place.copied.is_empty() {
            parts.push(format!(
                "{} copied, {} of new data",
                number_of(place.copied.len(), "backup"),
                HumanBytes(place.added_bytes())
            ));
        }
        if let Some(checked) = &place.checked {
            parts.push(format!("check {checked}"));
        }
        if !place.forgotten.is_empty() {
            parts.push(match place.forgotten.len() {
                1 => "1 copy deleted".to_owned(),
                number => format!("{number} copies deleted"),
            });
        }
        if place.pruned {
            parts.push("pruned".to_owned());
        }
        let is_success = place.outcome == Outcome::Success;
        if parts.is_empty() && is_success {
            parts.push("nothing to do".to_owned());
        }
        let time = format!("in {:.1} s", place.duration_seconds);
        parts.push(time);
        let done = parts.join(", ");
        if is_success {
            tracing::info!("Place {}: {done}", place.place);
        } else {
            let why: Vec<&str> =
                place.all_failures().take(3).map(|failure| failure.message.as_str()).collect();
            let why = one_line(&why.join("; "));
            tracing::error!("Place {} {}, {done}: {why}", place.place, place.outcome);
        }
    }
}

/// Rebuilds the backup directory, with the manifests of the copies.
///
/// # Crash safety
/// A killed recovery can be repeated: existing files are kept.
async fn recover(
    settings: &Settings,
    name: &str,
    wanted: Option<&str>,
    clock: Clock,
    console: &Console,
    signals: &Signals,
) -> Result<Exit, Refusal> {
    let place = place(settings, name)?;
    let restic = Restic::new(place.clone(), signals.token());
    let failed = |error: OffsiteError| Refusal {
        message: format!("place {name}: {error}"),
        ..refusal(&error, signals.received())
    };
    restic.version().map_err(failed)?;
    restic.repository_id().map_err(failed)?;
    let listing = Listing::read(&restic).map_err(failed)?;
    let id = match wanted {
        Some(id) if listing.of_repository(id).next().is_some() => id.to_owned(),
        Some(id) => {
            let shown = qdrant_backup_shared::text::shortened(id, 60);
            return Err(Refusal::failed(format!("{name} has no copy of a backup directory {shown}")));
        }
        None => only_repository(name, &listing).map_err(failed)?,
    };
    let layout = repository::layout(settings);
    if !layout.root().exists() {
        atomic::create_directory(layout.root()).map_err(|error| {
            Refusal::configuration(format!(
                "backup directory {}: cannot be created: {error}; create its parent directory first",
                layout.root().display()
            ))
        })?;
    }
    repository::check_directory(settings)?;
    repository::make_state_directory(&layout)?;
    let file = layout.repository_file();
    match json_file::read::<Repository>(&file) {
        Ok(repository) if repository.repository_id == id => {}
        Ok(repository) => {
            return Err(Refusal::configuration(format!(
                "{} is a different repository ({}) from the one that {name} has copies of ({id}); recover into a new directory",
                layout.root().display(),
                repository.repository_id
            )));
        }
        Err(error) if error.is_not_found() => {
            json_file::write_new(&file, &Repository::new(id.clone(), clock.now())).map_err(|error| {
                Refusal::failed(format!("{}: cannot be written: {error}", file.display()))
            })?;
        }
        Err(error) => return Err(Refusal::configuration(error)),
    }
    let nothing = Work { copy: false, check: Check::None, forget: false, prune: false, yes: false };
    let context = context(settings, &[place], nothing, console, signals.token());
    let mut held = repository::enter(Purpose::Run, settings, "offsite recover", clock, signals).await?;
    let count = listing.of_repository(&id).count();
    tracing::info!("Reading the manifests of {count} copies in {name}, each with one call of restic");
    run_offsite(&mut held.session, &context);
    let known = offsite_only(&held.session);
    let finished = held.session.finish();
    let exit = exit(&finished, signals.received())?;
    if exit != Exit::Success {
        summarize(&finished.report);
    } else {
        tracing::info!(
            "{} now lists {known} backups that exist only in {name}; next: if the server is lost too, `qdrant-backup restore --all --from {name}`; then `qdrant-backup run` to make new ones",
            layout.root().display()
        );
    }
    Ok(sharpened(exit, &finished.report))
}

fn offsite_only(session: &Session) -> usize {
    session.catalog().collections.values().flatten().filter(|backup| backup.is_offsite_only()).count()
}

/// Checks each place: the program, the repository, the password, and the free space if it is a local directory.
pub(super) fn checks(settings: &Settings) -> Vec<Checked> {
    let mut all = Vec::new();
    for place in &settings.offsite {
        let name = place.name();
        let restic = Restic::new(place.clone(), CancellationToken::new());
        let tried = restic.version().and_then(|version| restic.repository_id().map(|id| (version, id)));
        let text = tried.map(|(version, id)| {
            let id: String = id.chars().take(10).collect();
            format!("{name}: restic {version} opens {} ({id})", place.place.shown_repository())
        });
        all.push(Checked::of("offsite", text.map_err(|error| format!("{name}: {error}"))));
        all.extend(room(place));
    }
    all
}

/// Free space of a repository in a local directory.
fn room(settings: &PlaceSettings) -> Option<Checked> {
    let path = std::path::Path::new(settings.place.repository.expose());
    if !path.is_absolute() || !path.is_dir() {
        return None;
    }
    let name = settings.name();
    let bytes = store::available_bytes(path).ok()??;
    let free = format!("{name}: {} free", HumanBytes(bytes));
    if bytes < store::RESERVE_BYTES {
        return Some(Checked::of("offsite", Err::<String, _>(format!("{free}: free some space"))));
    }
    if settings.place.append_only {
        return Some(Checked::doubtful(
            "offsite",
            format!("{free}; nothing is ever deleted there (append_only)"),
        ));
    }
    Some(Checked::of("offsite", Ok::<_, String>(free)))
}
