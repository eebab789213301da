//! Refused starts: monitoring reports them, and nothing else changes.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]

use std::fs;

use e2e::qdrant_stand_in::Setup;
use e2e::scene::{DOCS, IMPATIENT, docs};
use e2e::{Place, Scene};
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::{atomic, json_file};

fn refused(place: &Place) -> Option<LastRefused> {
    let path = place.layout().last_refused_file();
    path.exists().then(|| json_file::read(&path).expect("it can be read"))
}

#[test]
fn a_refused_start_leaves_its_reason_for_monitoring_and_status_until_a_backup_succeeds() {
    let scene = Scene::new();
    scene.backup().success();
    scene.place.configure("qdrant: {api_key_file: /nowhere/at/all/key}\n");

    for command in ["run", "backup", "drill"] {
        scene.place.run(&[command]).code(78);
        let note = refused(&scene.place).expect("a note");
        assert_eq!(note.command, command);
        assert!(note.reason.contains("cannot use the API key file /nowhere/at/all/key"), "{note:?}");
    }

    let shown = scene.place.run(&["status"]).success().stdout;
    assert!(shown.contains("NOT STARTED: `drill` was refused"), "{shown}");
    assert!(shown.contains("cannot use the API key file"), "{shown}");
    let json = scene.place.run(&["status", "--json"]).success().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["last_refused"]["command"], "drill");

    std::thread::sleep(std::time::Duration::from_millis(10));
    scene.place.configure(IMPATIENT);
    scene.backup().success();
    let shown = scene.place.run(&["status"]).success().stdout;
    assert!(!shown.contains("NOT STARTED"), "{shown}");
}

#[test]
fn the_directory_is_found_in_what_can_be_read_of_broken_settings() {
    let scene = Scene::new();
    let path = scene.place.path();
    let section = format!("backup:\n  path: {}\n", path.display());
    for broken in [
        format!("{section}qdrnt:\n  url: http://localhost:6333\n"),
        format!("{section}  jobs: many\n"),
        format!("hooks:\n  on_failure: \"never closed\n{section}"),
        format!("{section}qdrant:\n\turl: [\n"),
    ] {
        scene.place.configure(&broken);
        let mut command = scene.place.command(&["run"]);
        e2e::Ran::of(command.env_remove("QDRANT_BACKUP_PATH")).code(78);
        let note = refused(&scene.place).unwrap_or_else(|| panic!("no record of {broken:?}"));
        assert!(note.reason.contains("backup.yaml:"), "{note:?}");
        fs::remove_file(scene.place.layout().last_refused_file()).expect("it exists");
    }
}

#[test]
fn what_only_looks_or_is_no_repository_gets_no_note_and_nothing_is_made() {
    let scene = Scene::new();
    scene.place.configure("backup: {jobs: many}\n");
    for command in [&["status"][..], &["list"], &["config", "check"], &["prune", "--dry-run"]] {
        scene.place.run(command).code(78);
    }
    assert_eq!(refused(&scene.place), None);

    let place = Place::new(scene.place.url());
    place.run(&["run"]).code(78);
    assert!(!place.path().exists());
    fs::create_dir(place.path()).expect("a directory");
    place.run(&["run"]).code(78);
    assert_eq!(place.files(), Vec::<String>::new(), "an empty mount point stays empty");
}

#[test]
fn a_disk_that_is_not_mounted_is_noted_in_a_state_directory_of_its_own() {
    let scene = Scene::new();
    let state = scene.place.beside("state");
    fs::create_dir(&state).expect("a directory");
    fs::rename(scene.place.path(), scene.place.beside("unmounted")).expect("it can be moved");

    scene.place.run(&["run", "--state-dir", &state.display().to_string()]).code(78);

    let note: LastRefused = json_file::read(&state.join("last_refused.json")).expect("a note");
    assert!(note.reason.contains("does not exist; is the disk mounted?"), "{note:?}");
    assert!(!scene.place.path().exists());
}

#[test]
fn a_misspelled_name_on_the_command_line_is_no_matter_for_monitoring() {
    let scene = Scene::new();
    scene.backup().success();
    let place = &scene.place;
    let status = || (fs::read(place.layout().status_file()).expect("a status"), place.status());
    let (before, missing) = (status(), "2001-01-01-00-00-00");
    let into = place.beside("out").display().to_string();
    let wrong = "dcs";
    for arguments in [
        &["backup", "-c", wrong][..],
        &["list", "-c", wrong],
        &["verify", "-c", wrong],
        &["restore", "-c", wrong],
        &["restore", "-c", DOCS, "-c", wrong],
        &["restore", "--points", "--missing", "--on-source", "-c", wrong],
        &["export", "-c", wrong, "-o", &into],
        &["compare", "-c", wrong],
        &["hold", missing, "-c", wrong],
        &["unhold", missing, "-c", wrong],
        &["prune", "-c", wrong],
        &["prune", "--bad", "-c", wrong],
        &["drill", "--on-source", "-c", wrong],
    ] {
        let place_of = if arguments[0] == "backup" { "on the server" } else { "among the backups" };
        let says = format!("there is no collection \"{wrong}\" {place_of}; did you mean {DOCS}?");
        place.run(arguments).code(1).says(&[&says]);
    }
    let id = format!("there is no backup {missing}");
    for arguments in [
        &["restore", "-c", DOCS, "--backup", missing][..],
        &["verify", "-c", DOCS, "--backup", missing],
        &["drill", "--on-source", "-c", DOCS, "--backup", missing],
    ] {
        place.run(arguments).code(1).says(&[&id]);
    }
    for arguments in [&["offsite", "copy", "nsa"][..], &["verify", "--from", "nsa"], &["drill"]] {
        place.run(arguments).code(78);
    }
    assert_eq!(status(), before);
    assert_eq!(refused(place), None);
    // What has a status but no backup is known: monitoring expects it.
    fs::remove_dir_all(place.layout().collection(&e2e::directory::name(DOCS))).expect("it is there");
    place.run(&["restore", "-c", DOCS]).code(1).says(&["there is no backup that can be read"]);
    assert_ne!(status(), before);
}

#[test]
fn whoever_looks_at_backups_needs_no_key() {
    let scene = Scene::of(Setup::empty().api_key("s3cret").collection(docs()));
    let key = scene.place.beside("key");
    let configuration = format!(
        "{IMPATIENT}  api_key_file: {key}\ndrill: {{url: \"http://localhost:6333\", api_key_file: {key}}}\nretention: {{keep_last: 3}}\n",
        key = key.display()
    );
    atomic::write(&key, 0o600, b"s3cret\n").expect("a file");
    scene.place.configure(&configuration);
    scene.backup().success();
    let id = scene.manifest().backup_id.to_string();
    fs::remove_file(&key).expect("it existed");

    for command in [
        &["status"][..],
        &["list"],
        &["verify"],
        &["prune"],
        &["prune", "--dry-run"],
        &["hold", "-c", DOCS, &id],
        &["unhold", "-c", DOCS, &id],
        &["export", "-c", DOCS, "--output", &scene.place.beside("exported").display().to_string()],
    ] {
        scene.place.run(command).success().never_says("API key");
    }
    scene.backup().code(78).says(&["cannot use the API key file"]);
    scene.place.run(&["config", "check"]).code(78).says(&["cannot use the API key file"]);
}
