//! `verify`: its findings, records and exit codes.

use std::fs;

use e2e::{Place, Scene, Server};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::manifest::Encoding;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::RunReport;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{FailureKind, atomic, json_file};

/// A place with one backup of each of the server's collections, stored with `compression`.
fn backed_up(server: &Server, compression: &str) -> Place {
    let place = Place::initialised(&server.url());
    back_up(server, &place, compression);
    place
}

fn back_up(server: &Server, place: &Place, compression: &str) {
    let mut arguments = vec!["backup", "--compression", compression];
    arguments.extend(server.selection());
    place.run(&arguments).success();
}

/// Changes one byte of the newest archive of `collection`, and returns the original contents.
fn flip(place: &Place, collection: &str, offset: usize) -> Vec<u8> {
    let path = place.newest(collection).archive;
    let before = fs::read(&path).expect("an archive");
    let mut damaged = before.clone();
    let offset = offset % damaged.len();
    damaged[offset] ^= 0x20;
    atomic::write(&path, 0o600, &damaged).expect("the archive can be damaged");
    before
}

fn repair(place: &Place, collection: &str, bytes: &[u8]) {
    atomic::write(&place.newest(collection).archive, 0o600, bytes).expect("it can be repaired");
}

fn outcome(place: &Place, collection: &str, level: &Level) -> CheckOutcome {
    place.newest(collection).verification.expect("a record").levels[level].outcome.clone()
}

#[test]
fn sound_backups_pass_and_that_is_on_record() {
    let server = Server::with_samples();
    for compression in ["gzip", "zstd", "none"] {
        let place = backed_up(&server, compression);
        let status = place.run(&["status"]);
        assert!(status.stdout.contains("never verified"), "{}", status.stdout);

        let ran =
            place.run(&["verify"]).success().says(&["Verification succeeded: 3 backups checked (3 passed)"]);
        for collection in server.collections() {
            let id = place.newest(collection).manifest.backup_id.to_string();
            assert!(ran.stderr.contains(&format!("Verified {collection} {id} at archive: passed, ")));
            assert_eq!(outcome(&place, collection, &Level::Archive), CheckOutcome::Passed);
        }
        let status = place.status();
        assert_eq!(status.operations[&Operation::Verify].last_outcome, Some(Outcome::Success));
        assert_eq!(status.current_run, None);
        assert_eq!(status.operations[&Operation::Backup].runs_total, 1);
        assert!(!place.run(&["status"]).stdout.contains("never verified"));
        place.run(&["verify", "--level", "checksum"]).success();
        assert_eq!(outcome(&place, &server.collections()[1], &Level::Checksum), CheckOutcome::Passed);
        let list = place.run(&["list"]).success().stdout;
        assert_eq!(list.matches("archive 20").count(), 3, "{list}");
    }
}

#[test]
fn single_byte_corruptions_end_in_exit_code_4_with_a_finding() {
    let server = Server::with_samples();
    for compression in ["gzip", "zstd", "none"] {
        let place = backed_up(&server, compression);
        let collection = server.collections()[2].as_str();
        // The time and the operating system in the gzip header, then positions all over the archive.
        for offset in [4, 9, 0, 12, 5_000, 20_011, usize::MAX] {
            let before = flip(&place, collection, offset);
            for level in ["checksum", "archive"] {
                place
                    .run(&["verify", "--collection", collection, "--level", level])
                    .code(4)
                    .says(&["ERROR", "the archive has SHA-256", "(archive_checksum)"])
                    .says(&["ERROR", "Verification failed: 1 backup checked (1 failed)"]);
            }
            assert_eq!(place.newest(collection).condition(), Condition::Failed);
            repair(&place, collection, &before);
            place.run(&["verify", "--collection", collection]).success();
            assert_eq!(place.newest(collection).condition(), Condition::Good);
        }
    }
}

#[test]
fn a_failure_is_cleared_only_by_a_pass_at_the_same_or_a_deeper_level() {
    let server = Server::with_samples();
    let place = backed_up(&server, "gzip");
    let collection = server.collections()[1].as_str();
    let before = flip(&place, collection, 5000);
    place.run(&["verify", "--collection", collection]).code(4);
    repair(&place, collection, &before);
    place.run(&["verify", "--collection", collection, "--level", "checksum"]).success();
    assert_eq!(place.newest(collection).condition(), Condition::Failed);
    let status = place.run(&["status"]);
    assert!(status.stdout.contains("has FAILED verification"), "{}", status.stdout);
    assert!(place.run(&["list"]).stdout.contains("FAILED"));
    place.run(&["verify", "--collection", collection]).success();
    assert_eq!(place.newest(collection).condition(), Condition::Good);
}

#[test]
fn one_bad_backup_does_not_hide_the_others_and_the_report_tells() {
    let server = Server::with_samples();
    let place = backed_up(&server, "gzip");
    back_up(&server, &place, "none");
    let collection = server.collections()[1].as_str();
    fs::remove_file(place.newest(collection).archive).expect("it can be removed");

    let ran = place.run(&["verify", "--backup", "all", "--json"]).code(4);
    let report: RunReport = serde_json::from_str(&ran.stdout).expect("a report");
    let operation = &report.operations[0];
    assert_eq!((&operation.operation, &operation.outcome), (&Operation::Verify, &Outcome::Partial));
    let checked: Vec<_> = operation.collections.iter().flat_map(|report| &report.checked).collect();
    assert_eq!(checked.len(), 6);
    let failed: Vec<_> = checked.iter().filter(|checked| checked.outcome == CheckOutcome::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].findings[0].kind, "archive_missing");
    assert_eq!(operation.failures()[&FailureKind::ArchiveCorrupt], 1);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Verify].consecutive_failures, 1);
    assert_eq!(status.last_run, Some(report));
    assert!(place.run(&["status"]).stdout.contains("is INCOMPLETE"));

    let id = place.backups(collection)[0].manifest.backup_id.to_string();
    place.run(&["verify", "--backup", &id, "--collection", collection]).success().says(&["1 backup checked"]);
}

#[test]
fn what_cannot_be_read_is_inconclusive_and_what_is_not_known_unsupported() {
    let server = Server::with_samples();
    let place = backed_up(&server, "gzip");
    let [_, one, other] = server.collections() else { panic!("three collections") };
    let path = place.newest(one).archive;
    let away = place.beside("away");
    atomic::write(&away, 0o600, &fs::read(&path).expect("an archive")).expect("it can be copied");
    fs::remove_file(&path).expect("it can be removed");
    fs::create_dir(&path).expect("a directory in its place");
    place.run(&["verify", "--collection", one]).code(1).says(&["ERROR", "not a regular file"]);
    assert_eq!(outcome(&place, one, &Level::Archive), CheckOutcome::Inconclusive);
    assert_eq!(place.status().operations[&Operation::Verify].failures[&FailureKind::Io], 1);
    fs::remove_dir(&path).expect("it can be removed");
    atomic::write(&path, 0o600, &fs::read(&away).expect("the copy")).expect("it can be put back");
    assert_eq!(place.newest(one).condition(), Condition::Good, "inconclusive is not failed");

    let backup = place.newest(other);
    let mut manifest = backup.manifest.clone();
    manifest.archives[0].encoding = vec![Encoding::Other("lzma".to_owned())];
    let manifest_path = place.layout().manifest(&manifest.collection, manifest.backup_id);
    json_file::write(&manifest_path, &manifest).expect("the manifest can be written");
    place.run(&["verify", "--collection", other]).code(1).says(&["ERROR", "archives stored as lzma"]);
    assert_eq!(outcome(&place, other, &Level::Archive), CheckOutcome::Unsupported);
    place.run(&["verify", "--collection", other, "--level", "checksum"]).success();
}

#[test]
fn another_collections_snapshot_with_fitting_digests_is_found_inside() {
    let server = Server::with_samples();
    let place = backed_up(&server, "gzip");
    let [_, one, other] = server.collections() else { panic!("three collections") };
    let (backup, foreign) = (place.newest(one), place.newest(other));
    let mut manifest = backup.manifest.clone();
    manifest.archives[0].snapshot = foreign.manifest.archives[0].snapshot;
    manifest.archives[0].stored = foreign.manifest.archives[0].stored;
    repair(&place, one, &fs::read(foreign.archive.clone()).expect("an archive"));
    manifest.source.config =
        Some(serde_json::json!({ "params": { "vectors": { "size": 3, "distance": "Dot" } } }));
    json_file::write(&place.layout().manifest(&manifest.collection, manifest.backup_id), &manifest)
        .expect("the manifest can be written");
    place.run(&["verify", "--level", "checksum"]).success();
    place.run(&["verify"]).code(4).says(&["ERROR", one, "config.json", "(config_differs)"]);
}

#[test]
fn what_is_not_there_is_named_and_nothing_at_all_is_no_failure() {
    let Scene { server, place } = Scene::with_samples();
    place.run(&["verify"]).success().says(&["Nothing to verify: no backup has its archives here"]);
    place
        .run(&["verify", "--collection", "nowhere"])
        .code(1)
        .says(&["there is no collection \"nowhere\" among the backups"]);
    let missing = "2001-01-01-00-00-00";
    place.run(&["verify", "--backup", missing]).code(1).says(&["no collection has a backup", missing]);
    place.run(&["verify", "--backup", "newest"]).code(2).says(&["expected `latest` or a backup id"]);
    place.run(&["verify", "--level", "restore"]).code(2);

    back_up(&server, &place, "gzip");
    let collection = server.collections()[1].as_str();
    let arguments = ["verify", "--collection", collection, "--backup", missing];
    place.run(&arguments).code(1).says(&[collection, "there is no backup 2001-01-01-00-00-00"]);
    let unmounted = Place::new(&server.url());
    unmounted.run(&["verify"]).code(78);
}

#[test]
fn a_manifest_that_cannot_be_read_fails_the_run_and_hides_nothing() {
    let server = Server::with_samples();
    let place = backed_up(&server, "gzip");
    let torn = place.newest(&server.collections()[0]).manifest;
    let path = place.layout().manifest(&torn.collection, torn.backup_id);
    atomic::write(&path, 0o640, b"{\"schema_version\": 1,").expect("it can be truncated");
    place.run(&["verify"]).code(1).says(&["2 backups checked (2 passed)", "not a valid backup manifest"]);
    assert_eq!(place.status().operations[&Operation::Verify].failures[&FailureKind::ManifestInvalid], 1);
    place.run(&["verify", "--collection", &server.collections()[1]]).success();
}
