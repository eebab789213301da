//! The eight situations with golden files in `tests/golden`.

use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::operation::{Outcome, Stage};
use qdrant_backup_shared::place_status::PlaceStatus;
use qdrant_backup_shared::status::{CollectionStatus, CurrentRun, OperationStatus, ServerSnapshot};
use qdrant_backup_shared::{BackupId, Failure, FailureKind, Operation, Status};

use crate::directories;
use crate::watched::{Directory, Watched, at, name, night};

pub type Situation = (&'static str, fn() -> Watched);

/// Every situation: the name of its file, and how to create it.
pub const ALL: &[Situation] = &[
    ("never_ran", never_ran),
    ("healthy", healthy),
    ("partial_failure", partial_failure),
    ("killed_run", killed_run),
    ("corrupt_files", corrupt_files),
    ("source_changed", source_changed),
    ("retired_collection", retired_collection),
    ("copies", copies),
];

fn never_ran() -> Watched {
    Watched::new()
}

pub fn healthy() -> Watched {
    after_a_good_night(directories::healthy())
}

/// `directory` with the status after a successful night.
fn after_a_good_night(directory: Directory) -> Watched {
    let place = Watched::from(directory);
    place.put_status(&status());
    place
}

fn partial_failure() -> Watched {
    let place = Watched::from(directories::partial_failure());
    let mut status = status();
    let failed_at = at("15T02:00:00.250");
    let backup = status.operations.get_mut(&Operation::Backup).unwrap();
    backup.last_outcome = Some(Outcome::Partial);
    backup.last_success_at = Some(at("14T02:01:30"));
    backup.failures_total += 1;
    backup.consecutive_failures = 1;
    backup.failures = [
        (FailureKind::ChecksumMismatch, 1),
        (FailureKind::Other("gremlins".to_owned()), 2),
        (FailureKind::Other("unheard_of".to_owned()), 1),
    ]
    .into();
    let images = status.collections.get_mut(&name("images")).unwrap();
    images.last_outcome = Some(Outcome::Failed);
    images.last_attempt_at = Some(failed_at);
    images.last_success_at = Some(at("14T02:00:00.125"));
    images.failure = Some(Failure {
        kind: FailureKind::ChecksumMismatch,
        message: "snapshot checksum mismatch for collection \"images\"".to_owned(),
    });
    status.undeleted_snapshots.push(ServerSnapshot {
        shard_id: None,
        collection: name("images"),
        node_url: "http://localhost:6333/".to_owned(),
        name: "images-1-2025-07-15-02-00-01.snapshot".to_owned(),
        checksum: None,
    });
    place.put_status(&status);
    place.put(&place.layout().last_skipped_file(), &LastSkipped::new(at("15T02:30:00"), "verify", None));
    let refused = LastRefused::new(at("15T02:40:00"), "run", "cannot use the API key file");
    place.put(&place.layout().last_refused_file(), &refused);
    place
}

fn killed_run() -> Watched {
    let place = Watched::from(directories::killed_run());
    let mut status = status();
    status.current_run = Some(CurrentRun {
        run_id: "0b5f62a5-4b0a-4e55-b4f4-61e2ae0c8a4d".to_owned(),
        command: "backup".to_owned(),
        pid: 4321,
        operation: Operation::Backup,
        stage: Stage::Download,
        collection: Some(name("docs")),
        creating: None,
        also_creating: Vec::new(),
        started_at: at("15T14:00:00"),
        heartbeat_at: at("15T14:07:30"),
    });
    place.put_status(&status);
    place
}

pub fn corrupt_files() -> Watched {
    let place = after_a_good_night(directories::corrupt_files());
    place.put_bytes(&place.layout().last_skipped_file(), b"");
    place
}

fn source_changed() -> Watched {
    let place = healthy();
    let mut status = status();
    status.source_changed = true;
    status.operations.entry(Operation::Prune).or_default().last_outcome = Some(Outcome::Failed);
    place.put_status(&status);
    place
}

/// `images` is gone from the server; `docs-old` was gone too and has been retired, with its backups pruned.
fn retired_collection() -> Watched {
    let place = Watched::from(directories::retired_collection());
    let mut status = status();
    status.collections.get_mut(&name("images")).unwrap().on_server = Some(false);
    status.collections.remove(&name("with \"quotes\"\\ and\nlines"));
    place.put_status(&status);
    place
}

/// Two places: one has copies and was damaged once, the other is unreachable.
fn copies() -> Watched {
    let place = Watched::from(directories::copied());
    let mut status = status();
    let ended =
        OperationStatus { last_outcome: Some(Outcome::Partial), runs_total: 3, ..OperationStatus::default() };
    status.operations.insert(Operation::Offsite, ended);
    let mut nas = PlaceStatus { added_bytes_total: 123_456_789, ..PlaceStatus::default() };
    nas.enter(night(), at("15T02:05:00"), 300.0, Outcome::Success, [].into(), None);
    nas.enter_damaged(at("15T02:10:00"), "pack 5e5e");
    let mut far = PlaceStatus::default();
    let unreachable = Failure { kind: FailureKind::Unreachable, message: "no answer".to_owned() };
    let kinds = [(FailureKind::Unreachable, 1), (FailureKind::Other("gremlins".to_owned()), 2)];
    far.enter(night(), at("15T02:06:00"), 1.0, Outcome::Failed, kinds.into(), Some(unreachable));
    status.offsite = [("nas".to_owned(), nas), ("far".to_owned(), far)].into();
    place.put_status(&status);
    place
}

/// The status after a successful night.
pub fn status() -> Status {
    let mut status = Status::new("0.1.0".to_owned(), "backup-host".to_owned());
    status.retention_seconds = Some(14 * 86_400);
    let ended = |operation: Operation, seconds: f64, runs_total| {
        let history = OperationStatus {
            last_attempt_at: Some(night()),
            last_success_at: Some(at("15T02:01:30.500")),
            last_outcome: Some(Outcome::Success),
            last_duration_seconds: Some(seconds),
            runs_total,
            failures_total: 2,
            schedule_interval_seconds: (operation == Operation::Backup).then_some(90_000.0),
            ..OperationStatus::default()
        };
        (operation, history)
    };
    status.operations = [
        ended(Operation::Backup, 90.5, 41),
        ended(Operation::Verify, 12.25, 40),
        ended(Operation::Prune, 0.125, 40),
        // From a newer runner: this exporter has no label for it.
        ended(Operation::Other("defragment".to_owned()), 1.0, 1),
    ]
    .into();
    for (collection, points) in [("docs", 1000), ("images", 40), ("with \"quotes\"\\ and\nlines", 7)] {
        let history = CollectionStatus {
            on_server: Some(true),
            last_attempt_at: Some(at("15T02:00:00.125")),
            last_outcome: Some(Outcome::Success),
            last_success_at: Some(at("15T02:00:00.125")),
            last_backup_id: Some(BackupId::at(night())),
            last_duration_seconds: Some(30.25),
            points: Some(points),
            ..CollectionStatus::default()
        };
        status.collections.insert(name(collection), history);
    }
    status
}
