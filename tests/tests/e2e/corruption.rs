//! Commands that take no lock and find a corrupt backup: they record it like a restore, and suggest another backup.

use std::fs;
use std::path::PathBuf;

use e2e::qdrant_stand_in::StandIn;
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::{CollectionName, atomic};

const NAME: &str = "minilm_general";

/// A place with two backups of each collection, and of files if any are given.
fn backed_up_twice(files: Option<&str>) -> Scene {
    let Scene { server, place } = Scene::on(StandIn::sample());
    if let Some(files) = files {
        let file = place.beside(files);
        atomic::write(&file, 0o600, b"of some program").unwrap();
        let file = file.display();
        place.configure(&format!("qdrant:\n  retries: 0\nbackup:\n  include_files: [\"{file}\"]\n"));
    }
    for _ in 0..2 {
        place.run(&["backup"]).success();
    }
    Scene { server, place }
}

fn archive(place: &Place, collection: &str, number: usize) -> PathBuf {
    place.backups(collection).remove(number).archive
}

fn damage(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0x55);
    atomic::write(path, 0o600, &bytes).unwrap();
}

/// Checks that the newest backup is recorded as failed, and that `ran` named it and the other one with this command.
#[track_caller]
fn told(place: &Place, collection: &str, ran: Ran, ids: &[String], command: &str) {
    let command = command.replace("ID", &ids[0]);
    ran.says(&["ERROR", &format!("backup {} is now recorded as failed", ids[1]), &ids[0], &command]);
    let backups = place.backups(collection);
    assert!(backups[0].is_good() && !backups[1].is_good(), "{collection}");
    assert!(backups[1].verification.as_ref().expect("a record").failed());
}

#[test]
fn an_export_that_meets_corruption_puts_it_on_record_and_takes_another_one_the_next_time() {
    for truncated in [false, true] {
        let Scene { server: _server, place } = backed_up_twice(None);
        let (path, ids) = (archive(&place, NAME, 1), place.ids(NAME));
        if truncated {
            let bytes = fs::read(&path).unwrap();
            // With the length in the manifest, so that only reading it shows the defect.
            atomic::write(
                &path,
                0o600,
                &[&bytes[..bytes.len() / 2], &vec![0; bytes.len() - bytes.len() / 2]].concat(),
            )
            .unwrap();
        } else {
            damage(&path);
        }
        let out = place.beside("out snapshot").display().to_string();
        let export = ["export", "--collection", NAME, "-o", &out];
        // Also during a backup, which holds the lock.
        let lock = fs::File::create(place.path().join(".lock")).unwrap();
        lock.lock().unwrap();
        let config = place.beside("backup.yaml").display().to_string();
        let command =
            format!("`qdrant-backup export --collection {NAME} --backup ID -o '{out}' --config {config}`");
        told(&place, NAME, place.run(&export).code(4), &ids, &command);
        place.run(&export).success().says(&[&ids[0]]);
    }
}

#[test]
fn commands_for_points_that_meet_corruption_put_it_on_record_and_take_another_one_the_next_time() {
    let out = "out.jsonl";
    for command in [
        &["compare"][..],
        &["restore", "--points", "--missing"],
        &["restore", "--points", "--missing", "--dry-run"],
        &["export", "--points", "-o", out],
    ] {
        let Scene { server: _server, place } = backed_up_twice(None);
        damage(&archive(&place, NAME, 1));
        let ids = place.ids(NAME);
        let out = place.beside(out).display().to_string();
        let command: Vec<&str> =
            command.iter().map(|word| if *word == "out.jsonl" { &out } else { *word }).collect();
        let command = [&command[..], &["--collection", NAME, "--on-source"]].concat();
        told(&place, NAME, place.run(&command).code(1), &ids, "the next good one is ID (--backup ID)");
        place.run(&command).success();
    }
}

#[test]
fn a_dry_run_that_meets_corruption_puts_it_on_record_and_plans_with_another_one_the_next_time() {
    let Scene { server, place } = backed_up_twice(None);
    let ids = place.ids(NAME);
    damage(&archive(&place, NAME, 1));
    server.clear_requests();
    let dry = ["restore", "--dry-run", "--collection", NAME, "--as", "beside"];
    let config = place.beside("backup.yaml").display().to_string();
    let command =
        format!("`qdrant-backup restore --collection {NAME} --backup ID --as beside --config {config}`");
    told(&place, NAME, place.run(&dry).code(1), &ids, &command);
    assert!(server.requests().iter().all(|request| !request.changes_something()));
    let ran = place.run(&dry).success();
    assert!(ran.stdout.contains(&ids[0]) && !ran.stdout.contains(&ids[1]), "{}", ran.stdout);
}

#[test]
fn a_restore_of_files_that_meets_corruption_puts_it_on_record_and_unpacks_another_one_the_next_time() {
    let Scene { server: _server, place } = backed_up_twice(Some("app.conf"));
    let files = CollectionName::files();
    let (path, ids) = (archive(&place, files.as_str(), 1), place.ids(files.as_str()));
    damage(&path);
    let into = place.beside("restored").display().to_string();
    let restore = ["restore", "--files", "--into", &into];
    let config = place.beside("backup.yaml").display().to_string();
    let command = format!("`qdrant-backup restore --files --backup ID --into {into} --config {config}`");
    told(&place, files.as_str(), place.run(&restore).code(1), &ids, &command);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0, "nothing was unpacked");
    place.run(&restore).success().says(&[&ids[0]]);
}

#[test]
fn the_only_backup_that_is_corrupt_is_on_record_and_a_disk_that_fails_condemns_nothing() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    place.run(&["backup", "--collection", NAME]).success();
    let path = archive(&place, NAME, 0);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    let id = place.ids(NAME).remove(0);
    let export = ["export", "--collection", NAME, "--backup", &id, "-o", "-"];
    place.run(&export).code(1).never_says("on record");
    assert!(place.backups(NAME)[0].verification.is_none());
    fs::remove_file(&path).unwrap();
    atomic::write(&path, 0o600, &bytes).unwrap();
    damage(&path);
    place.run(&export).code(4).says(&["is now recorded as failed; there is no other good backup of"]);
    assert!(!place.backups(NAME)[0].is_good());
}
