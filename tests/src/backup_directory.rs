//! A backup directory as the runner would have left it, for the exporter to look at.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::json_file::{self, JsonFile, SCHEMA_VERSION};
use qdrant_backup_shared::manifest::{
    Archive, Encoding, Origin, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CollectionReport, OperationReport, RunReport, StageReport};
use qdrant_backup_shared::status::{CollectionStatus, OperationStatus, Status};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{
    BackupId, CollectionName, Failure, FailureKind, Layout, Manifest, Repository, Sha256Digest,
    VerificationRecord, atomic,
};

/// Ten bytes on disk a point.
const BYTES_A_POINT: u64 = 10;

/// A temporary backup directory, which is its own state directory.
pub struct BackupDirectory {
    directory: tempfile::TempDir,
    /// When the last run began.
    last: DateTime<Utc>,
}

impl BackupDirectory {
    /// A repository without any backup.
    pub fn empty() -> Self {
        let last = BackupId::at(now() - TimeDelta::hours(2)).time();
        let place = Self { directory: tempfile::tempdir().expect("a temporary directory"), last };
        let repository = Repository::new("5c3f9f0e-8f44-4b1c-8f0b-0f3b7f6c2c11".to_owned(), now());
        place.put(&place.layout().repository_file(), &repository);
        place
    }

    /// Three collections, each backed up daily for two weeks, the last time two hours ago, and verified.
    pub fn healthy() -> Self {
        let place = Self::empty();
        let last = place.last;
        for (collection, points) in
            [("products", 250_000), ("support_tickets", 41_300), ("wiki pages", 9_120)]
        {
            for days in (0..14).rev() {
                let id = BackupId::at(last - TimeDelta::days(days));
                place.backup(collection, id, points * (60 - 3 * days.unsigned_abs()) / 60);
                place.verify(collection, id, CheckOutcome::Passed);
            }
        }
        place.status(&place.healthy_status(last));
        place
    }

    /// As [`BackupDirectory::healthy`], after a run in which one collection failed, with a bad backup and a file that
    /// cannot be read.
    pub fn failing() -> Self {
        let place = Self::healthy();
        let last = place.last;
        let failure = Failure {
            kind: FailureKind::ShardsUncovered,
            message: "shard 2 has no active replica on the asked node".to_owned(),
        };
        let mut status = place.healthy_status(last);
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
        place.status(&status);
        place.verify("products", BackupId::at(last), CheckOutcome::Failed);
        place
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where everything is.
    pub fn layout(&self) -> Layout {
        Layout::new(self.path(), self.path())
    }

    /// Makes a whole backup.
    pub fn backup(&self, collection: &str, id: BackupId, points: u64) {
        let collection = name(collection);
        let layout = self.layout();
        let archive = layout.archive(&collection, id, &[Encoding::Gzip]);
        fs::create_dir_all(layout.collection(&collection)).expect("a collection's directory");
        let mut file = atomic::AtomicFile::create(&archive, 0o600).expect("an archive");
        file.file().set_len(BYTES_A_POINT * points).expect("a length");
        file.commit().expect("an archive");
        let sized = |size_bytes| SizeAndDigest { size_bytes, sha256: Sha256Digest::from_bytes([7; 32]) };
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            requires: Vec::new(),
            backup_id: id,
            collection: collection.clone(),
            origin: Origin::Snapshot,
            run_id: "6e9e4f0c-7c1b-4b4e-9f3b-0d6a2f6f2f11".to_owned(),
            started_at: id.time(),
            completed_at: id.time() + TimeDelta::seconds(9),
            depends_on: Vec::new(),
            source: Source {
                qdrant_version: Some("1.18.3".to_owned()),
                points_count_before: Some(points),
                points_count_after: Some(points),
                config: None,
                payload_schema: None,
                aliases: None,
                shard_count: Some(1),
                ..Source::default()
            },
            points_sample: None,
            archives: vec![Archive {
                file_name: file_name(&archive),
                node_url: None,
                peer_id: Some(1),
                shard_ids: vec![0],
                scope: Scope::Collection,
                snapshot_name: None,
                encoding: vec![Encoding::Gzip],
                snapshot: sized(3 * BYTES_A_POINT * points),
                stored: sized(BYTES_A_POINT * points),
                server_checksum: ServerChecksum::Matched,
            }],
            runner_version: "0.1.0".to_owned(),
        };
        self.put(&layout.manifest(&collection, id), &manifest);
    }

    /// Removes a backup as the runner does: the manifest first.
    pub fn remove(&self, collection: &str, id: BackupId) {
        let (layout, collection) = (self.layout(), name(collection));
        fs::remove_file(layout.manifest(&collection, id)).expect("a manifest");
        fs::remove_file(layout.archive(&collection, id, &[Encoding::Gzip])).expect("an archive");
    }

    /// Enters a check of a backup, in place of those before.
    pub fn verify(&self, collection: &str, id: BackupId, outcome: CheckOutcome) {
        let mut record = VerificationRecord::new(id);
        record.enter(Level::Archive, id.time() + TimeDelta::minutes(5), outcome, 1.5, Vec::new());
        self.put(&self.layout().verification(&name(collection), id), &record);
    }

    /// Enters that a backup was restored and found whole, beside the checks before.
    pub fn drill(&self, collection: &str, id: BackupId) {
        let path = self.layout().verification(&name(collection), id);
        let mut record: VerificationRecord = json_file::read(&path).expect("a verification");
        let at = id.time() + TimeDelta::minutes(9);
        record.enter(Level::Restore, at, CheckOutcome::Passed, 48.0, Vec::new());
        self.put(&path, &record);
    }

    /// Replaces the status.
    pub fn status(&self, status: &Status) {
        self.put(&self.layout().status_file(), status);
    }

    /// A status with `number` collections, for an answer that is long.
    pub fn crowd(&self, number: usize) {
        let mut status = self.healthy_status(now());
        for index in 0..number {
            let claimed =
                CollectionStatus { on_server: Some(true), points: Some(7), ..CollectionStatus::default() };
            status.collections.insert(name(&format!("collection-{index:05}")), claimed);
        }
        self.status(&status);
    }

    fn healthy_status(&self, last: DateTime<Utc>) -> Status {
        let mut status = Status::new("0.1.0".to_owned(), "backup-host".to_owned());
        let mut reports = Vec::new();
        for (collection, points) in
            [("products", 250_000), ("support_tickets", 41_300), ("wiki pages", 9_120)]
        {
            let claimed = CollectionStatus {
                gone_since: None,
                on_server: Some(true),
                last_attempt_at: Some(last),
                last_outcome: Some(Outcome::Success),
                last_success_at: Some(BackupId::at(last).time()),
                last_backup_id: Some(BackupId::at(last)),
                last_duration_seconds: Some(21.5),
                points: Some(points),
                failure: None,
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

    fn put<T: JsonFile>(&self, path: &Path, value: &T) {
        json_file::write(path, value).expect("a JSON file");
    }
}

/// The collection's name.
pub fn name(text: &str) -> CollectionName {
    CollectionName::new(text).expect("a name")
}

/// The exporter looks at the real clock, so its backups must be of today.
#[expect(clippy::disallowed_methods, reason = "the built program is told no other time")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

fn file_name(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned()
}
