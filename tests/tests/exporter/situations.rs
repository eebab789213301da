//! Backup directories for the exporter, after successful and failed runs.

use chrono::{DateTime, TimeDelta, Utc};
use e2e::Directory;
use e2e::directory::name;
use e2e::exporter::now;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CollectionReport, OperationReport, RunReport, StageReport};
use qdrant_backup_shared::status::{CollectionStatus, OperationStatus, Status};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{BackupId, Failure, FailureKind};

/// Ten bytes on disk per point, as in [`Directory::backup`].
const BYTES_A_POINT: u64 = 10;

/// The start of the last successful run.
fn last_run() -> DateTime<Utc> {
    BackupId::at(now() - TimeDelta::hours(2)).time()
}

/// Records a verification of the archive, five minutes after the backup.
fn check(place: &Directory, collection: &str, id: BackupId, outcome: CheckOutcome) {
    place.verify_every(TimeDelta::minutes(5), collection, id, &[(Level::Archive, outcome)]);
}

/// Three collections, each backed up daily for two weeks and verified. The last backup is two hours old.
pub fn healthy() -> Directory {
    good_until(last_run())
}

fn good_until(last: DateTime<Utc>) -> Directory {
    let place = Directory::repository();
    for (collection, points) in [("products", 250_000), ("support_tickets", 41_300), ("wiki pages", 9_120)] {
        for days in (0..14).rev() {
            let at = last - TimeDelta::days(days);
            let id = place.backup(collection, at, points * (60 - 3 * days.unsigned_abs()) / 60);
            check(&place, collection, id, CheckOutcome::Passed);
        }
    }
    place.put_status(&healthy_status(last));
    place
}

/// Like [`healthy`], after a run in which one collection failed, with a bad backup and an unreadable file.
pub fn failing() -> Directory {
    let last = last_run();
    let place = good_until(last);
    let failure = Failure {
        kind: FailureKind::ShardsUncovered,
        message: "shard 2 has no active replica on the asked node".to_owned(),
    };
    let mut status = healthy_status(last);
    let attempt = now() - TimeDelta::minutes(20);
    if let Some(run) = &mut status.last_run {
        run.outcome = Outcome::Partial;
        (run.started_at, run.completed_at) = (attempt, attempt + TimeDelta::seconds(94));
    }
    if let Some(backup) = status.operations.get_mut(&Operation::Backup) {
        backup.last_outcome = Some(Outcome::Partial);
        backup.last_attempt_at = Some(attempt);
        (backup.failures_total, backup.consecutive_failures) = (1, 1);
    }
    if let Some(tickets) = status.collections.get_mut(&name("support_tickets")) {
        tickets.last_attempt_at = Some(attempt);
        tickets.last_outcome = Some(Outcome::Failed);
        tickets.failure = Some(failure);
    }
    place.put_status(&status);
    check(&place, "products", BackupId::at(last), CheckOutcome::Failed);
    place
}

/// A status with `number` collections, for a long answer.
pub fn crowd(place: &Directory, number: usize) {
    let mut status = healthy_status(now());
    for index in 0..number {
        let claimed =
            CollectionStatus { on_server: Some(true), points: Some(7), ..CollectionStatus::default() };
        status.collections.insert(name(&format!("collection-{index:05}")), claimed);
    }
    place.put_status(&status);
}

fn healthy_status(last: DateTime<Utc>) -> Status {
    let mut status = Status::new("0.1.0".to_owned(), "backup-host".to_owned());
    let mut reports = Vec::new();
    for (collection, points) in [("products", 250_000), ("support_tickets", 41_300), ("wiki pages", 9_120)] {
        let claimed = CollectionStatus {
            on_server: Some(true),
            last_attempt_at: Some(last),
            last_outcome: Some(Outcome::Success),
            last_success_at: Some(BackupId::at(last).time()),
            last_backup_id: Some(BackupId::at(last)),
            last_duration_seconds: Some(21.5),
            points: Some(points),
            ..CollectionStatus::default()
        };
        status.collections.insert(name(collection), claimed);
        let stage = |stage, duration_seconds, bytes| StageReport { stage, duration_seconds, bytes };
        reports.push(CollectionReport {
            collection: name(collection),
            outcome: Outcome::Success,
            started_at: last,
            duration_seconds: 21.5,
            backup_id: Some(BackupId::at(last)),
            points: Some(points),
            snapshot_size_bytes: Some(3 * BYTES_A_POINT * points),
            stored_size_bytes: Some(BYTES_A_POINT * points),
            checked: Vec::new(),
            fates: Vec::new(),
            restored_into: None,
            stages: vec![
                stage(Stage::Create, 4.25, None),
                stage(Stage::Download, 16.5, Some(3 * BYTES_A_POINT * points)),
                stage(Stage::Commit, 0.75, None),
            ],
            failure: None,
        });
    }
    let operation = OperationReport {
        operation: Operation::Backup,
        qdrant_version: Some("1.18.3".to_owned()),
        started_at: last,
        completed_at: last + TimeDelta::seconds(65),
        duration_seconds: 65.0,
        outcome: Outcome::Success,
        failure: None,
        collections: reports,
        places: Vec::new(),
        left_out: None,
    };
    for (kind, interval) in [(Operation::Backup, 86_400.0), (Operation::Verify, 86_400.0)] {
        let history = OperationStatus {
            last_attempt_at: Some(last),
            last_success_at: Some(last + TimeDelta::seconds(65)),
            last_outcome: Some(Outcome::Success),
            last_duration_seconds: Some(65.0),
            runs_total: 14,
            schedule_interval_seconds: Some(interval),
            ..OperationStatus::default()
        };
        status.operations.insert(kind, history);
    }
    status.last_run = Some(RunReport {
        run_id: "6e9e4f0c-7c1b-4b4e-9f3b-0d6a2f6f2f11".to_owned(),
        command: "backup".to_owned(),
        started_at: last,
        completed_at: operation.completed_at,
        duration_seconds: 65.0,
        outcome: Outcome::Success,
        operations: vec![operation],
        warnings: Vec::new(),
    });
    status.retention_seconds = Some(14 * 86_400);
    status
}
