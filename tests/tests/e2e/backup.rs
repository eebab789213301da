//! Backups of a stand-in or of a real server.

use std::os::unix::fs::PermissionsExt;

use e2e::Scene;
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::manifest::{Scope, ServerChecksum};
use qdrant_backup_shared::operation::{Operation, Outcome};

#[test]
fn a_backup_is_whole_recorded_and_leaves_nothing_on_the_server() {
    let scene = Scene::with_samples();
    let ran = scene.backup();
    let Scene { server, place } = scene;

    ran.success().says(&["Backup succeeded: 3 of 3 collections"]);

    assert_eq!(place.prove(), 3);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
    assert_eq!(status.current_run, None);
    assert!(status.undeleted_snapshots.is_empty());
    for (collection, points) in server.collections().iter().zip([0, 100, 250]) {
        let backups = place.backups(collection);
        let manifest = &backups[0].manifest;
        assert_eq!(manifest.points_count(), Some(points));
        assert_eq!(manifest.archives[0].server_checksum, ServerChecksum::Matched);
        assert_eq!(server.snapshot_names(collection), Vec::<String>::new());
    }
    let temporary: Vec<String> = place.files().into_iter().filter(|name| name.contains(".tmp")).collect();
    assert_eq!(temporary, Vec::<String>::new());
}

#[test]
fn configuration_files_are_backed_up_beside_the_collections() {
    let Scene { server: _server, place } = Scene::with_samples();
    atomic::write(&place.beside("qdrant.yaml"), 0o600, b"service: {}\n").unwrap();
    let pattern = place.beside("*.yaml");
    place.configure(&format!("backup:\n  include_files: [\"{}\"]\n", pattern.display()));

    place.run(&["backup"]).success().says(&["Backed up 2 configuration files"]);

    let backups = place.backups("/files");
    assert_eq!(backups[0].manifest.archives[0].scope, Scope::Files);
    let archive = backups[0].archive.clone();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(archive).unwrap()));
    let names: Vec<String> =
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names.len(), 2);
    assert!(names[1].ends_with("qdrant.yaml") && !names[1].starts_with('/'), "{names:?}");
    place.prove();

    place.configure("backup:\n  include_files: [\"/nonexistent/*.yaml\"]\n");
    place.run(&["backup"]).code(3).says(&["no file matches /nonexistent/*.yaml"]);
    assert_eq!(place.backups("/files").len(), 1, "the older backup stays");
}

#[test]
fn configuration_files_are_verified_pruned_and_restored_but_never_in_place() {
    let Scene { server, place } = Scene::with_samples();
    atomic::write(&place.beside("qdrant.yaml"), 0o600, b"service: {}\n").unwrap();
    let pattern = place.beside("q*.yaml");
    place.configure(&format!("backup:\n  include_files: [\"{}\"]\n", pattern.display()));
    let source: Vec<&str> = server.selection();
    place.run(&["backup"]).success();

    place.run(&["verify", "--backup", "all"]).success().says(&["Verified /files", "passed"]);
    let into = place.beside("restored");
    let restored = into.to_str().unwrap();
    place
        .run(&["restore", "--files", "--into", restored])
        .success()
        .says(&["Restored 1 configuration files"]);
    let file = into.join(place.beside("qdrant.yaml").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(&file).unwrap(), b"service: {}\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    place.run(&["restore", "--files", "--into", restored]).code(1).says(&["is not empty"]);

    // They are not collections, so they are neither restored nor drilled.
    let mut plan = vec!["restore", "--dry-run", "--as", "copy", "--collection", source[1]];
    plan.truncate(4);
    plan.extend(["--collection", "/files"]);
    assert_ne!(place.run(&plan).code, Some(0));
}
