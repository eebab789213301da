//! `qdrant-backup status`: whether there are good backups, as text and as an exit code.

use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, CLOCKS, Catalog, Condition};
use qdrant_backup_shared::config_file::keys::INCLUDE_FILES;
use qdrant_backup_shared::json_file::ReadError;
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::{OperationReport, RunReport};
use qdrant_backup_shared::status::{CollectionStatus, CurrentRun, OperationStatus, Status};
use qdrant_backup_shared::status_journal::OF_THIS_DIRECTORY;
use qdrant_backup_shared::text::{one_line, pretty_json};
use qdrant_backup_shared::{CollectionName, Failure, Layout, json_file};
use serde::Serialize;

use super::status_places::places;
use super::{Refusal, repository};
use crate::choice::Present;
use crate::commands::cli::StatusArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::session::status_store;
use crate::settings::Settings;
use crate::store::lock::stranger;
use crate::store::lock_processes::{self, LockProcess};

/// The state of a collection's newest good backup.
#[derive(Serialize)]
struct Judged {
    collection: CollectionName,
    on_server: Option<bool>,
    /// Whether backups of it are expected: it is selected, and not known to be gone.
    expected: bool,
    newest_backup_id: Option<String>,
    started_at: Option<DateTime<Utc>>,
    age_seconds: Option<f64>,
    points: Option<u64>,
    stored_size_bytes: Option<u64>,
    too_old: Option<bool>,
    /// It is dated in the future because a clock was wrong, so its age is unknown.
    in_future: bool,
    /// A good backup dated in the future that is ignored, because another one was made since.
    passed_over: Option<String>,
    /// The deepest level at which the newest good backup has passed.
    verified: Option<String>,
    /// Problem of a backup that is newer than the newest good one.
    newer_is_bad: Option<String>,
    last_failure: Option<String>,
    /// It was retired, so that no new backup is expected.
    #[serde(skip)]
    retired: bool,
}

/// The whole answer, for `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    verdict: &'a str,
    /// The last refused command, if no backup has started since.
    last_refused: Option<&'a LastRefused>,
    schedule_interval_seconds: Option<f64>,
    collections: &'a [Judged],
    /// The holder of the lock, if visible.
    lock: &'a [LockProcess],
    status: Option<&'a Status>,
}

/// Shows the state of the backups. Takes no lock.
pub fn status(settings: &Settings, args: &StatusArgs, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(settings);
    repository::open(settings)?;
    let catalog = repository::catalog(&layout)?;
    let status = status_store::look(&layout).map_err(|error| {
        if matches!(&error, ReadError::Malformed { what, .. } if *what == OF_THIS_DIRECTORY) {
            Refusal::failed(error)
        } else {
            Refusal::failed(format!("{error}; the next `qdrant-backup backup` repairs it"))
        }
    })?;
    let now = clock.now();
    let interval = settings.schedule.as_ref().map(|schedule| schedule.longest_gap(now));
    let judged = judge(&catalog, status.as_ref(), settings, interval, now);
    let verdict = verdict(&judged, status.as_ref(), interval);
    let lock = lock_processes::of(&layout.lock_file());
    let refused = refused_since(&layout, status.as_ref());
    let text = if args.json {
        let answer = Answer {
            verdict: &verdict,
            last_refused: refused.as_ref(),
            schedule_interval_seconds: interval.map(|interval| interval.as_secs_f64()),
            collections: &judged,
            lock: &lock,
            status: status.as_ref(),
        };
        pretty_json(&answer).map_err(Refusal::failed)?
    } else {
        let refusal = refused.as_ref().map(|refused| refusal(refused, now)).unwrap_or_default();
        let shown = Shown { catalog: &catalog, interval, lock: &lock, now };
        render(&format!("{verdict}{refusal}"), &judged, status.as_ref(), &shown)
    };
    output::print(&text).map_err(Refusal::failed)?;
    let never = judged.is_empty() && !had_nothing_to_do(status.as_ref());
    let too_old = judged.iter().any(|collection| collection.too_old == Some(true) || collection.in_future);
    Ok(if too_old || never { Exit::TooOld } else { Exit::Success })
}

/// The last refused command, unless a backup has started since. If the file cannot be read, the exporter reports it.
fn refused_since(layout: &Layout, status: Option<&Status>) -> Option<LastRefused> {
    let refused: LastRefused = json_file::read(&layout.last_refused_file()).ok()?;
    let backup = status.and_then(|status| status.operations.get(&Operation::Backup));
    let begun = backup.and_then(|backup| backup.last_attempt_at);
    begun.is_none_or(|begun| begun < refused.refused_at).then_some(refused)
}

fn refusal(refused: &LastRefused, now: DateTime<Utc>) -> String {
    format!(
        "\nNOT STARTED: `{}` was refused {} ago ({}), and no backup has started since: {}",
        one_line(&refused.command),
        output::age(refused.refused_at, now),
        output::time(refused.refused_at),
        one_line(&refused.reason)
    )
}

fn judge(
    catalog: &Catalog,
    status: Option<&Status>,
    settings: &Settings,
    interval: Option<Duration>,
    now: DateTime<Utc>,
) -> Vec<Judged> {
    let mut names: Vec<&CollectionName> = catalog
        .collections
        .keys()
        .chain(status.iter().flat_map(|status| status.collections.keys()))
        .collect();
    names.sort();
    names.dedup();
    let present = Present { status, now };
    names
        .into_iter()
        .map(|name| {
            let history = status.and_then(|status| status.collections.get(name));
            let backups = catalog.collections.get(name).map(Vec::as_slice).unwrap_or_default();
            let newest_good = present.newest(backups.iter().rev().filter(|backup| backup.is_good()));
            let retired = status.is_some_and(|status| status.retired_collections.contains(name));
            let on_server = if retired { Some(false) } else { history.and_then(|history| history.on_server) };
            let selected = if name.is_files() {
                !settings.get(&INCLUDE_FILES).is_empty()
            } else {
                settings.selection.selects(name.as_str())
            };
            let expected = on_server != Some(false) && selected;
            let age = newest_good.map(|backup| now - backup.started_at);
            // A negative age is caused by a wrong clock, and is neither recent nor old.
            let in_future = age.is_some_and(|age| age < -CLOCKS);
            let too_old = match (age, interval) {
                _ if !expected => None,
                (None, _) => Some(true),
                (Some(_), None) => None,
                (Some(_), Some(_)) if in_future => None,
                (Some(age), Some(interval)) => Some(age.to_std().is_ok_and(|age| age > 2 * interval)),
            };
            Judged {
                collection: name.clone(),
                on_server,
                expected,
                newest_backup_id: newest_good.map(|backup| backup.backup_id.to_string()),
                started_at: newest_good.map(|backup| backup.started_at),
                age_seconds: age.map(|age| age.as_seconds_f64()),
                points: newest_good.and_then(Backup::points_count),
                stored_size_bytes: newest_good.map(Backup::stored_size_bytes),
                too_old,
                in_future: in_future && expected,
                passed_over: passed_over(catalog.collections.get(name), newest_good),
                verified: newest_good.and_then(Backup::deepest_pass).map(|(level, _)| level.to_string()),
                newer_is_bad: catalog.collections.get(name).and_then(|backups| {
                    let newest = backups.last()?;
                    missing(newest, history).or_else(|| bad(newest))
                }),
                last_failure: history
                    .and_then(|history| history.failure.as_ref())
                    .map(|failure| failure.message.clone()),
                retired,
            }
        })
        .collect()
}

/// The last good backup, if it is not the one that counts as the newest.
fn passed_over(backups: Option<&Vec<Backup>>, newest: Option<&Backup>) -> Option<String> {
    let last = backups?.iter().rev().find(|backup| backup.is_good())?.backup_id;
    newest.filter(|newest| newest.backup_id != last).map(|_| last.to_string())
}

/// The backup operation of a run, if it had one.
fn backup_of(run: &RunReport) -> Option<&OperationReport> {
    run.operations.iter().find(|report| report.operation == Operation::Backup)
}

/// Whether the last run of backups succeeded without a collection.
fn had_nothing_to_do(status: Option<&Status>) -> bool {
    let backup = status.and_then(|status| backup_of(status.last_run.as_ref()?));
    backup.is_some_and(|backup| backup.outcome == Outcome::Success && backup.collections.is_empty())
}

/// The problem if a backup was made after the newest existing one.
fn missing(newest: &Backup, history: Option<&CollectionStatus>) -> Option<String> {
    let made = history?.last_backup_id.filter(|made| *made > newest.backup_id)?;
    Some(format!("newest backup {made} is MISSING"))
}

/// The known problem of a collection's newest backup, if any.
fn bad(newest: &Backup) -> Option<String> {
    let id = newest.backup_id;
    match newest.condition() {
        Condition::Good => None,
        Condition::OffsiteOnly => Some(format!("newest backup {id} is ONLY OFFSITE")),
        Condition::Incomplete => Some(format!("newest backup {id} is INCOMPLETE")),
        Condition::Failed => Some(format!("newest backup {id} has FAILED verification")),
        Condition::Unknown => {
            let why = newest.remarks().unknown.as_deref().unwrap_or_default();
            Some(format!("newest backup {id} is NOT KNOWN to be good: {}", one_line(why)))
        }
    }
}

/// The first line: whether everything is backed up.
fn verdict(judged: &[Judged], status: Option<&Status>, interval: Option<Duration>) -> String {
    if judged.is_empty() {
        return match status {
            None => "NO BACKUP: no backup was ever made here".to_owned(),
            Some(_) if had_nothing_to_do(status) => {
                "Nothing to back up: the server had no collections".to_owned()
            }
            Some(_) => "NO BACKUP: backups were run, but there is no good one".to_owned(),
        };
    }
    let bad: Vec<&Judged> = judged.iter().filter(|collection| collection.too_old == Some(true)).collect();
    if !bad.is_empty() {
        let names = |has_one: bool| {
            let those = bad.iter().filter(|collection| collection.newest_backup_id.is_some() == has_one);
            those.map(|collection| collection.collection.to_string()).collect::<Vec<_>>().join(", ")
        };
        let parts = [("NO GOOD BACKUP", names(false)), ("BACKUP TOO OLD", names(true))];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        return parts.map(|(what, names)| format!("{what}: {names}")).collect::<Vec<_>>().join("; ");
    }
    let undated: Vec<String> = judged
        .iter()
        .filter(|collection| collection.in_future)
        .map(|collection| collection.collection.to_string())
        .collect();
    if !undated.is_empty() {
        return format!(
            "AGE UNKNOWN: the newest backup is dated in the future, because a clock is or was wrong; correct the clock, then `qdrant-backup run`: {}",
            undated.join(", ")
        );
    }
    let expected: Vec<&Judged> = judged.iter().filter(|collection| collection.expected).collect();
    let oldest = expected.iter().filter_map(|collection| collection.age_seconds).fold(0.0, f64::max);
    let oldest = output::span(Duration::try_from_secs_f64(oldest).unwrap_or_default());
    let unjudged = if interval.is_none() {
        "; no schedule is configured, so it is unknown whether that is too old"
    } else {
        ""
    };
    let changed = if status.is_some_and(|status| status.source_changed) {
        "; THE SERVER HAS CHANGED, see the warnings"
    } else {
        ""
    };
    let number = expected.len();
    if number == 0 {
        return format!("No backups are expected: no collection here is selected and on the server{changed}");
    }
    format!("Every collection ({number}) has a good backup no older than {oldest}{unjudged}{changed}")
}

/// What the text shows besides the verdict and the status.
struct Shown<'a> {
    catalog: &'a Catalog,
    interval: Option<Duration>,
    lock: &'a [LockProcess],
    now: DateTime<Utc>,
}

fn render(verdict: &str, judged: &[Judged], status: Option<&Status>, shown: &Shown<'_>) -> String {
    let Shown { lock, now, .. } = *shown;
    let mut text = format!("{verdict}\n");
    if !judged.is_empty() {
        let rows = judged.iter().map(|collection| {
            vec![
                collection.collection.to_string(),
                collection.newest_backup_id.clone().unwrap_or_else(|| "none".to_owned()),
                collection.started_at.map_or_else(String::new, |at| output::age(at, now)),
                collection.points.map_or_else(String::new, |points| points.to_string()),
                collection.stored_size_bytes.map_or_else(String::new, |bytes| HumanBytes(bytes).to_string()),
                note(collection),
            ]
        });
        let header = ["COLLECTION", "NEWEST GOOD BACKUP", "AGE", "POINTS", "STORED", "NOTE"];
        text.push_str(&format!("\n{}\n", output::table(&header, &[3, 4], rows)));
    }
    for process in lock.iter().filter(|process| !process.is_ours()) {
        text.push_str(&format!("\nLOCKED: {}\n", stranger(process)));
    }
    if let Some(status) = status {
        text.push_str(&runs(status, shown));
    }
    text.trim_end().to_owned()
}

fn note(collection: &Judged) -> String {
    let mut notes = Vec::new();
    if collection.too_old == Some(true) && collection.newest_backup_id.is_some() {
        notes.push("TOO OLD".to_owned());
    }
    if collection.in_future {
        notes.push("DATED IN THE FUTURE, age unknown".to_owned());
    }
    if let Some(id) = &collection.passed_over {
        notes.push(format!("{id} is dated in the future and ignored"));
    }
    if let Some(bad) = &collection.newer_is_bad {
        notes.push(bad.clone());
    }
    if collection.newest_backup_id.is_some() && collection.verified.is_none() {
        notes.push("never verified".to_owned());
    }
    if collection.retired {
        notes.push("retired".to_owned());
    } else if collection.on_server == Some(false) {
        notes.push("gone from the server".to_owned());
    } else if !collection.expected {
        notes.push("not selected for backup".to_owned());
    }
    if let Some(failure) = &collection.last_failure {
        notes.push(format!("last attempt failed: {}", one_line(failure)));
    }
    notes.join("; ")
}

/// The line with the last failure of an operation, if any.
fn why(operation: &OperationStatus) -> String {
    let line = |failure: &Failure| format!("  {}: {}\n", failure.kind, one_line(&failure.message));
    operation.failure.as_ref().map(line).unwrap_or_default()
}

/// The current run, or the one that died. Only the lock tells which. Where it cannot be seen, this is unknown.
fn current(status: &Status, current: &CurrentRun, lock: &[LockProcess], now: DateTime<Utc>) -> String {
    let (command, since) = (&current.command, output::time(current.started_at));
    let sees_locks = status.hostname == repository::hostname() && lock_processes::are_visible();
    let what = match lock.iter().find(|process| process.is_ours()) {
        Some(process) => format!("`{command}` is running since {since} (process {})", process.pid),
        None if sees_locks && lock.is_empty() => {
            format!("`{command}` DIED: it started at {since}, and no process holds the lock")
        }
        None => format!("Running or dead: `{command}` since {since}"),
    };
    let of = current.collection.as_ref().map(|collection| format!(" of {collection}")).unwrap_or_default();
    let age = output::age(current.heartbeat_at, now);
    format!("\n{what}; stage {}{of}, last progress {age} ago\n", current.stage)
}

/// That no run has started although one was due, which leaves no other trace.
fn overdue(begun: DateTime<Utc>, interval: Option<Duration>, now: DateTime<Utc>) -> Option<String> {
    let interval = interval?;
    let since = (now - begun).to_std().ok().filter(|since| *since > 2 * interval)?;
    Some(format!(
        "  No backup has started for {}, but one is due every {}: does cron or the timer start it? `qdrant-backup config check`\n",
        output::span(since),
        output::span(interval)
    ))
}

fn runs(status: &Status, shown: &Shown<'_>) -> String {
    let Shown { catalog, interval, lock, now } = *shown;
    let mut text = String::new();
    if let Some(run) = &status.current_run {
        text.push_str(&current(status, run, lock, now));
    }
    let has_backup = |run: &&RunReport| backup_of(run).is_some();
    let last = status.last_run.as_ref();
    if let Some(operation) = status.operations.get(&Operation::Backup) {
        let last = last.filter(has_backup);
        let outcome = last.map(|run| &run.outcome).or(operation.last_outcome.as_ref());
        if let (Some(outcome), Some(attempt)) = (outcome, operation.last_attempt_at) {
            let duration = operation.last_duration_seconds.unwrap_or_default();
            text.push_str(&format!("\nLast run: {outcome}, {}, took {duration:.1} s", output::time(attempt)));
            if operation.consecutive_failures > 1 {
                text.push_str(&format!("; {} failures in a row", operation.consecutive_failures));
            }
            text.push('\n');
            if status.current_run.is_none() {
                text.push_str(&overdue(attempt, interval, now).unwrap_or_default());
            }
        }
        text.push_str(&why(operation));
        text.push_str(&last.map(warnings).unwrap_or_default());
    }
    for (name, operation) in status.operations.iter().filter(|(name, _)| **name != Operation::Backup) {
        let bad = operation.last_outcome.as_ref().filter(|outcome| **outcome != Outcome::Success);
        if let (Some(outcome), Some(attempt)) = (bad, operation.last_attempt_at) {
            text.push_str(&format!(
                "\nLast {name}: {outcome}, {}\n{}",
                output::time(attempt),
                why(operation)
            ));
        }
    }
    if let Some(run) = last.filter(|run| !has_backup(run) && !run.warnings.is_empty()) {
        text.push_str(&format!("\nLast command: `{}`, {}\n", run.command, output::time(run.started_at)));
        text.push_str(&warnings(run));
    }
    text.push_str(&places(status, catalog, now));
    text.push_str(&left(status, lock.iter().any(LockProcess::is_ours)));
    text
}

fn warnings(run: &RunReport) -> String {
    run.warnings.iter().map(|warning| format!("  warning: {}\n", one_line(warning))).collect()
}

/// What is left on the server. A snapshot that the current run needs is not.
fn left(status: &Status, is_running: bool) -> String {
    let current = status.current_run.as_ref().filter(|_| is_running);
    let in_use = current.and_then(|run| run.collection.as_ref());
    let undeleted = status.undeleted_snapshots.iter();
    let mut lines: Vec<String> = undeleted
        .filter(|snapshot| Some(&snapshot.collection) != in_use)
        .map(|snapshot| format!("{} of {}", snapshot.name, snapshot.collection))
        .collect();
    lines.extend(status.unlisted_uploads.iter().map(|snapshot| {
        let (name, collection) = (&snapshot.name, &snapshot.collection);
        format!("on the disk of {} but not in its list: {name} of {collection}", snapshot.node_url)
    }));
    let suspected = status.suspected_leftovers.iter();
    lines.extend(
        suspected.map(|snapshot| format!("possibly ours: {} of {}", snapshot.name, snapshot.collection)),
    );
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    if lines.is_empty() { lines } else { format!("\nLeft on the server by earlier runs:\n{lines}") }
}
