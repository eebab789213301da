//! Offsite copies with the real restic.

use std::fs;

use crate::documents::{commands, document};
use e2e::offsite::{Nas, Serving, configure};
use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn};
use e2e::running::PATIENCE;
use e2e::{Place, Ran, Running, Scene, eventually_within};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::{FailureKind, OffsiteRecord, Repository, atomic, json_file};
use rustix::process::Signal;
use serde_json::Value;

/// A server with genuine collections, backed up, and a place with an initialized repository.
fn backed_up(name: &str) -> (Scene<StandIn>, Nas) {
    let scene = Scene::sample();
    let nas = Nas::directory(&scene.place, name);
    configure(&scene.place, &[&nas], "");
    scene.place.run(&["offsite", "init", name]).success();
    (scene, nas)
}

/// The output of a command with `--json`.
fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// The number of copies in `offsite list`.
fn copies(place: &Place) -> usize {
    json(&place.run(&["offsite", "list", "--json"]).success()).as_array().unwrap().len()
}

fn record(place: &Place, collection: &str, nas: &str) -> Option<OffsiteRecord> {
    let backup = place.newest(collection);
    json_file::read(&place.layout().offsite(&backup.collection, backup.backup_id, nas)).ok()
}

#[test]
fn copies_of_two_backup_directories_in_one_place_are_told_apart() {
    let (first, nas) = backed_up("nas");
    first.place.run(&["backup"]).success();
    first.place.run(&["offsite", "copy"]).success();
    let one = first.place.run(&["offsite", "list"]).success();
    assert!(!one.stdout.contains("REPOSITORY"), "{}", one.stdout);

    let second = Scene::sample();
    configure(&second.place, &[&Nas::at(&second.place, "nas", nas.repository())], "");
    second.place.run(&["backup"]).success();
    second.place.run(&["offsite", "copy"]).success();
    let both = second.place.run(&["offsite", "list"]).success().stdout;
    assert!(both.lines().next().unwrap().ends_with("REPOSITORY"), "{both}");
    let ids = [&first, &second].map(|scene| {
        let path = scene.place.layout().repository_file();
        json_file::read::<Repository>(&path).unwrap().repository_id
    });
    for id in &ids {
        assert!(both.lines().any(|line| line.ends_with(id)), "{id}: {both}");
    }
    fs::remove_dir_all(second.place.path()).unwrap();
    let list = ["list", "--from", "nas"];
    second.place.run(&list).code(1).says(&["several backup directories", "--repository ID"]);
    second.place.run(&[&list[..], &["--repository", &ids[0]]].concat()).success();
}

#[test]
fn a_signal_ends_a_restore_from_a_place_with_its_own_exit_code() {
    let (scene, _nas) = backed_up("nas");
    scene.place.run(&["backup", "-c", "minilm_general"]).success();
    scene.place.run(&["offsite", "copy"]).success();
    let never = Fault::new(Effect::NeverAnswer).on(Endpoint::UploadSnapshot);
    scene.server.faults(|faults| faults.add(never));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        scene.server.clear_requests();
        let arguments = ["restore", "-c", "minilm_general", "--as", "again", "--from", "nas"];
        let running = Running::start(&mut scene.place.command(&arguments));
        eventually_within(PATIENCE, "an upload", || {
            (!scene.server.requests_matching("POST", "snapshots/upload").is_empty()).then_some(())
        });
        running.signal(signal);
        running.end().code(code).says(&["interrupted"]);
    }
}

#[test]
fn what_is_lost_with_the_whole_directory_comes_back_from_a_copy_point_by_point() {
    let Scene { server, place } = Scene::with_samples();
    let nas = Nas::directory(&place, "nas");
    let names = server.collections().to_vec();
    let include = format!("backup: {{include: {names:?}}}\n");
    configure(&place, &[&nas], &include);
    place.run(&["offsite", "init", "nas"]).success().says(&["Created", "Keep a copy of"]);
    place.run(&["offsite", "init", "nas"]).success().says(&["already"]);
    let before: Vec<Value> = names.iter().map(|name| server.points(name)).collect();
    place.run(&["run"]).success().says(&["Copied", "to nas"]).says(&["Place nas: 3 backups copied"]);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Offsite].last_outcome, Some(Outcome::Success));
    assert!(status.offsite["nas"].added_bytes_total > 0);
    assert!(record(&place, &names[1], "nas").unwrap().added_bytes > Some(0));
    let ids = place.ids(&names[1]);

    fs::remove_dir_all(place.path()).unwrap();
    for name in &names {
        server.delete(name);
    }
    let listed = json(&place.run(&["list", "--from", "nas", "--json"]).success());
    assert_eq!(listed["backups"].as_array().unwrap().len(), 3);
    let selection = server.selection();
    place
        .run(&[&["verify", "--from", "nas"], &selection[..]].concat())
        .success()
        .says(&["3 backups checked"]);
    let restored = place.run(&[&["restore", "--from", "nas"], &selection[..]].concat()).success();
    restored.says(&["Restore succeeded: 3 of 3"]);
    let after: Vec<Value> = names.iter().map(|name| server.points(name)).collect();
    assert_eq!(after, before);
    assert!(!place.path().exists(), "nothing was made there");

    place.run(&["offsite", "recover", "nas"]).success().says(&["now lists 3 backups that exist only in nas"]);
    let known = place.backups(&names[1]);
    assert!(known[0].is_offsite_only() && place.ids(&names[1]) == ids);
    let catalog = place.catalog();
    assert!(catalog.orphans.is_empty() && catalog.unreadable.is_empty(), "{catalog:?}");
    place.run(&["list"]).success();
    place.run(&["verify"]).success().says(&["Nothing to verify"]);
    let told = place.run(&[&["restore", "--force", "--no-safety-backup"], &selection[..]].concat()).code(1);
    told.says(&["exists only offsite: use --from nas"]);
    place.run(&["run"]).success().says(&["Place nas: 3 backups copied"]);
    assert_eq!(place.ids(&names[1]).len(), 2);
    assert_eq!(copies(&place), 6);
}

#[test]
fn what_is_there_is_not_copied_again_and_what_little_is_new_costs_little() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success().says(&["Place nas: 4 backups copied"]);
    place.run(&["offsite", "copy", "nas"]).success().says(&["nothing to do"]).never_says("Copied");
    assert_eq!(copies(place), 4);
    scene.backup().success();
    let again = json(&place.run(&["offsite", "copy", "--json"]).success());
    let report = &again["operations"][0]["places"][0];
    assert_eq!(report["copied"].as_array().unwrap().len(), 4);
    for copied in report["copied"].as_array().unwrap() {
        let (added, size) = (copied["added_bytes"].as_u64(), copied["snapshot_size_bytes"].as_u64());
        assert!(added < size.map(|size| size / 5), "the same data again: {copied}");
    }
    // restic's own list shows the same.
    let snapshots = json(&nas.restic(&["snapshots", "--json", "--tag", "qdrant-backup"]).success());
    assert_eq!(snapshots.as_array().unwrap().len(), 16);
}

#[test]
fn retention_takes_what_is_here_down_to_what_a_copy_has_and_the_place_by_its_own_rules() {
    let scene = Scene::new();
    let place = &scene.place;
    let (nas, far) = (
        Nas::directory(place, "nas").with("retention: {keep_last: 2}"),
        Nas::directory(place, "far").with("append_only: true"),
    );
    configure(place, &[&nas, &far], "retention: {keep_last: 1}\n");
    for name in ["nas", "far"] {
        place.run(&["offsite", "init", name]).success();
    }
    for _ in 0..4 {
        place.run(&["run"]).success();
    }
    let backups = place.backups("docs");
    assert_eq!(backups.len(), 4, "the place without retention has all copies");
    assert_eq!(backups.iter().filter(|backup| backup.is_good()).count(), 1);
    let of = |name: &str| backups.iter().filter(|backup| backup.copy_in(name).is_some()).count();
    assert_eq!((of("nas"), of("far")), (2, 4));
    assert!(backups[0].is_offsite_only() && backups[3].is_good());
    assert_eq!(place.stored().iter().filter(|file| file.ends_with(".gz")).count(), 1);
    place.run(&["offsite", "prune", "far"]).code(78).says(&["append-only"]);
    place.run(&["offsite", "prune", "nas"]).success().says(&["pruned"]);
    // A backup that exists only as a copy is read from the copy.
    let id = backups[0].backup_id.to_string();
    let out = place.beside("out.snapshot");
    let export = ["export", "--collection", "docs", "--backup", &id, "--output", out.to_str().unwrap()];
    place.run(&export).code(1).says(&["exists only offsite", "--from far"]);
    place.run(&[&export[..], &["--from", "far"]].concat()).success().says(&["digest matches the manifest"]);
    assert_eq!(fs::metadata(out).unwrap().len(), backups[0].snapshot_size_bytes);
}

#[test]
fn a_place_that_fails_stops_no_other_and_each_failure_has_its_own_words_and_code() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    let none = Nas::directory(place, "none");
    let wrong = Nas::at(place, "wrong", nas.repository());
    qdrant_backup_shared::atomic::write(wrong.password_file(), 0o600, b"another\n").unwrap();
    let missing = Nas::at(place, "missing", nas.repository()).with("restic: /nowhere/restic");
    let old = place.beside("old-restic");
    qdrant_backup_shared::atomic::write(
        &old,
        0o755,
        b"#!/bin/sh\necho 'restic 0.13.1 compiled with go1.18'\n",
    )
    .unwrap();
    let old = Nas::at(place, "old", nas.repository()).with(&format!("restic: {}", old.display()));
    let gone = Nas::at(place, "gone", "rest:http://me:s3cret-in-url@127.0.0.1:9/");
    configure(place, &[&none, &wrong, &missing, &old, &gone, &nas], "");
    place
        .run(&["offsite", "copy"])
        .code(3)
        .says(&["Place nas: 4 backups copied"])
        .says(&["ERROR", "Place none failed, in ", "there is no restic repository at", "offsite init none"])
        .never_says("nothing to do")
        .never_says("s3cret");
    assert_eq!(copies_of(&nas), 4);
    let kind = |name: &str| place.status().offsite[name].failure.clone().unwrap().kind;
    for (name, code, words, expected) in [
        ("none", 78, "there is no restic repository", FailureKind::OffsiteUnusable),
        ("wrong", 78, "does not open the repository", FailureKind::Unauthorized),
        ("missing", 78, "cannot start the program /nowhere/restic", FailureKind::OffsiteUnusable),
        ("old", 78, "is 0.13.1; restic 0.14 or newer is needed", FailureKind::OffsiteUnusable),
        ("gone", 1, "cannot reach the repository", FailureKind::Unreachable),
    ] {
        place.run(&["offsite", "copy", name]).code(code).says(&["ERROR", words]).never_says("s3cret");
        assert_eq!(kind(name), expected, "{name}");
        assert!(place.run(&["offsite", "list", name]).code != Some(0));
        place.run(&["restore", "--all", "--from", name]).says(&["ERROR", words]).never_says("s3cret");
    }
    place.run(&["offsite", "copy", "nobody"]).code(78).says(&[
        "there is no offsite place",
        "\"nobody\"",
        "the configured places are none, wrong",
    ]);
    let checked = place.run(&["config", "check"]);
    for line in ["ok    offsite", "FAIL  offsite"] {
        assert!(checked.stdout.contains(line), "{}", checked.stdout);
    }
    assert!(!checked.stdout.contains("s3cret") && !checked.stderr.contains("s3cret"));
}

/// The number of manifests in a repository according to restic.
fn copies_of(nas: &Nas) -> usize {
    let snapshots = json(&nas.restic(&["snapshots", "--json"]).success());
    let is_manifest = |snapshot: &&Value| {
        snapshot["paths"][0].as_str().is_some_and(|path| path.ends_with(".manifest.json"))
    };
    snapshots.as_array().unwrap().iter().filter(is_manifest).count()
}

#[test]
fn an_archive_that_is_damaged_here_is_not_copied_and_the_others_are() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    let archive = place.newest("mixtral_embeddings").archive;
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    qdrant_backup_shared::atomic::write(&archive, 0o600, &bytes).unwrap();
    place
        .run(&["offsite", "copy"])
        .code(4)
        .says(&["ERROR", "Copying mixtral_embeddings", "corrupt"])
        .says(&["Place nas partial, 3 backups copied"]);
    assert_eq!((copies(place), copies_of(&nas)), (3, 3));
    assert!(record(place, "mixtral_embeddings", "nas").is_none());
    let status = place.status();
    assert_eq!(status.offsite["nas"].failures[&FailureKind::ArchiveCorrupt], 1);
}

#[test]
fn a_manifest_or_record_that_cannot_be_read_is_a_failure_of_the_place_and_the_others_are_copied() {
    for of_record in [false, true] {
        let (Scene { server: _server, place }, _nas) = backed_up("nas");
        let names: Vec<String> = place.catalog().collection_names().map(ToString::to_string).collect();
        let torn = place.newest(&names[0]);
        let (collection, id) = (&torn.collection, torn.backup_id);
        let layout = place.layout();
        let file =
            if of_record { layout.verification(collection, id) } else { layout.manifest(collection, id) };
        atomic::write(&file, 0o640, b"{").unwrap();

        let said = place.run(&["offsite", "copy"]).code(3);

        said.says(&["ERROR: Place nas partial, ", &file.display().to_string()]);
        assert_eq!(copies(&place), names.len() - 1);
        assert_eq!(place.status().operations[&Operation::Offsite].last_outcome, Some(Outcome::Partial));
    }
}

#[test]
fn damage_in_the_repository_is_found_by_the_check_and_refused_by_the_restore() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success();
    place.run(&["offsite", "check", "nas"]).success().says(&["Read back everything in nas: no damage found"]);
    assert!(record(place, "mixtral_embeddings", "nas").unwrap().last_checked_at.is_some());
    nas.damage();
    place.run(&["offsite", "check", "nas"]).code(4).says(&["ERROR", "the repository is damaged"]);
    assert!(place.status().offsite["nas"].is_damaged());
    assert!(record(place, "mixtral_embeddings", "nas").unwrap().last_checked_at.is_none());
    let ran = place.run(&["verify", "--from", "nas", "--backup", "all"]);
    assert_ne!(ran.code, Some(0));
    ran.says(&["the repository is damaged"]);
    let other = StandIn::start(Setup::empty());
    let to = ["restore", "--all", "--from", "nas", "--to"];
    let ran = place.run(&[&to[..], &[&other.url()]].concat());
    assert_ne!(ran.code, Some(0));
    ran.says(&["the repository is damaged"]);
    place
        .run(&["offsite", "prune", "nas"])
        .code(1)
        .says(&["Place nas failed", "nothing is deleted in nas, because data there is damaged"]);
}

#[test]
fn a_hold_goes_with_its_copy_and_is_placed_again_when_the_directory_was_lost() {
    let scene = Scene::new();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas").with("retention: {keep_last: 1}");
    configure(place, &[&nas], "");
    place.run(&["offsite", "init", "nas"]).success();
    scene.backup().success();
    place.run(&["offsite", "copy", "nas"]).success();
    let held = place.newest("docs");
    let id = held.backup_id.to_string();
    let hold = place.layout().hold(&held.collection, held.backup_id);
    place.run(&["hold", &id, "-c", "docs", "--reason", "the audit"]).success();
    let placed = fs::read(&hold).unwrap();
    scene.backup().success();
    place.run(&["offsite", "copy", "nas"]).success();
    assert_eq!(copies(place), 2);

    fs::remove_dir_all(place.path()).unwrap();
    let lost = "is the disk mounted? If it is lost: `qdrant-backup offsite recover nas` makes it again";
    place.run(&["list"]).code(78).says(&[lost]).never_says("qdrant-backup init");
    let listed = place.run(&["list", "--from", "nas"]).success().stdout;
    assert!(listed.contains("copy, HELD") && listed.contains("STATE"), "{listed}");
    assert!(!listed.contains("STORED") && !listed.contains("never"), "{listed}");
    place
        .run(&["offsite", "recover", "nas"])
        .success()
        .says(&["Reading the manifests of 2 copies in nas"])
        .says(&["Placed 1 hold again, as nas has it"])
        .never_says("nothing to do");
    assert_eq!(fs::read(&hold).unwrap(), placed, "with its reason");
    place.run(&["offsite", "prune", "nas", "--yes"]).success();
    assert_eq!(copies(place), 2, "the hold counts there");

    // Even without the file: only a hold that was known here can have been released here.
    fs::remove_dir_all(place.path()).unwrap();
    place.run(&["offsite", "recover", "nas"]).success();
    place.run(&["unhold", &id, "-c", "docs"]).success();
    place.run(&["offsite", "copy", "nas"]).success();
    assert!(!hold.exists(), "what was released stays released");
    place.run(&["offsite", "prune", "nas", "--yes"]).success().says(&["1 copy deleted"]);
    assert_eq!(copies(place), 1);
    let left = json(&nas.restic(&["snapshots", "--json"]).success());
    assert_eq!(left.as_array().unwrap().len(), 2, "an archive and its manifest: {left}");
}

#[test]
fn a_prune_that_a_place_refuses_is_told_once_with_its_own_command_which_settles_it() {
    let scene = Scene::new();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas");
    configure(place, &[&nas], "");
    place.run(&["offsite", "init", "nas"]).success();
    for _ in 0..4 {
        scene.backup().success();
    }
    place.run(&["offsite", "copy", "nas"]).success();
    let nas = nas.with("retention: {keep_last: 1}");
    configure(place, &[&nas], "");

    let ran = place.run(&["run"]).code(3).never_says("prune --dry-run");
    let ran = ran.says(&["ERROR: Place nas", "4 of 5 copies of \"docs\" have expired"]);
    assert_eq!(ran.stderr.matches("have expired").count(), 1, "{}", ran.stderr);
    ran.says(&["`qdrant-backup offsite prune nas --yes` deletes them"]);
    let shown = place.run(&["status"]).success().stdout;
    assert!(shown.contains("Last run: partial") && shown.contains("prune_refused"), "{shown}");

    place.run(&["offsite", "prune", "nas", "--yes"]).success().says(&["4 copies deleted"]);
    let shown = place.run(&["status"]).success().stdout;
    assert!(shown.contains("Copies in nas: everything copied"), "{shown}");
    assert!(!shown.contains("prune_refused") && shown.contains("Last run: success"), "{shown}");
}

#[test]
fn a_repository_that_somebody_else_has_locked_is_left_alone() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success();
    // While restic waits for its standard input, it holds a lock.
    let mut command = nas.command(&["backup", "--stdin"]);
    let mut other = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let locks = || nas.restic(&["list", "locks", "--no-lock"]).stdout.lines().count();
    e2e::eventually("it has its lock", || locks() == 1);
    place.run(&["offsite", "check", "nas"]).code(75).says(&["ERROR", "locked by another process", "PID"]);
    assert_eq!(locks(), 1);
    other.kill().unwrap();
    other.wait().unwrap();
    // Now the lock is stale, and it is from this machine and user.
    place.run(&["offsite", "check", "nas"]).success().says(&["WARN", "Removing a lock"]);
    assert_eq!(locks(), 0);
}

#[test]
fn rclone_serves_a_place_and_append_only_is_no_failure() {
    let scene = Scene::new();
    let place = &scene.place;
    let path = place.beside("served");
    fs::create_dir(&path).unwrap();
    let serving = Serving::rclone(&path, &["--append-only", "--user", "me", "--pass", "s3cret-in-url"]);
    let url = format!("rest:http://me:s3cret-in-url@127.0.0.1:{}/", serving.port);
    let nas = Nas::at(place, "far", &url).with("append_only: true");
    configure(place, &[&nas], "retention: {keep_last: 1}\n");
    place.run(&["offsite", "init", "far"]).success().never_says("s3cret");
    for _ in 0..3 {
        place.run(&["run", "--log-level", "trace"]).success().never_says("s3cret");
    }
    assert_eq!(copies(place), 3);
    // In an append-only place restic cannot delete its own locks. The message is rclone's.
    let other = StandIn::start(Setup::empty());
    let out = place.run(&["restore", "--all", "--from", "far", "--to", &other.url()]).success();
    out.never_says("s3cret");
    drop(serving);
    let served = Serving::rclone(&path, &[]);
    let nas = Nas::at(place, "far", &format!("rest:http://127.0.0.1:{}/", served.port));
    configure(place, &[&nas], "retention: {keep_last: 1}\n");
    place.run(&["offsite", "prune", "far", "--yes"]).success().says(&["2 copies deleted"]);
    assert_eq!(copies(place), 1);
}

/// The procedure in docs/offsite.md, with only restic and curl, restores a collection.
#[test]
fn the_recipe_with_restic_and_curl_alone_brings_everything_back() {
    const COLLECTION: &str = "mixtral_embeddings";
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success();
    let manifest = place.newest(COLLECTION).manifest;
    let text = document("docs/offsite.md");
    let section =
        text.split("\n## ").find(|section| section.starts_with("Everything back")).expect("a section");
    let documented = "ce12198c41aae0907860f659e8f63e22892871317f376b3e892cab6474b975dd";
    let script = commands(section).join("\n");
    assert!(script.contains(documented) && !script.contains("qdrant-backup offsite"), "{script}");
    fs::remove_dir_all(place.path()).unwrap();
    let target = StandIn::start(Setup::empty());
    let password = nas.password_file().display().to_string();
    let values = [
        ("http://new-server:6333", target.url()),
        ("/mnt/nas/restic", nas.repository().to_owned()),
        ("/etc/qdrant-backup/restic-password", password),
        ("/var/tmp", place.beside("").display().to_string()),
        ("2026-11-21-02-00-00", manifest.backup_id.to_string()),
        (documented, manifest.archives[0].snapshot.sha256.to_string()),
    ];
    let script = values.iter().fold(script, |script, (documented, ours)| script.replace(documented, ours));
    let ran = Ran::of(
        std::process::Command::new("timeout")
            .args(["60", "sh", "-euc", &script])
            .env_clear()
            .env("HOME", place.beside(""))
            .env("PATH", "/usr/bin:/bin"),
    );
    let ran = ran.success();
    assert!(ran.stdout.contains(": OK\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(r#"{"count":250}"#), "{}", ran.stdout);
    assert_eq!(target.snapshot_names(COLLECTION), Vec::<String>::new());
}

#[test]
fn configuration_files_and_names_that_no_tag_can_hold_are_copied_and_come_back() {
    let name = "a,b=c d/é".replace('/', "-");
    let scene = Scene::of(
        Setup::empty().collection(e2e::scene::generated(&name)).collection(e2e::scene::generated("files")),
    );
    let place = &scene.place;
    let nas = Nas::directory(place, "nas");
    let pattern = place.beside("backup.yaml").display().to_string();
    configure(place, &[&nas], &format!("backup: {{include_files: [\"{pattern}\"]}}\n"));
    place.run(&["offsite", "init", "nas"]).success();
    place.run(&["run"]).success().says(&["Place nas: 3 backups copied"]);
    fs::remove_dir_all(place.path()).unwrap();
    place.run(&["offsite", "recover", "nas"]).success();
    assert!(place.newest(&name).is_offsite_only() && place.newest("files").is_offsite_only());
    let other = StandIn::start(Setup::empty());
    place.run(&["restore", "--all", "--from", "nas", "--to", &other.url()]).success();
    assert!(other.state(|state| state.collections.contains_key(&name)));
    let into = place.beside("into");
    place.run(&["restore", "--files", "--into", into.to_str().unwrap(), "--from", "nas"]).success();
    let restored = into.join(pattern.trim_start_matches('/'));
    assert_eq!(fs::read(restored).unwrap(), fs::read(&pattern).unwrap());
}

#[test]
fn a_drill_and_a_dry_run_read_from_a_place_too_and_what_exists_is_not_overwritten_unasked() {
    let (scene, _nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success();
    let drills = StandIn::start(Setup::empty());
    let collection = ["--collection", "mixtral_embeddings", "--from", "nas"];
    place
        .run(&[&["drill", "--to", &drills.url()], &collection[..]].concat())
        .success()
        .says(&["Drill", "passed"]);
    place.run(&[&["restore", "--dry-run", "--to", &drills.url()], &collection[..]].concat()).success();
    place
        .run(&[&["restore", "--force"], &collection[..]].concat())
        .code(2)
        .says(&["needs --no-safety-backup"]);
    place
        .run(&[&["restore", "--force", "--no-safety-backup"], &collection[..]].concat())
        .success()
        .says(&["Restore succeeded"]);
    assert!(place.newest("mixtral_embeddings").verification.is_none(), "nothing is recorded here");
}

#[test]
fn more_than_half_may_go_here_once_the_copies_of_it_were_read_back() {
    let scene = Scene::new();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas").with("retention: {keep_last: 9}");
    configure(place, &[&nas], "retention: {keep_last: 1}\n");
    place.run(&["offsite", "init", "nas"]).success();
    for _ in 0..4 {
        scene.backup().success();
    }
    place.run(&["offsite", "copy"]).success();
    place.run(&["prune"]).code(1).says(&["3 of 4 good backups have expired"]);
    place.run(&["offsite", "check", "nas"]).success();
    place.run(&["prune"]).success().says(&["Deleted backup", "copies stay in nas"]);
    let backups = place.backups("docs");
    assert_eq!(backups.iter().filter(|backup| backup.is_offsite_only()).count(), 3);
    place.run(&["verify", "--backup", "all"]).success().says(&["1 backup checked"]);
    let id = backups[0].backup_id.to_string();
    let verify = ["verify", "--collection", "docs", "--backup", &id];
    place.run(&verify).code(1).says(&["only offsite", "--from nas"]);
    place.run(&[&verify[..], &["--from", "nas"]].concat()).success().says(&["1 backup checked"]);
    let listed = json(&place.run(&["list", "--json"]).success());
    assert_eq!(listed["backups"][0]["condition"], "offsite_only");
    assert_eq!(listed["backups"][0]["offsite"][0], "nas");
    place.run(&["status"]).success();
}

#[test]
fn copies_in_a_place_that_is_gone_or_no_longer_configured_replace_nothing_here() {
    let scene = Scene::new();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas").with("retention: {keep_last: 9}");
    configure(place, &[&nas], "retention: {keep_last: 9}\n");
    place.run(&["offsite", "init", "nas"]).success();
    for _ in 0..4 {
        scene.backup().success();
    }
    place.run(&["offsite", "copy"]).success();
    place.run(&["offsite", "check", "nas"]).success();

    place.configure("retention: {keep_last: 1}\n");
    place.run(&["prune"]).code(1).says(&["3 of 4 good backups have expired"]);
    configure(place, &[&nas], "retention: {keep_last: 1}\n");
    atomic::rename_new(&place.beside("restic-nas"), &place.beside("unmounted")).unwrap();
    place.run(&["run"]).code(3).says(&["of 5 good backups have expired"]);
    assert!(place.backups("docs").iter().all(|backup| !backup.is_offsite_only()));
}

#[test]
fn what_somebody_else_has_deleted_or_put_there_is_known_after_the_next_copying() {
    let (scene, nas) = backed_up("nas");
    let place = &scene.place;
    place.run(&["offsite", "copy"]).success();
    let gone = record(place, "mixtral_embeddings", "nas").unwrap();
    nas.restic(&["forget", &gone.manifest_snapshot]).success();
    assert_eq!(copies(place), 3);
    place
        .run(&["offsite", "copy"])
        .success()
        .says(&["WARN", "\"mixtral_embeddings\"", "is missing: someone else deleted it"])
        .says(&["Place nas: 1 backup copied"]);
    let record_path = |collection: &str| {
        let backup = place.newest(collection);
        place.layout().offsite(&backup.collection, backup.backup_id, "nas")
    };
    fs::remove_file(record_path("mixtral_embeddings")).unwrap();
    qdrant_backup_shared::atomic::write(&record_path("minilm_general"), 0o640, b"{").unwrap();
    place.run(&["offsite", "copy"]).success().says(&["nothing to do"]);
    assert!(record(place, "mixtral_embeddings", "nas").is_some());
    assert!(record(place, "minilm_general", "nas").is_some());
    // Another repository with the same name, as after a disk was replaced.
    let other = Nas::at(place, "nas", &place.beside("replaced").display().to_string());
    configure(place, &[&other], "");
    place.run(&["offsite", "init", "nas"]).success();
    place.run(&["offsite", "copy"]).success().says(&["Place nas: 4 backups copied"]);
    let now = record(place, "mixtral_embeddings", "nas").unwrap();
    assert_ne!(now.repository, gone.repository);
}
