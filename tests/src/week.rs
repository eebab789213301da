//! A backup directory after one week, as the exporter sees it: nightly runs, one with a failure, and a drill.

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::status::{OperationStatus, Status};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{BackupId, FailureKind};

use crate::directory::{Directory, name};
use crate::exporter::{Exporter, now};
use crate::history::History;

/// The collections and their numbers of points at the end of the week.
const COLLECTIONS: &[(&str, u64)] =
    &[("products", 84_200_000), ("support_tickets", 41_300_000), ("wiki pages", 9_120_000)];

/// The collection that fails.
const FAILING: &str = "support_tickets";

/// Days before the last run on which one collection failed.
const BAD_NIGHT: i64 = 3;

/// Days before the last run of the restore drill.
const DRILL: i64 = 5;

/// How many days backups are kept.
const KEPT: i64 = 7;

const DAY: f64 = 86_400.0;

/// The directory and the status after the week.
pub struct Week {
    place: Directory,
    status: Status,
    last: DateTime<Utc>,
}

impl Week {
    /// Adds the exporter's answers for `place` to `history`: a good week that ended two hours ago, up to `until`.
    pub fn lived(place: Directory, exporter: &Exporter, history: &mut History, until: DateTime<Utc>) -> Self {
        let last = BackupId::at(now() - TimeDelta::hours(2)).time();
        let mut status = Status::new("0.1.0".to_owned(), "backup-host".to_owned());
        status.retention_seconds = Some(86_400 * KEPT.unsigned_abs());
        for (operation, interval) in [
            (Operation::Backup, DAY),
            (Operation::Verify, DAY),
            (Operation::Prune, DAY),
            (Operation::Drill, 7.0 * DAY),
            (Operation::Offsite, DAY),
        ] {
            let scheduled =
                OperationStatus { schedule_interval_seconds: Some(interval), ..OperationStatus::default() };
            status.operations.insert(operation, scheduled);
        }
        let mut week = Self { place, status, last };
        for days in (8..8 + KEPT).rev() {
            for (collection, points) in COLLECTIONS {
                back_up(&week.place, collection, week.night(days), points_then(*points, days));
            }
        }
        for days in (0..8).rev() {
            let failed = (days == BAD_NIGHT).then_some(FAILING);
            let at = week.night(days);
            a_night(&week.place, &mut week.status, at, days, failed);
            week.place.put_status(&week.status);
            let accept = ("Accept", "application/openmetrics-text;version=1.0.0");
            let answer = exporter.ask("GET", "/metrics", &[accept]).text();
            let ended = |days| week.night(days) + TimeDelta::minutes(10);
            history.enter(&answer, ended(days), if days == 0 { until } else { ended(days - 1) });
        }
        week
    }

    /// Another run, in which one collection fails; a stored backup is found damaged, and a new one is not verified.
    pub fn end_badly(&mut self) {
        let at = self.last + TimeDelta::minutes(90);
        ended(&mut self.status, Operation::Backup, at, 61.0, Outcome::Partial);
        if let Some(entry) = self.status.collections.get_mut(&name(FAILING)) {
            entry.last_outcome = Some(Outcome::Failed);
        }
        self.place.verify("products", BackupId::at(self.night(1)), &[(Level::Archive, CheckOutcome::Failed)]);
        self.place.backup("wiki pages", at, 9_120_000);
        self.place.put_status(&self.status);
    }

    fn night(&self, days: i64) -> DateTime<Utc> {
        self.last - TimeDelta::days(days)
    }
}

/// One nightly run: backups of all but `failed`, all of them verified, and retention.
fn a_night(place: &Directory, status: &mut Status, at: DateTime<Utc>, days: i64, failed: Option<&str>) {
    for (index, (collection, points)) in (0..).zip(COLLECTIONS) {
        let entry = status.collections.entry(name(collection)).or_default();
        let id = BackupId::at(at);
        place.remove(collection, BackupId::at(at - TimeDelta::days(KEPT)));
        (entry.on_server, entry.last_attempt_at) = (Some(true), Some(at));
        if failed == Some(*collection) {
            entry.last_outcome = Some(Outcome::Failed);
            continue;
        }
        let points = points_then(*points, days);
        back_up(place, collection, at, points);
        place.copy(collection, id, "nas", true, false);
        entry.last_outcome = Some(Outcome::Success);
        (entry.last_success_at, entry.last_backup_id) = (Some(id.time()), Some(id));
        entry.last_duration_seconds = Some(95.0 / f64::from(index + 1) + days as f64);
        entry.points = Some(points);
    }
    let outcome = if failed.is_some() { Outcome::Partial } else { Outcome::Success };
    ended(status, Operation::Backup, at, 140.0 - 3.0 * days as f64, outcome);
    ended(status, Operation::Verify, at + TimeDelta::minutes(4), 74.0 - days as f64, Outcome::Success);
    ended(status, Operation::Offsite, at + TimeDelta::minutes(5), 40.0, Outcome::Success);
    let nas = status.offsite.entry("nas".to_owned()).or_default();
    nas.enter(at, at + TimeDelta::minutes(5), 40.0, Outcome::Success, [].into(), None);
    nas.added_bytes_total += 900_000_000 + 40_000_000 * days.unsigned_abs();
    ended(status, Operation::Prune, at + TimeDelta::minutes(6), 1.5, Outcome::Success);
    if days == DRILL {
        let checks = [(Level::Archive, CheckOutcome::Passed), (Level::Restore, CheckOutcome::Passed)];
        place.verify("wiki pages", BackupId::at(at), &checks);
        ended(status, Operation::Drill, at + TimeDelta::minutes(7), 48.0, Outcome::Success);
    }
}

fn back_up(place: &Directory, collection: &str, at: DateTime<Utc>, points: u64) {
    let id = place.backup(collection, at, points);
    place.verify(collection, id, &[(Level::Archive, CheckOutcome::Passed)]);
}

/// Records in the status that an operation has ended.
fn ended(status: &mut Status, operation: Operation, at: DateTime<Utc>, seconds: f64, outcome: Outcome) {
    let entry = status.operations.entry(operation).or_default();
    entry.last_attempt_at = Some(at);
    entry.last_duration_seconds = Some(seconds);
    entry.runs_total += 1;
    entry.failures.clear();
    if outcome == Outcome::Success {
        entry.last_success_at = Some(at + TimeDelta::seconds(seconds as i64));
        entry.consecutive_failures = 0;
    } else {
        entry.failures_total += 1;
        entry.consecutive_failures += 1;
        entry.failures.insert(FailureKind::ShardsUncovered, 1);
    }
    entry.last_outcome = Some(outcome);
}

/// Collections grow by a thirtieth in two weeks.
fn points_then(points: u64, days: i64) -> u64 {
    points * (440 - days.unsigned_abs()) / 440
}
