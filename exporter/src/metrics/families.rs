//! Converts an observation to metric families.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::status::{CollectionStatus, OperationStatus};
use qdrant_backup_shared::verification::Level;
use qdrant_backup_shared::{CollectionName, Operation, Status};

use super::process::ProcessInfo;
use super::sheet::{Family, Sheet, count, flag, time};
use super::table::{self, Metric};
use crate::build_info;
use crate::observe::{CollectionView, Observation};

/// Every known metric. Unknown values are absent.
pub fn families(observation: &Observation, process: &ProcessInfo) -> Vec<Family> {
    let mut sheet = observed(observation);
    process_figures(&mut sheet, process);
    sheet.into_families()
}

/// The metrics for a file that another exporter reads. Includes the write time, because the file remains if nothing
/// updates it. Contains nothing about this process, which has ended by then; the other exporter has its own process
/// metrics.
pub fn textfile_families(observation: &Observation) -> Vec<Family> {
    let mut sheet = observed(observation);
    sheet.add(&table::TEXTFILE, &[], time(observation.taken_at));
    sheet.into_families()
}

fn observed(observation: &Observation) -> Sheet {
    let mut sheet = Sheet::new();
    sheet.add(&table::UP, &[], flag(observation.is_up()));
    let revision = if build_info::REVISION.is_empty() { "unknown" } else { build_info::REVISION };
    sheet.add(&table::BUILD_INFO, &[build_info::VERSION, revision, build_info::RUST_VERSION], 1.0);
    let Observation { status, directory: scanned, storage, .. } = observation;
    collector(&mut sheet, "status", observation.status_success(), status.duration);
    collector(&mut sheet, "directory", scanned.success(), scanned.duration);
    collector(&mut sheet, "storage", storage.problem.is_none(), storage.duration);
    if let Some(status) = &observation.status.value {
        operations(&mut sheet, status);
        current_run(&mut sheet, status);
        collections(&mut sheet, status);
        places(&mut sheet, status);
        sheet.add_if(&table::RETENTION, &[], status.retention_seconds.map(count));
        sheet.add(&table::SOURCE_CHANGED, &[], flag(status.source_changed));
    }
    let skipped = observation.last_skipped.as_ref();
    sheet.add_if(&table::LAST_SKIPPED, &[], skipped.map(|skipped| time(skipped.skipped_at)));
    let refused = observation.last_refused.as_ref();
    sheet.add_if(&table::LAST_REFUSED, &[], refused.map(|refused| time(refused.refused_at)));
    directory(&mut sheet, observation);
    if let Some(storage) = &observation.storage.value {
        sheet.add(&table::STORAGE_AVAIL, &[], count(storage.avail_bytes));
        sheet.add(&table::STORAGE_SIZE, &[], count(storage.size_bytes));
    }
    sheet
}

fn collector(sheet: &mut Sheet, name: &str, success: bool, duration: Duration) {
    sheet.add(&table::COLLECTOR_SUCCESS, &[name], flag(success));
    sheet.add(&table::COLLECTOR_DURATION, &[name], duration.as_secs_f64());
}

/// The operations that this version knows: a bounded set of labels.
fn operations(sheet: &mut Sheet, status: &Status) {
    let nothing = OperationStatus::default();
    for operation in Operation::KNOWN {
        let name = operation.as_str();
        let labels = &[name];
        // An operation that never ran has known counts: zero.
        let history = status.operations.get(operation).unwrap_or(&nothing);
        sheet.add(&table::RUNS, labels, count(history.runs_total));
        sheet.add(&table::RUN_FAILURES, labels, count(history.failures_total));
        sheet.add(&table::CONSECUTIVE_FAILURES, labels, count(history.consecutive_failures));
        sheet.add_if(&table::LAST_ATTEMPT, labels, history.last_attempt_at.map(time));
        sheet.add_if(&table::LAST_SUCCESS, labels, history.last_success_at.map(time));
        let success = history.last_outcome.as_ref().map(|outcome| flag(*outcome == Outcome::Success));
        sheet.add_if(&table::LAST_RUN_SUCCESS, labels, success);
        sheet.add_if(&table::LAST_RUN_DURATION, labels, history.last_duration_seconds);
        sheet.add_if(&table::SCHEDULE_INTERVAL, labels, history.schedule_interval_seconds);
        sheet.add_failures(&table::LAST_RUN_FAILURES, name, &history.failures);
    }
}

fn current_run(sheet: &mut Sheet, status: &Status) {
    for operation in Operation::KNOWN {
        let run = status.current_run.as_ref().filter(|run| run.operation == *operation);
        let labels = &[operation.as_str()];
        sheet.add(&table::RUN_IN_PROGRESS, labels, flag(run.is_some()));
        sheet.add_if(&table::RUN_STARTED, labels, run.map(|run| time(run.started_at)));
        sheet.add_if(&table::RUN_HEARTBEAT, labels, run.map(|run| time(run.heartbeat_at)));
    }
}

fn collections(sheet: &mut Sheet, status: &Status) {
    let mut leftovers: BTreeMap<&CollectionName, u64> =
        status.collections.keys().map(|collection| (collection, 0)).collect();
    for snapshot in status.undeleted_snapshots.iter().chain(&status.suspected_leftovers) {
        *leftovers.entry(&snapshot.collection).or_default() += 1;
    }
    for (collection, number) in leftovers {
        sheet.add(&table::SERVER_LEFTOVERS, &[collection.as_str()], count(number));
    }
    for (collection, history) in &status.collections {
        let labels = &[collection.as_str()];
        let CollectionStatus {
            on_server, last_outcome, last_duration_seconds, last_success_at, points, ..
        } = history;
        sheet.add_if(&table::ON_SERVER, labels, on_server.map(flag));
        let success = last_outcome.as_ref().map(|outcome| flag(*outcome == Outcome::Success));
        sheet.add_if(&table::COLLECTION_LAST_RUN_SUCCESS, labels, success);
        sheet.add_if(&table::COLLECTION_LAST_DURATION, labels, *last_duration_seconds);
        sheet.add_if(&table::COLLECTION_LAST_SUCCESS, labels, last_success_at.map(time));
        sheet.add_if(&table::COLLECTION_POINTS, labels, points.map(count));
    }
}

fn directory(sheet: &mut Sheet, observation: &Observation) {
    let Some(directory) = &observation.directory.value else { return };
    let nothing = Arc::default();
    // A collection that only the status contains has no backups here. This is known, so it is reported as zero.
    let mut views: BTreeMap<&CollectionName, &Arc<CollectionView>> = BTreeMap::new();
    if let Some(status) = &observation.status.value {
        views.extend(status.collections.keys().map(|collection| (collection, &nothing)));
    }
    views.extend(&directory.collections);
    for (collection, view) in &views {
        backups(sheet, collection.as_str(), view);
    }
    if let Some(status) = &observation.status.value {
        copies(sheet, status, &views);
        let gone = views.iter().filter(|(collection, view)| {
            let entry = status.collections.get(**collection);
            entry.is_some_and(|entry| entry.on_server == Some(false))
                && !status.retired_collections.contains(**collection)
                && !view.backups.is_empty()
        });
        sheet.add(&table::COLLECTIONS_GONE, &[], count(gone.count() as u64));
    }
    sheet.add(&table::ORPHAN_FILES, &[], count(directory.orphan_files));
    sheet.add(&table::ORPHAN_BYTES, &[], count(directory.orphan_bytes));
    sheet.add(&table::TEMPORARY_FILES, &[], count(directory.temporary_files));
    sheet.add(&table::UNREADABLE_FILES, &[], count(observation.problems.len() as u64));
}

fn backups(sheet: &mut Sheet, collection: &str, view: &CollectionView) {
    let labels = &[collection];
    let figures = &view.figures;
    sheet.add(&table::BACKUPS, labels, count(figures.good));
    sheet.add(&table::BACKUPS_SIZE, labels, count(figures.good_bytes));
    sheet.add_if(&table::OLDEST, labels, figures.oldest_at.map(time));
    if let Some(newest) = view.newest_good() {
        sheet.add(&table::NEWEST, labels, time(newest.started_at));
        sheet.add(&table::NEWEST_SIZE, labels, count(newest.stored_size_bytes()));
        sheet.add(&table::NEWEST_SNAPSHOT_SIZE, labels, count(newest.snapshot_size_bytes));
    }
    for (level, newest_at) in Level::KNOWN.iter().zip(&figures.newest_verified_at) {
        sheet.add_if(&table::NEWEST_VERIFIED, &[collection, level.as_str()], newest_at.map(time));
    }
    sheet.add(&table::UNVERIFIED, labels, count(figures.unverified));
    sheet.add(&table::VERIFICATION_FAILED, labels, count(figures.verification_failed));
    sheet.add(&table::INCOMPLETE, labels, count(figures.incomplete));
    sheet.add_if(&table::NEWEST_BAD, labels, figures.newest_bad_at.map(time));
}

/// The status of the offsite places. Only configured ones: a bounded set of labels.
fn places(sheet: &mut Sheet, status: &Status) {
    for (name, place) in &status.offsite {
        let labels = &[name.as_str()];
        sheet.add_if(&table::OFFSITE_LAST_SUCCESS, labels, place.last_success_at.map(time));
        let success = place.last_outcome.as_ref().map(|outcome| flag(*outcome == Outcome::Success));
        sheet.add_if(&table::OFFSITE_LAST_RUN_SUCCESS, labels, success);
        sheet.add_failures(&table::OFFSITE_LAST_RUN_FAILURES, name, &place.failures);
        sheet.add(&table::OFFSITE_ADDED, labels, count(place.added_bytes_total));
        sheet.add_if(&table::OFFSITE_LAST_CHECK, labels, place.last_check_at.map(time));
        sheet.add(&table::OFFSITE_CHECK_FAILED, labels, flag(place.is_damaged()));
    }
}

/// The copy records beside the backups. If a place has no copies of a collection, that is reported as zero too.
fn copies(sheet: &mut Sheet, status: &Status, views: &BTreeMap<&CollectionName, &Arc<CollectionView>>) {
    for place in status.offsite.keys() {
        for (collection, view) in views {
            let labels = &[place.as_str(), collection.as_str()];
            let copies = view.figures.copies.get(place.as_str());
            sheet.add(&table::OFFSITE_BACKUPS, labels, count(copies.map_or(0, |copies| copies.backups)));
            sheet.add_if(&table::OFFSITE_NEWEST, labels, copies.map(|copies| time(copies.newest_at)));
            let checked = copies.and_then(|copies| copies.newest_checked_at);
            sheet.add_if(&table::OFFSITE_NEWEST_CHECKED, labels, checked.map(time));
        }
    }
}

fn process_figures(sheet: &mut Sheet, process: &ProcessInfo) {
    sheet.add_if(&table::WEB_CONFIG_SUCCESS, &[], process.web_config.map(flag));
    let mut whole = |metric: &Metric, value: Option<u64>| sheet.add_if(metric, &[], value.map(count));
    whole(&table::PROCESS_OPEN_FDS, process.open_fds);
    whole(&table::PROCESS_MAX_FDS, process.max_fds);
    whole(&table::PROCESS_RESIDENT, process.resident_memory_bytes);
    whole(&table::PROCESS_VIRTUAL, process.virtual_memory_bytes);
    whole(&table::PROCESS_THREADS, process.threads);
    sheet.add_if(&table::PROCESS_CPU, &[], process.cpu_seconds);
    sheet.add_if(&table::PROCESS_START, &[], process.start_time_seconds);
}
