//! The backup directory: missing, of another kind, not mounted, not writable, or full; and what `init` does with it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use e2e::qdrant_stand_in::{Collection, Content, Effect, Fault, FillKind, GeneratedSnapshot, Setup, StandIn};
use e2e::running::PATIENCE;
use e2e::scene::DOCS;
use e2e::{Place, Ran, Running, Scene, eventually_within};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::{CollectionName, FailureKind, Status, json_file};
use serde_json::json;

use crate::traces::{asked, edit, json, log_lines, none, one_line, put, server_of, tree};
use e2e::disks::{Disk, Nobody, chmod};

const MIB: u64 = 1 << 20;

fn run(mut command: Command) -> Ran {
    Ran::of(&mut command)
}

/// Every command that needs a repository fails with exit code 78 and one line, and sends no requests to the server.
#[track_caller]
fn every_command_refuses(place: &Place, server: &StandIn, parts: &[&str]) {
    let commands: [&[&str]; 5] =
        [&["backup"], &["list"], &["list", "--json"], &["status"], &["accept-source"]];
    for arguments in commands {
        let ran = place.run(arguments).code(78);
        one_line(&ran, parts);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert!(server.requests().is_empty(), "the server got requests");
}

/// The failure of `vectors` in a status file whose run must have failed.
#[track_caller]
fn recorded_failure(status: &Status) -> FailureKind {
    assert_eq!(status.current_run, None);
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Failed));
    let vectors = CollectionName::new("vectors").unwrap();
    status.collections[&vectors].failure.clone().expect("a failure").kind
}

#[test]
fn a_missing_backup_directory_is_refused_and_not_made() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    every_command_refuses(&place, &server, &["does not exist; is the disk mounted?", "qdrant-backup init"]);
    assert!(!place.path().exists());
}

#[test]
fn a_file_in_place_of_the_backup_directory_is_refused_and_left_alone() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    put(place.path(), "precious");
    every_command_refuses(&place, &server, &["is not a directory", "QDRANT_BACKUP_PATH"]);
    one_line(&place.run(&["init"]).code(78), &["is not a directory"]);
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "precious");
}

#[test]
fn a_link_into_the_void_is_refused_and_its_target_not_made() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    symlink(place.beside("elsewhere"), place.path()).unwrap();
    let says = ["is a link to", "elsewhere", "does not exist; is the disk mounted?"];
    every_command_refuses(&place, &server, &says);
    one_line(&place.run(&["init"]).code(78), &says);
    assert!(!place.beside("elsewhere").exists());
}

#[test]
fn a_link_to_a_directory_is_as_good_as_the_directory() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    fs::create_dir(place.beside("elsewhere")).unwrap();
    symlink(place.beside("elsewhere"), place.path()).unwrap();
    place.run(&["init"]).success();
    place.run(&["backup"]).success().says(&["Backup succeeded: 1 of 1"]);
    assert_eq!(place.prove(), 1);
    assert!(fs::symlink_metadata(place.path()).unwrap().is_symlink());
    assert!(place.beside("elsewhere/status.json").exists());
}

#[test]
fn an_empty_directory_may_be_an_unmounted_disk_and_nothing_is_written_to_it() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    fs::create_dir(place.path()).unwrap();
    every_command_refuses(
        &place,
        &server,
        &["is not a backup repository; is the disk mounted? `qdrant-backup init` creates a new one"],
    );
    assert_eq!(tree(place.path()).len(), 0);
}

#[test]
fn a_directory_of_somebody_else_names_the_directory_and_asks_for_the_user() {
    let Scene { server, place } = Scene::on(server_of(1));
    let nobody = Nobody::new(&place);
    chmod(place.path(), 0);
    let ran = run(nobody.runs(&place.command(&["backup"]))).code(78);
    chmod(place.path(), 0o700);
    one_line(&ran, &["cannot be listed: Permission denied", "is this the right user?"]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_directory_that_may_not_be_written_fails_before_the_server_makes_a_snapshot() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let nobody = Nobody::new(&place);
    nobody.owns(place.path());
    for directory in ["collections/vectors", "collections", ""] {
        chmod(&place.path().join(directory), 0o550);
    }
    chmod(&place.path().join(".lock"), 0o440);
    let before = tree(place.path());
    server.clear_requests();

    let ran = run(nobody.runs(&place.command(&["backup"]))).code(1);

    let lines = log_lines(&ran);
    let last = lines.last().unwrap();
    assert!(last.starts_with("ERROR: Backup failed: nothing was backed up"), "{last}");
    assert!(
        last.contains("cannot write to the backup directory: Permission denied (os error 13); "),
        "{last}"
    );
    assert!(last.contains("chmod u+rwx") && !last.contains(".probe"), "{last}");
    assert!(ran.stderr.contains("monitoring will not see this run"), "{}", ran.stderr);
    assert_eq!(asked(&server, "POST", "/snapshots"), none());
    assert_eq!(tree(place.path()), before);
}

#[cfg(feature = "outside")]
#[test]
fn a_read_only_file_system_fails_with_its_own_words_before_the_server_makes_a_snapshot() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    let disk = Disk::initialised(&place, 64 * MIB);
    run(disk.inside(&place.command(&["backup"]))).success();
    disk.make_read_only();
    let before = tree(&disk.path());
    server.clear_requests();

    let ran = run(disk.inside(&place.command(&["backup"]))).code(1);

    let lines = log_lines(&ran);
    let last = lines.last().unwrap();
    assert!(last.contains("cannot write to the backup directory: Read-only file system"), "{last}");
    assert!(ran.stderr.contains("monitoring will not see this run"), "{}", ran.stderr);
    assert_eq!(asked(&server, "POST", "/snapshots"), none());
    assert_eq!(tree(&disk.path()), before);

    // Existing backups can still be read.
    let list = run(disk.inside(&place.command(&["list"]))).success();
    assert!(list.stdout.contains("vectors"), "{}", list.stdout);
}

#[cfg(feature = "outside")]
#[test]
fn a_read_only_file_system_is_recorded_where_the_status_lies_elsewhere() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    let state = place.beside("state");
    let command = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("QDRANT_BACKUP_STATE_DIR", &state);
        command
    };
    let disk = Disk::mount(&place, 64 * MIB);
    run(disk.inside(&command(&["init"]))).success();
    run(disk.inside(&command(&["backup"]))).success();
    disk.make_read_only();

    let ran = run(disk.inside(&command(&["backup"]))).code(1);

    assert!(!ran.stderr.contains("monitoring will not see"), "{}", ran.stderr);
    let status: Status = json_file::read(&state.join("status.json")).unwrap();
    assert_eq!(status.current_run, None);
    let run = status.last_run.unwrap();
    assert_eq!(
        (run.outcome.clone(), run.failure().unwrap().kind.clone()),
        (Outcome::Failed, FailureKind::Io)
    );
    let history = &status.operations[&Operation::Backup];
    assert!(history.last_success_at.is_some(), "a failure erases no success");
    assert_eq!(history.consecutive_failures, 1);
}

#[cfg(feature = "outside")]
#[test]
fn a_disk_without_room_for_the_snapshot_is_found_before_the_download() {
    let server = server_of(16 * MIB);
    let place = Place::new(&server.url());
    let disk = Disk::initialised(&place, 24 * MIB);

    let ran = run(disk.inside(&place.command(&["backup"]))).code(1);

    let ran =
        ran.says(&["ERROR: Backup of vectors failed: the snapshot needs up to", "are free; free some space"]);
    assert!(log_lines(&ran).last().unwrap().contains("vectors (no_space)"), "{}", ran.stderr);
    let status: Status = json_file::read(&disk.path().join("status.json")).unwrap();
    assert_eq!(recorded_failure(&status), FailureKind::NoSpace);
    assert!(status.undeleted_snapshots.is_empty());
    assert_eq!(asked(&server, "GET", ".snapshot"), none(), "nothing was downloaded");
    assert_eq!(server.snapshot_names("vectors"), Vec::<String>::new());
    assert_only_own_files(&disk.path());
}

#[cfg(feature = "outside")]
#[test]
fn a_disk_that_fills_up_on_the_way_costs_the_archive_but_not_the_record_of_it() {
    // The last backup was text, so the estimate is a tenth of the size. Now the data is vectors.
    let text = GeneratedSnapshot::new(4 * MIB).kind(FillKind::Text);
    let server = StandIn::start(Setup::empty().collection(Collection::generated("vectors", text)));
    let place = Place::new(&server.url());
    let disk = Disk::initialised(&place, 40 * MIB);
    run(disk.inside(&place.command(&["backup"]))).success();
    let names = || tree(&disk.path()).into_keys().collect::<Vec<_>>();
    let before = names();
    let vectors = Content::generated(&GeneratedSnapshot::new(60 * MIB).kind(FillKind::Random));
    server.faults(|faults| faults.add(Fault::new(Effect::CreationContent(vectors))));

    let ran = run(disk.inside(&place.command(&["backup"]))).code(1);

    let ran = ran.says(&["ERROR: Backup of vectors failed", "No space left on device"]);
    assert!(log_lines(&ran).last().unwrap().contains("vectors (no_space)"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("monitoring will not see"), "{}", ran.stderr);
    let status: Status = json_file::read(&disk.path().join("status.json")).unwrap();
    assert_eq!(recorded_failure(&status), FailureKind::NoSpace);
    assert_eq!(server.snapshot_names("vectors"), Vec::<String>::new());
    assert_eq!(names(), before, "the archive is removed, and older files are kept");
}

#[cfg(feature = "outside")]
#[test]
fn a_disk_that_others_fill_meanwhile_is_survived_and_the_next_run_succeeds() {
    let server = server_of(8 * MIB);
    let slow = Fault::new(Effect::BytesPerSecond(8 * MIB)).first(1);
    server.faults(|faults| faults.add(slow));
    let place = Place::new(&server.url());
    let state = place.beside("state");
    let command = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("QDRANT_BACKUP_STATE_DIR", &state);
        command
    };
    let disk = Disk::mount(&place, 40 * MIB);
    run(disk.inside(&command(&["init"]))).success();

    let running = Running::start(&mut disk.inside(&command(&["backup", "--compression", "none"])));
    let collection = disk.path().join("collections/vectors");
    eventually_within(PATIENCE, "a temporary file that grows", || {
        let entry = fs::read_dir(&collection).ok()?.next()?.ok()?;
        (entry.metadata().ok()?.len() > 0).then_some(())
    });
    disk.fill();
    let ran = running.end().code(1).says(&["Backup of vectors failed", "No space left on device"]);

    assert!(!ran.stderr.contains("monitoring will not see"), "{}", ran.stderr);
    let status: Status = json_file::read(&state.join("status.json")).unwrap();
    assert_eq!(recorded_failure(&status), FailureKind::NoSpace);
    assert_eq!(fs::read_dir(&collection).unwrap().count(), 0, "the partial archive is removed");
    assert_eq!(server.snapshot_names("vectors"), Vec::<String>::new());

    disk.free();
    run(disk.inside(&command(&["backup"]))).success();
    let status: Status = json_file::read(&state.join("status.json")).unwrap();
    assert_eq!(status.operations[&Operation::Backup].consecutive_failures, 0);
}

#[cfg(feature = "outside")]
#[test]
fn a_run_that_has_no_space_to_start_prunes_and_the_next_one_succeeds() {
    let server = server_of(4 * MIB);
    let place = Place::new(&server.url());
    place.configure("backup:\n  compression: none\nretention:\n  keep_last: 3\nqdrant:\n  retries: 0\n");
    let disk = Disk::initialised(&place, 40 * MIB);
    let stored = || tree(&disk.path()).into_keys().filter(|name| name.ends_with(".snapshot")).count();
    for _ in 0..5 {
        run(disk.inside(&place.command(&["backup"]))).success();
    }
    let other = fs::File::create(disk.path().join("other")).unwrap();
    (&other).write_all(&vec![0; 6 * MIB as usize]).unwrap();

    // What came from another server has no newer backup.
    let peer = server.peer_id();
    server.set_peer_id(42);
    let ran = run(disk.inside(&place.command(&["run"]))).code(1);
    let failed = ["Backup of vectors failed: a backup needs at least 16", "free some space"];
    ran.says(&failed).says(&["accept-source"]);
    assert_eq!(stored(), 5);
    server.set_peer_id(peer);

    let ran = run(disk.inside(&place.command(&["run"]))).code(1);
    ran.says(&failed).says(&["deleted 2 backups"]);
    assert_eq!(stored(), 3);
    run(disk.inside(&place.command(&["run"]))).success();
    assert_eq!(stored(), 3);
}

#[cfg(feature = "outside")]
#[test]
fn a_disk_full_to_the_last_byte_fails_before_the_server_makes_a_snapshot() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    let disk = Disk::initialised(&place, 32 * MIB);
    run(disk.inside(&place.command(&["backup"]))).success();
    let status = fs::read(disk.path().join("status.json")).unwrap();
    let before = tree(&disk.path()).into_keys().collect::<Vec<_>>();
    disk.fill();
    server.clear_requests();

    // The status cannot be replaced. The log reports it, the old status stays, and monitoring sees its age.
    let ran = run(disk.inside(&place.command(&["backup"]))).code(1);
    let ran = ran.says(&["status.json", "No space left on device", "monitoring will not see this run"]);
    let ran = ran.says(&["ERROR: Backup of vectors failed", "only 0 B are free; free some space"]);
    assert!(log_lines(&ran).last().unwrap().contains("vectors (no_space)"), "{}", ran.stderr);
    assert_eq!(asked(&server, "POST", "/snapshots"), none(), "it could not be recorded as ours");
    assert_eq!(fs::read(disk.path().join("status.json")).unwrap(), status);

    // With the state in another directory it is recorded.
    let state = place.beside("state");
    let mut command = place.command(&["backup"]);
    command.env("QDRANT_BACKUP_STATE_DIR", &state);
    run(disk.inside(&command)).code(1);
    let recorded: Status = json_file::read(&state.join("status.json")).unwrap();
    assert_eq!(recorded_failure(&recorded), FailureKind::NoSpace);
    assert_eq!(asked(&server, "POST", "/snapshots"), none());

    disk.free();
    let after = tree(&disk.path()).into_keys().collect::<Vec<_>>();
    assert_eq!(after, before);
    run(disk.inside(&place.command(&["backup"]))).success();
}

#[cfg(feature = "outside")]
#[test]
fn a_disk_full_to_the_last_byte_can_be_pruned_and_the_status_is_true_afterwards() {
    let server = server_of(256 << 10);
    let place = Place::new(&server.url());
    place.configure("qdrant:\n  retries: 0\nretention:\n  keep_last: 1\n");
    let disk = Disk::initialised(&place, 32 * MIB);
    for _ in 0..4 {
        run(disk.inside(&place.command(&["backup"]))).success();
    }
    disk.fill();

    let prune = &["prune", "--yes"];
    let ran = run(disk.inside(&place.command(prune))).success();

    let ran = ran.says(&["WARN: ", "status.json: cannot be written", "No space left on device"]);
    ran.says(&["Prune succeeded: deleted 3 backups"]);
    let status: Status = json_file::read(&disk.path().join("status.json")).unwrap();
    assert_eq!((status.current_run.is_none(), status.pruning.len()), (true, 0));
    assert_eq!(status.operations[&Operation::Prune].last_outcome, Some(Outcome::Success));
    let names = tree(&disk.path()).into_keys().filter(|name| name.contains("vectors-")).count();
    assert_eq!(names, 2, "an archive and its manifest");

    // Retiring a collection works in the same way.
    disk.free();
    let path = disk.path().join("status.json");
    edit(&path, |status| status["collections"]["vectors"]["on_server"] = json!(false));
    server.state(|state| {
        let other = state.collections.remove("vectors").unwrap();
        state.collections.insert("other".to_owned(), other);
    });
    disk.fill();
    run(disk.inside(&place.command(&["prune", "--retire", "vectors", "--yes"]))).success();
    let status: Status = json_file::read(&path).unwrap();
    assert!(status.collections.is_empty() && status.pruning.is_empty());
}

/// Checks that only the repository's own files exist: no archives, manifests or temporary files.
#[track_caller]
fn assert_only_own_files(root: &Path) {
    let names: Vec<String> = tree(root).into_keys().collect();
    assert_eq!(names, [".lock", "collections/", "collections/vectors/", "repository.json", "status.json"]);
}

#[test]
fn a_state_directory_is_made_but_its_parents_are_not() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let with_state = |state: &Path| {
        let mut command = place.command(&["backup"]);
        command.env("QDRANT_BACKUP_STATE_DIR", state);
        run(command)
    };
    let before = tree(place.path());
    let ran = with_state(&place.beside("not/there")).code(78);
    one_line(&ran, &["state directory", "not/there: cannot be created: No such file or directory"]);
    put(&place.beside("file"), "precious");
    one_line(&with_state(&place.beside("file")).code(78), &["state directory", "is not a directory"]);
    assert_eq!(tree(place.path()), before);
    assert!(server.requests().is_empty());

    with_state(&place.beside("state")).success();
    assert_eq!(place.prove(), 1);
    assert!(place.beside("state/status.json").exists());
    assert!(!place.path().join("status.json").exists());
    assert!(!place.path().join("last_skipped.json").exists());
}

#[test]
fn a_state_directory_that_cannot_be_written_costs_the_exit_code_but_not_the_backup() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let nobody = Nobody::new(&place);
    nobody.owns(place.path());
    let state = place.beside("state");
    fs::create_dir(&state).unwrap();
    chmod(&state, 0o555);
    let mut command = nobody.runs(&place.command(&["backup"]));
    command.env("QDRANT_BACKUP_STATE_DIR", &state);

    let ran = run(command).code(1).says(&["status.json: cannot be written: Permission denied"]);

    let last = log_lines(&ran).pop().unwrap();
    assert!(
        last.starts_with("ERROR: ") && last.contains("status"),
        "an exit code of 1 must be explained: {last}"
    );
    assert_eq!(place.prove(), 1);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    assert_eq!(server.snapshot_names("vectors"), Vec::<String>::new());
}

#[test]
fn a_repository_file_that_cannot_be_trusted_stops_everything() {
    let Scene { server, place } = Scene::on(server_of(1));
    let file = place.path().join("repository.json");
    let good = json(&file);
    let with = |key: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed.to_string()
    };
    let torn = good.to_string()[..20].to_owned();
    let cases = [
        (torn, "repository.json:1: not a valid repository description"),
        (String::new(), "repository.json:1: not a valid repository description"),
        (with("schema_version", json!(2)), "repository.json: cannot read schema_version 2"),
        (with("requires", json!(["encryption"])), "requires \"encryption\", which this version"),
    ];
    for (contents, says) in cases {
        put(&file, &contents);
        let before = tree(place.path());
        every_command_refuses(&place, &server, &[says]);
        one_line(&place.run(&["init"]).code(78), &[says]);
        // Only the refusal is written.
        std::fs::remove_file(place.layout().last_refused_file()).expect("it was recorded");
        assert_eq!(tree(place.path()), before, "{contents}");
    }
}

#[test]
fn init_makes_a_repository_once_and_says_so_the_second_time() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    one_line(&place.run(&["init"]).success(), &["INFO", "is now a backup repository"]);
    let made = tree(place.path());
    assert_eq!(made.keys().collect::<Vec<_>>(), ["repository.json"]);
    edit(&place.path().join("repository.json"), |file| file["known_peer_ids"] = json!([7]));
    let edited = tree(place.path());
    one_line(&place.run(&["init"]).success(), &["is already a backup repository", "nothing changed"]);
    assert_eq!(tree(place.path()), edited);
    assert!(server.requests().is_empty());
}

#[test]
fn init_makes_no_parents_for_they_may_be_a_disk() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    let path = place.beside("mount/backups");
    let ran = place.run(&["init", "--backup-path", path.to_str().unwrap()]).code(78);
    one_line(&ran, &["cannot be created: No such file or directory", "create its parent directory first"]);
    assert!(!place.beside("mount").exists());
}

#[test]
fn init_leaves_alone_what_is_in_the_directory_already() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    fs::create_dir_all(place.path().join("collections/vectors")).unwrap();
    put(&place.path().join("notes.txt"), "mine");
    put(&place.path().join("collections/vectors/mine.snapshot"), "mine");
    put(&place.path().join(".mine.tmp"), "mine");
    let before = tree(place.path());
    place.run(&["init"]).success();
    place.run(&["backup"]).success();
    let after = tree(place.path());
    for (name, contents) in before {
        assert_eq!(after[&name], contents, "{name}");
    }
    assert_eq!(place.prove(), 1);
}

#[test]
fn init_where_nothing_may_be_written_says_which_file() {
    let server = server_of(1);
    let place = Place::new(&server.url());
    fs::create_dir(place.path()).unwrap();
    let nobody = Nobody::new(&place);
    chmod(place.path(), 0o555);
    let ran = run(nobody.runs(&place.command(&["init"]))).code(1);
    one_line(&ran, &["repository.json: cannot be written: Permission denied"]);
    assert_eq!(tree(place.path()).len(), 0);
    let mode = fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o555, "an existing directory keeps its mode");
}

#[test]
fn what_earlier_runs_left_under_temporary_names_is_removed_and_nothing_else() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let collection = place.path().join("collections/vectors");
    let stale = [
        collection.join(".vectors-2025-07-15-14-30-00.snapshot.gz.x.tmp"),
        place.path().join(".status.json.x.tmp"),
        place.path().join(".repository.json.x.tmp"),
    ];
    let kept = [collection.join("vectors-2025-07-15-14-30-00.snapshot.gz"), place.path().join(".env.tmp")];
    for path in stale.iter().chain(&kept) {
        put(path, "half");
    }
    let list = place.run(&["list"]).success();
    assert!(stale.iter().all(|path| path.exists()), "reading removes nothing: {list:?}");

    place.run(&["backup"]).success().says(&["Removed", "which a run that died left behind"]);

    assert!(stale.iter().all(|path| !path.exists()));
    assert!(kept.iter().all(|path| path.exists()), "an orphan may be the last copy");
    assert_eq!(place.temporary(), [".env.tmp"]);
    assert_eq!(place.prove(), 2);
}

#[test]
fn a_newest_backup_that_is_not_there_any_more_is_missed_by_status() {
    let scene = Scene::new();
    scene.backup().success();
    scene.place.run(&["status"]).success();
    scene.backup().success();
    assert_eq!(scene.place.backups(DOCS).len(), 2);
    let newest = scene.place.backups(DOCS).pop().unwrap().manifest.backup_id;
    let manifest = scene.place.layout().manifest(&CollectionName::new(DOCS).unwrap(), newest);
    fs::remove_file(&manifest).unwrap();
    let ran = scene.place.run(&["status"]);
    assert!(ran.stdout.contains(&format!("newest backup {newest} is MISSING")), "{}", ran.stdout);
}
