//! Retention, holds, orphans, leftovers and retirement.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]

use std::fs;

use e2e::qdrant_stand_in::{Content, Endpoint, Fault, Setup, StandIn};
use e2e::{Place, Planted, Ran, Running, Scene};
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::status::{CollectionStatus, CurrentRun, PrunedBackup, ServerSnapshot, Status};
use qdrant_backup_shared::{CollectionName, Failure, FailureKind};
use rustix::process::Signal;
use serde_json::Value;

/// Nothing listens there, and nothing may connect.
const NO_SERVER: &str = "http://127.0.0.1:9";
const SEVEN_DAYS: &str = "qdrant:\n  retries: 0\nretention:\n  keep_days: 7\n";
const ONE: &str = "qdrant:\n  retries: 0\nretention:\n  keep_last: 1\n";

fn place(configuration: &str) -> Place {
    let place = Place::initialised(NO_SERVER);
    place.configure(configuration);
    place.plant_status();
    place
}

fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

/// Changes the status, as an earlier run would.
fn tell(place: &Place, change: impl FnOnce(&mut Status)) {
    let path = place.layout().status_file();
    let mut status =
        json_file::read(&path).unwrap_or_else(|_| Status::new("0.0.0".to_owned(), "host".to_owned()));
    change(&mut status);
    json_file::write(&path, &status).unwrap();
}

fn fates(json: &str) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(json).unwrap();
    let collections = report["operations"][0]["collections"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    collections
        .iter()
        .flat_map(|collection| collection["fates"].as_array().cloned().unwrap_or_default())
        .map(|fate| {
            let reasons: Vec<String> = fate["reasons"].as_array().unwrap().iter().map(text).collect();
            (text(&fate["backup_id"]), text(&fate["fate"]), reasons.join("; "))
        })
        .collect()
}

#[test]
fn a_dry_run_tells_every_fate_and_changes_nothing_and_the_prune_does_just_that() {
    let place = place(SEVEN_DAYS);
    place.plant_daily("docs", "2025-07-01", 10);
    place.plant("docs", "2025-06-01T00:00:00Z", Planted::Verified);
    place.plant("docs", "2025-06-02T00:00:00Z", Planted::Failed);
    place.plant("docs", "2025-06-03T00:00:00Z", Planted::Incomplete);
    place.plant("docs", "2025-07-11T00:00:00Z", Planted::Failed);
    place.plant("docs", "2099-07-11T00:00:00Z", Planted::Good);
    let before = place.contents();

    let dry = place.run(&["prune", "--dry-run"]).success();
    for words in [
        "docs        2099-07-11-00-00-00    24 B  keep    dated in the future: was a clock wrong?",
        "docs        2025-07-11-00-00-00    24 B  keep    newer than the newest good backup",
        "keep    newest good; within 7 d of the newest good backup",
        "keep    newest verified",
        "delete  expired, failed verification: more than 38 d older than the newest good backup, and no rule keeps it",
        "delete  expired, incomplete: more than 37 d older",
    ] {
        assert!(dry.stdout.contains(words), "{words:?} is not in\n{}", dry.stdout);
    }
    let json = fates(&place.run(&["prune", "--dry-run", "--json"]).success().stdout);
    assert_eq!(json.len(), 15);
    assert_eq!(place.contents(), before, "not even a status or a lock");

    let pruned = place.run(&["prune", "--json"]).success().says(&["Prune succeeded: deleted 4 backups"]);
    let kept: Vec<String> =
        json.iter().filter(|(_, fate, _)| fate == "keep").map(|(id, _, _)| id.clone()).collect();
    let mut left = place.ids("docs");
    left.reverse();
    assert_eq!(left, kept);
    let after = fates(&pruned.stdout);
    for ((id, fate, reasons), (after_id, after_fate, after_reasons)) in json.iter().zip(&after) {
        assert_eq!((id, reasons), (after_id, after_reasons));
        assert_eq!(after_fate, if fate == "delete" { "deleted" } else { "keep" });
    }
    assert_eq!(place.stored().iter().filter(|name| name.contains("2025-06-02")).count(), 0);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Prune].last_outcome, Some(Outcome::Success));
    assert!(status.pruning.is_empty());

    let again = place.run(&["prune"]).success().says(&["deleted 0 backups"]);
    assert!(!again.stdout.contains("delete"), "{}", again.stdout);
}

#[test]
fn no_rule_is_an_error_and_not_keep_none() {
    let place = place("qdrant:\n  retries: 0\n");
    place.plant_daily("docs", "2025-07-01", 3);
    for arguments in [&["prune"][..], &["prune", "--dry-run"], &["prune", "--yes"]] {
        place.run(arguments).code(78).says(&["no retention rule is set", "BACKUP_RETENTION_DAYS"]);
    }
    assert_eq!(place.ids("docs").len(), 3);
    Ran::of(place.command(&["prune"]).env("BACKUP_RETENTION_DAYS", "7")).success();
}

#[test]
fn overrides_are_for_the_collections_they_match_and_the_rest_without_rules_fails() {
    let place = place("retention:\n  overrides:\n    - match: \"logs-*\"\n      keep_days: 3\n");
    place.plant_daily("logs-a", "2025-07-01", 6);
    place.plant_daily("docs", "2025-07-01", 6);
    place.run(&["prune"]).code(3).says(&["Pruning docs failed: no retention rule is set"]);
    assert_eq!((place.ids("logs-a").len(), place.ids("docs").len()), (4, 6));
    place.run(&["prune", "--collection", "logs-a"]).success();
    place
        .run(&["prune", "--collection", "nothing"])
        .code(1)
        .says(&["there is no collection \"nothing\" among the backups"]);
    place.configure("retention:\n  overrides:\n    - match: \"[\"\n      keep_days: 3\n");
    place.run(&["prune"]).code(78).says(&["backup.yaml:3: retention.overrides: match: not a glob"]);
}

#[test]
fn more_than_half_is_only_deleted_when_told_to() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 3);
    place.plant_daily("wiki", "2025-07-01", 2);
    place.run(&["prune"]).code(3).says(&["Pruning docs failed: 2 of 3 good backups", "prune --yes"]);
    assert_eq!(place.ids("docs").len(), 3, "nothing of it is deleted");
    assert_eq!(place.ids("wiki"), ["2025-07-02-12-00-00"], "half is not more than half");
    let status = place.status();
    assert_eq!(status.operations[&Operation::Prune].last_outcome, Some(Outcome::Partial));
    place.run(&["prune", "--dry-run"]).success().says(&["\"docs\" would not be pruned: 2 of 3"]);
    place.run(&["prune", "--dry-run", "--yes"]).success().never_says("would not be pruned");
    place.run(&["prune", "--yes"]).success();
    assert_eq!(place.ids("docs"), ["2025-07-03-12-00-00"]);
}

#[test]
fn nothing_is_pruned_while_the_source_has_changed() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 2);
    tell(&place, |status| status.source_changed = true);
    let dry = place.run(&["prune", "--dry-run"]).success().says(&["accept-source"]);
    assert!(dry.stdout.contains("keep  nothing is pruned: the source has changed"), "{}", dry.stdout);
    place.run(&["prune", "--yes"]).code(1).says(&["nothing is pruned", "accept-source"]);
    assert_eq!(place.ids("docs").len(), 2);
}

#[test]
fn a_collection_whose_last_backup_failed_or_that_is_gone_is_not_pruned() {
    let place = place(ONE);
    for collection in ["failed", "full", "gone", "well"] {
        place.plant_daily(collection, "2025-07-01", 2);
    }
    tell(&place, |status| {
        let entry = |last_outcome, on_server| CollectionStatus {
            last_outcome: Some(last_outcome),
            on_server: Some(on_server),
            ..CollectionStatus::default()
        };
        let failed = |kind| CollectionStatus {
            failure: Some(Failure { kind, message: "why".to_owned() }),
            ..entry(Outcome::Failed, true)
        };
        status.collections.insert(name("failed"), failed(FailureKind::Timeout));
        // The next backup needs the space that only a prune makes.
        status.collections.insert(name("full"), failed(FailureKind::NoSpace));
        status.collections.insert(name("gone"), entry(Outcome::Success, false));
        status.collections.insert(name("well"), entry(Outcome::Success, true));
    });
    let ran = place.run(&["prune", "--yes"]).success();
    let ran = ran.says(&["Not pruning failed: its last backup did not succeed"]);
    assert!(ran.stdout.contains("nothing is pruned: it is gone from the server"), "{}", ran.stdout);
    let left = ["failed", "full", "gone", "well"].map(|collection| place.ids(collection).len());
    assert_eq!(left, [2, 1, 2, 1]);
}

#[test]
fn a_held_backup_stays_until_it_is_released() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 2);
    let arguments = ["hold", "2025-07-01-12-00-00", "--collection", "docs", "--reason", "before the move"];
    // Also during a run, when it matters most.
    let lock = fs::File::create(place.layout().lock_file()).unwrap();
    lock.lock().unwrap();
    place.run(&arguments).success();
    drop(lock);
    let list = place.run(&["list"]).success().stdout;
    assert!(list.contains("never, HELD: before the move"), "{list}");
    let list: Value = serde_json::from_str(&place.run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(list["backups"][0]["held"], "before the move");
    assert_eq!(list["backups"][1]["held"], Value::Null);

    let ran = place.run(&["prune", "--yes"]).success();
    assert!(ran.stdout.contains("held: before the move"), "{}", ran.stdout);
    assert_eq!(place.ids("docs").len(), 2);

    place.run(&["unhold", "2025-07-01-12-00-00", "--collection", "docs"]).success();
    place
        .run(&["unhold", "2025-07-01-12-00-00", "--collection", "docs"])
        .success()
        .says(&["was not on hold"]);
    place
        .run(&["hold", "2025-07-09-12-00-00", "-c", "docs"])
        .code(1)
        .says(&["has no backup 2025-07-09-12-00-00"]);
    place.run(&["hold", "yesterday", "-c", "docs"]).code(1).says(&["not a backup id"]);
    place.run(&["prune", "--yes"]).success();
    assert_eq!(place.ids("docs").len(), 1);
    assert!(place.stored().iter().all(|name| !name.ends_with(".hold.json")));
}

#[test]
fn what_is_being_read_is_not_deleted() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 2);
    let orphan = place.plant("docs", "2025-06-01T00:00:00Z", Planted::Orphan);
    let readers = fs::File::create(place.layout().readers_file()).unwrap();
    readers.lock_shared().unwrap();
    let ran =
        place.run(&["prune"]).success().says(&["archives are being read", "the next prune deletes them"]);
    assert!(ran.stdout.contains("delete  expired"), "{}", ran.stdout);
    place.run(&["prune", "--orphans", "--yes"]).code(75).says(&["archives are being read"]);
    assert_eq!(place.ids("docs").len(), 2);
    drop(readers);
    place.run(&["prune"]).success();
    assert_eq!(place.ids("docs").len(), 1);
    assert!(orphan.exists(), "an orphan is only reported");
}

#[test]
fn orphans_and_unreadable_manifests_are_reported_and_only_orphans_can_be_deleted() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 2);
    let orphan = place.plant("docs", "2025-06-01T00:00:00Z", Planted::Orphan);
    let torn = place.plant("docs", "2025-06-02T00:00:00Z", Planted::Good);
    let manifest = place.layout().manifest(&name("docs"), "2025-06-02-00-00-00".parse().unwrap());
    fs::File::options().write(true).open(&manifest).unwrap().set_len(10).unwrap();
    place
        .run(&["prune", "--yes"])
        .success()
        .says(&["1 archives without a manifest", "prune --orphans"])
        .says(&["2025-06-02-00-00-00.manifest.json", "not a valid backup manifest"]);
    let listed = place.run(&["prune", "--orphans"]).success();
    assert!(listed.stdout.contains("docs-2025-06-01-00-00-00.snapshot.gz"), "{}", listed.stdout);
    assert_eq!(listed.stdout.lines().count(), 2);
    assert!(orphan.exists());
    place
        .run(&["prune", "--orphans", "--yes"])
        .success()
        .says(&["Deleted", "docs-2025-06-01-00-00-00.snapshot.gz"]);
    assert!(!orphan.exists() && torn.exists() && manifest.exists());
    assert_eq!(place.ids("docs").len(), 1);
    place.run(&["prune", "--orphans", "--yes"]).success().says(&["no archives without a manifest"]);
}

#[test]
fn what_a_killed_prune_had_decided_on_is_finished_and_no_other_orphan() {
    let place = place(ONE);
    place.plant_daily("docs", "2025-07-01", 2);
    let decided = place.plant("docs", "2025-06-01T00:00:00Z", Planted::Orphan);
    let other = place.plant("docs", "2025-06-02T00:00:00Z", Planted::Orphan);
    let noted = |id: &str| PrunedBackup { collection: name("docs"), backup_id: id.parse().unwrap() };
    tell(&place, |status| {
        // The second backup still exists: it was not yet deleted.
        status.pruning = vec![noted("2025-06-01-00-00-00"), noted("2025-07-02-12-00-00")];
    });
    place
        .run(&["prune"])
        .success()
        .says(&["Removed what an earlier prune left of backup 2025-06-01-00-00-00"]);
    assert!(!decided.exists() && other.exists());
    assert_eq!(place.ids("docs"), ["2025-07-02-12-00-00"]);
    assert!(place.status().pruning.is_empty());
}

#[test]
fn a_prune_killed_anywhere_is_finished_by_the_next() {
    for round in 0..6_u64 {
        let place = place(SEVEN_DAYS);
        place.plant_daily("docs", "2024-01-01", 200);
        let mut running = Running::start(&mut place.command(&["prune", "--yes"]));
        running.until_it_says("Deleted backup");
        // Each round kills at another point of the deletion.
        std::thread::sleep(std::time::Duration::from_micros(round * 700));
        assert_eq!(running.end_with(Signal::KILL).code, None, "most backups were not deleted yet");
        let good = place.backups("docs").iter().filter(|backup| backup.is_good()).count();
        assert!(good >= 8, "{good}");
        assert!(place.catalog().orphans.len() <= 1, "{:?}", place.catalog().orphans);
        place.run(&["prune", "--yes"]).success();
        let catalog = place.catalog();
        assert!(catalog.orphans.is_empty() && catalog.unreadable.is_empty(), "{catalog:?}");
        assert_eq!(place.ids("docs").len(), 8);
        assert_eq!(place.stored().len(), 16, "nothing else is left: {:?}", place.stored());
    }
}

#[test]
fn a_prune_that_is_asked_to_end_ends_between_two_backups() {
    for round in 0..4_u64 {
        let place = place(SEVEN_DAYS);
        place.plant_daily("docs", "2024-01-01", 200);
        let mut running = Running::start(&mut place.command(&["prune", "--yes"]));
        running.until_it_says("Deleted backup");
        std::thread::sleep(std::time::Duration::from_millis(round));
        running.end_with(Signal::TERM).code(143).says(&["Prune interrupted by a signal"]);
        let catalog = place.catalog();
        assert!(catalog.orphans.is_empty() && catalog.unreadable.is_empty(), "{catalog:?}");
        assert!(place.status().pruning.is_empty());
        let status = place.status();
        assert_eq!(status.operations[&Operation::Prune].last_outcome, Some(Outcome::Interrupted));
        assert!(place.ids("docs").len() > 8);
        place.run(&["prune", "--yes"]).success();
        assert_eq!(place.ids("docs").len(), 8);
    }
}

fn with_leftovers() -> (StandIn, Place, ServerSnapshot, ServerSnapshot) {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    let mut all = Vec::new();
    for file in
        ["minilm_general-1-2025-07-15-14-30-00.snapshot", "minilm_general-1-2025-07-16-14-30-00.snapshot"]
    {
        server.add_snapshot("minilm_general", file, Content::bytes(file.as_bytes().to_vec()));
        let stored = server.snapshots("minilm_general");
        let checksum = stored.iter().find(|snapshot| snapshot.name == file).unwrap().content.sha256();
        all.push(ServerSnapshot {
            collection: name("minilm_general"),
            shard_id: None,
            node_url: format!("{}/", server.url().trim_end_matches('/')),
            name: file.to_owned(),
            checksum: Some(checksum.parse().unwrap()),
        });
    }
    let suspected = all.remove(1);
    (server, place, all.remove(0), suspected)
}

#[test]
fn leftovers_on_the_server_are_listed_and_then_deleted_if_they_are_still_the_same() {
    let (server, place, ours, suspected) = with_leftovers();
    let elsewhere = ServerSnapshot { node_url: "http://other:6333/".to_owned(), ..ours.clone() };
    let mut replaced = suspected.clone();
    replaced.checksum = ours.checksum;
    tell(&place, |status| {
        status.undeleted_snapshots = vec![ours.clone(), elsewhere.clone()];
        status.suspected_leftovers = vec![replaced.clone()];
    });
    server.clear_requests();
    let listed = place.run(&["prune", "--server-leftovers"]).success();
    assert!(listed.stdout.contains("ours           there"), "{}", listed.stdout);
    assert!(listed.stdout.contains("possibly ours  another snapshot has its name"), "{}", listed.stdout);
    assert!(listed.stdout.contains("unknown: another URL"), "{}", listed.stdout);
    assert!(server.requests_matching("DELETE", "").is_empty());

    place
        .run(&["prune", "--server-leftovers", "--yes"])
        .success()
        .says(&["Deleted snapshot minilm_general-1-2025-07-15-14-30-00.snapshot"])
        .says(&["Another snapshot of minilm_general is now called", "left alone"]);
    assert_eq!(server.snapshot_names("minilm_general"), std::slice::from_ref(&suspected.name));
    let status = place.status();
    assert_eq!(status.undeleted_snapshots, [elsewhere]);
    assert!(status.suspected_leftovers.is_empty());

    tell(&place, |status| status.suspected_leftovers = vec![suspected]);
    place.run(&["prune", "--server-leftovers", "--yes"]).success();
    assert!(server.snapshot_names("minilm_general").is_empty());
}

/// A run that has died, as recorded in the status.
fn dead_run() -> CurrentRun {
    CurrentRun {
        run_id: "f5d5b4b2-0000-4000-8000-000000000000".to_owned(),
        command: "backup".to_owned(),
        pid: 1,
        operation: Operation::Backup,
        stage: Stage::Download,
        collection: Some(name("minilm_general")),
        creating: None,
        also_creating: Vec::new(),
        started_at: "2025-07-15T14:30:00Z".parse().unwrap(),
        heartbeat_at: "2025-07-15T14:31:00Z".parse().unwrap(),
    }
}

#[test]
fn what_a_person_does_to_the_repository_is_no_run_and_tells_of_none() {
    let server = StandIn::start(Setup::sample());
    let place = Place::initialised(&server.url());
    place.run(&["backup"]).success();
    place.plant_daily("old", "2025-07-01", 1);
    tell(&place, |status| status.current_run = Some(dead_run()));
    let unfinished = place
        .layout()
        .collection(&name("minilm_general"))
        .join(".minilm_general-2025-07-15-14-30-00.snapshot.gz.x7Yz.tmp");
    fs::write(&unfinished, "half").unwrap();
    let before = place.status();

    for arguments in [
        &["accept-source"][..],
        &["prune", "--server-leftovers", "--yes"],
        &["prune", "--bad", "--yes"],
        &["prune", "--retire", "old"],
        &["prune", "--retire", "old", "--yes"],
    ] {
        place.run(arguments).success().never_says("died");
        let after = place.status();
        assert_eq!(after.current_run, before.current_run, "{arguments:?}");
        assert_eq!(after.last_run, before.last_run, "{arguments:?}");
        assert_eq!(after.operations, before.operations, "{arguments:?}");
        assert!(unfinished.exists(), "{arguments:?}");
    }

    place.run(&["backup"]).success().says(&["died in stage download of \"minilm_general\""]);
    assert!(!unfinished.exists());
}

#[test]
fn a_collection_that_is_gone_can_be_retired_and_then_deleted() {
    let Scene { server: _server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.plant_daily("old", "2025-07-01", 3);
    place.run(&["backup"]).success().says(&["\"old\" is no longer on the server"]);
    assert!(place.status().collections[&name("old")].gone_since.is_some());
    place.run(&["prune", "--retire", "minilm_general"]).code(1).says(&["is on the server"]);
    place.run(&["prune", "--retire", "nonesuch"]).code(1).says(&["takes names and globs"]);

    place.run(&["prune", "--retire", "old"]).success().says(&["Its 3 backups", "are kept"]);
    assert_eq!(place.ids("old").len(), 3);
    assert!(!place.status().collections.contains_key(&name("old")));
    place.run(&["backup"]).success().never_says("\"old\"");
    assert!(!place.status().collections.contains_key(&name("old")), "it stays retired");
    let status = place.run(&["status"]).success().stdout;
    assert!(status.contains("retired") && !status.contains("gone from the server"), "{status}");
    place.configure(ONE);
    place.run(&["prune", "--yes"]).success();
    assert_eq!(place.ids("old").len(), 3, "retention does not touch retired collections");

    place.run(&["hold", "2025-07-02-12-00-00", "-c", "old"]).success();
    place.run(&["prune", "--retire", "old", "--yes"]).code(1).says(&["2025-07-02-12-00-00 is on hold"]);
    assert_eq!(place.ids("old").len(), 3);
    place.run(&["unhold", "2025-07-02-12-00-00", "-c", "old"]).success();
    place.run(&["prune", "--retire", "old", "--yes"]).success().says(&["Retired old: deleted 3 backups"]);
    assert!(place.stored().iter().all(|file| !file.contains("old")));
    assert!(place.status().retired_collections.is_empty() && place.status().pruning.is_empty());
    assert!(!place.layout().collection(&name("old")).exists());
}

#[test]
fn globs_and_several_names_are_retired_at_once_but_for_what_is_on_the_server() {
    let Scene { server: _server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.run(&["backup"]).success();
    for collection in ["up-1", "up-2", "up-3", "old", "mixtral_old", "a[b"] {
        place.plant_daily(collection, "2025-07-01", 1);
    }

    place
        .run(&["prune", "--retire", "up-[12]", "old", "--retire", "m*", "a[b"])
        .success()
        .says(&["Not retired", "m*"]);

    let retired: Vec<String> =
        place.status().retired_collections.iter().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(retired, ["a[b", "mixtral_old", "old", "up-1", "up-2"]);
    place.run(&["prune", "--retire", "up-*", "--yes"]).success();
    assert!(place.ids("up-1").is_empty() && place.ids("up-3").is_empty());
    assert_eq!(place.ids("old").len(), 1);
    place
        .run(&["prune", "--retire", "minilm*"])
        .code(1)
        .says(&["match but are, or may be, on the server: 1"]);
}

#[test]
fn all_collections_that_were_deleted_on_purpose_can_be_retired_and_runs_succeed_again() {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.configure(ONE);
    place.run(&["backup"]).success();
    server.state(|state| state.collections.clear());
    place.run(&["backup"]).code(1).says(&["has no collections", "prune --retire \"*\""]);

    place
        .run(&["prune", "--retire", "*", "--yes"])
        .code(1)
        .says(&["is this the right server", "Nothing was deleted"]);
    place.run(&["prune", "--retire", "*"]).success();

    place.run(&["backup"]).success().says(&["0 of 0 collections"]);
    assert!(place.prove() > 1, "nothing was deleted");
    place.run(&["prune", "--retire", "*", "--yes"]).success();
    assert_eq!(place.stored(), Vec::<String>::new());
}

#[test]
fn without_an_answer_of_the_server_only_what_is_known_to_be_gone_is_retired() {
    let place = place(ONE);
    place.plant_daily("gone", "2025-07-01", 1);
    place.plant_daily("there", "2025-07-01", 1);
    place.plant_daily("unknown", "2025-07-01", 1);
    tell(&place, |status| {
        let entry =
            |on_server| CollectionStatus { on_server: Some(on_server), ..CollectionStatus::default() };
        status.collections.insert(name("gone"), entry(false));
        status.collections.insert(name("there"), entry(true));
    });
    place.run(&["prune", "--retire", "there"]).code(1).says(&["was on the server"]);
    place.run(&["prune", "--retire", "unknown"]).code(1).says(&["cannot tell whether", "is gone"]);
    place.run(&["prune", "--retire", "gone"]).success();
}

/// A collection that earlier runs have recorded as gone for this many days.
fn gone_for(days: i64, place: &Place, outcome: Outcome) {
    tell(place, |status| {
        let entry = CollectionStatus {
            on_server: Some(false),
            gone_since: Some(chrono::Utc::now() - chrono::TimeDelta::days(days)),
            gone_looked_at: Some(chrono::Utc::now()),
            gone_looks: 5,
            ..CollectionStatus::default()
        };
        status.collections.insert(name("gone"), entry);
        status.operations.entry(Operation::Backup).or_default().last_outcome = Some(outcome);
    });
}

#[test]
fn backups_of_what_has_been_gone_for_long_expire_where_the_settings_say_so() {
    let settings = format!("{ONE}  gone_after_days: 30\n");
    for (days, outcome, settings, left) in [
        (31, Outcome::Success, settings.as_str(), 1),
        (31, Outcome::Partial, &settings, 1),
        (29, Outcome::Success, &settings, 3),
        (31, Outcome::Failed, &settings, 3),
        (31, Outcome::Success, ONE, 3),
    ] {
        let place = place(settings);
        place.plant_daily("gone", "2025-07-01", 3);
        place.run(&["hold", "2025-07-02-12-00-00", "-c", "gone"]).success();
        gone_for(days, &place, outcome);
        let dry = place.run(&["prune", "--dry-run"]).success().stdout;
        assert_eq!(dry.contains("expired: gone from the server for 31 d"), left == 1, "{dry}");
        place.run(&["prune"]).success();
        assert_eq!(place.ids("gone").len(), left, "{days} {settings}");
    }
    let place = place(&settings);
    place.plant_daily("gone", "2025-07-01", 3);
    gone_for(31, &place, Outcome::Success);
    tell(&place, |status| status.source_changed = true);
    place.run(&["prune"]).code(1);
    assert_eq!(place.ids("gone").len(), 3);
    tell(&place, |status| status.source_changed = false);
    place.run(&["prune"]).success().says(&["Deleted backup", "gone from the server for 31 d"]);
    assert!(!place.status().collections.contains_key(&name("gone")));
    assert!(!place.layout().collection(&name("gone")).exists());
}

#[test]
fn one_look_an_old_look_or_a_wrong_clock_do_not_make_backups_expire() {
    let settings = format!("{ONE}  gone_after_days: 30\n");
    type Change = fn(&mut CollectionStatus);
    let changes: [(Change, &str); 3] = [
        (|entry| entry.gone_looks = 4, "seen gone by too few runs"),
        (
            |entry| entry.gone_looked_at = entry.gone_looked_at.map(|at| at - chrono::TimeDelta::days(3)),
            "long ago",
        ),
        (|entry| entry.gone_since = Some(chrono::DateTime::UNIX_EPOCH), "before its newest backup"),
    ];
    for (change, why) in changes {
        let place = place(&settings);
        let newest = chrono::Utc::now() - chrono::TimeDelta::days(29);
        place.plant("gone", &newest.to_rfc3339(), Planted::Verified);
        gone_for(31, &place, Outcome::Success);
        tell(&place, |status| change(status.collections.get_mut(&name("gone")).unwrap()));
        place.run(&["prune"]).success().never_says("Deleted");
        assert_eq!(place.ids("gone").len(), 1, "{why}");
    }
}

#[test]
fn another_server_does_not_show_what_is_gone() {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.run(&["backup"]).success();
    let ids = place.ids("minilm_general");
    let other = StandIn::start(Setup::sample());
    other.set_peer_id(42);
    other.state(|state| state.collections.retain(|name, _| name == "mixtral_embeddings"));
    let url = other.url();
    for more in [&["--yes"][..], &[]] {
        let retire = [&["prune", "--retire", "minilm*", "--url", &url], more].concat();
        place.run(&retire).code(1).says(&["is not the server that these backups came from", "accept-source"]);
    }
    // A key that may not see the peers.
    other.faults(|faults| faults.add(Fault::status(403).on(Endpoint::CollectionCluster)));
    let retire = ["prune", "--retire", "minilm*", "--url", &url, "--yes"];
    place.run(&retire).code(1).says(&["is this the right server?", "Nothing was deleted"]);
    assert_eq!(place.ids("minilm_general"), ids);
    assert_eq!(place.run(&["status"]).success().stdout.matches("gone from the server").count(), 0);
    drop(server);
}

#[test]
fn a_lost_status_does_not_make_backups_of_another_server_count() {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.configure("retention:\n  keep_last: 1\n");
    place.run(&["backup"]).success();
    server.set_peer_id(42);
    place.run(&["backup"]).success().says(&["accept-source"]);
    for torn in [true, false] {
        let path = place.layout().status_file();
        if torn {
            fs::write(&path, &fs::read(&path).unwrap()[..300]).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        place.run(&["prune", "--yes"]).code(1).says(&["nothing is pruned", "accept-source"]);
        assert_eq!(place.ids("minilm_general").len(), 2, "torn: {torn}");
    }
    place.run(&["accept-source"]).success();
    fs::remove_file(place.layout().status_file()).unwrap();
    let text = place.run(&["prune"]).never_says("Deleted").stderr;
    assert!(text.contains("the status was lost, and no backup has ended since"), "{text}");
    assert_eq!(place.ids("minilm_general").len(), 2);
    place.run(&["backup"]).success();
    place.run(&["prune", "--yes"]).success();
    assert_eq!(place.ids("minilm_general").len(), 1);
}

#[test]
fn two_backup_directories_do_not_share_a_status() {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    let shared = place.beside("state");
    let configuration = format!("backup:\n  state_dir: {}\nretention:\n  keep_last: 1\n", shared.display());
    place.configure(&configuration);
    place.run(&["backup"]).success();
    let other = Place::initialised(&server.url());
    other.configure(&configuration);
    for command in [&["backup"][..], &["prune", "--yes"], &["status"]] {
        other.run(command).says(&["belongs to another backup directory", "backup.state_dir"]);
    }
    assert_eq!(other.stored(), Vec::<String>::new());
    place.run(&["backup"]).success();
}

#[test]
fn the_time_that_a_collection_is_gone_counts_from_the_first_look_that_missed_it() {
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample()));
    place.run(&["backup"]).success();
    let mixtral = server.state(|state| state.collections.remove("mixtral_embeddings")).unwrap();
    let gone_since = || place.status().collections[&name("mixtral_embeddings")].gone_since;
    assert_eq!(gone_since(), None);
    place.run(&["backup"]).success();
    let first = gone_since();
    assert!(first.is_some());
    place.run(&["backup"]).success();
    assert_eq!(gone_since(), first);
    server.state(|state| state.collections.insert("mixtral_embeddings".to_owned(), mixtral));
    place.run(&["backup", "--collection", "mixtral_embeddings"]).success();
    assert_eq!(gone_since(), None);
}

#[test]
fn bad_backups_are_listed_and_deleted_when_told_to_but_never_what_may_be_all_that_is_left() {
    let place = place(SEVEN_DAYS);
    place.plant("docs", "2025-07-01T00:00:00Z", Planted::Good);
    place.plant("docs", "2025-07-02T00:00:00Z", Planted::Failed);
    place.plant("docs", "2025-07-03T00:00:00Z", Planted::Incomplete);
    place.plant("docs", "2025-07-04T00:00:00Z", Planted::Failed);
    place.plant("docs", "2025-07-05T00:00:00Z", Planted::Failed);
    place.plant("only", "2025-07-01T00:00:00Z", Planted::Failed);
    place.plant("only", "2025-07-02T00:00:00Z", Planted::Incomplete);
    place.run(&["hold", "2025-07-04-00-00-00", "-c", "docs"]).success();
    let unknown = place.layout().verification(&name("docs"), "2025-07-05-00-00-00".parse().unwrap());
    fs::write(unknown, "{").unwrap();
    let before = place.contents();

    let dry =
        place.run(&["prune", "--dry-run"]).success().says(&["WARN", "5 backups are bad", "prune --bad"]);
    assert!(dry.stdout.contains("BAD: failed verification"), "{}", dry.stdout);
    assert!(dry.stdout.contains("BAD: incomplete: archive docs-2025-07-03"), "{}", dry.stdout);
    let listed = place.run(&["prune", "--bad"]).success().says(&["5 backups are bad", "deletes 2 of them"]);
    for words in ["failed verification", "is missing", "it is on hold", "no good backup"] {
        assert!(listed.stdout.contains(words), "{words}: {}", listed.stdout);
    }
    assert!(!listed.stdout.contains("2025-07-05"), "an unknown state is not bad: {}", listed.stdout);
    assert_eq!(place.contents(), before, "not even a status or a lock");
    place.run(&["prune", "--bad", "--even-the-last"]).code(2);

    place
        .run(&["prune", "--bad", "--yes"])
        .success()
        .says(&["Deleted 2 bad backups"])
        .says(&["Keeping bad backup 2025-07-04-00-00-00 of docs", "on hold"])
        .says(&["Keeping bad backup 2025-07-01-00-00-00 of only", "--even-the-last"]);
    assert_eq!(place.ids("docs"), ["2025-07-01-00-00-00", "2025-07-04-00-00-00", "2025-07-05-00-00-00"]);
    assert_eq!(place.ids("only").len(), 2);
    assert!(place.status().pruning.is_empty());
    assert!(place.stored().iter().all(|file| !file.contains("2025-07-02-00-00-00") || file.contains("only")));

    place.run(&["prune", "--bad", "--yes", "--even-the-last", "-c", "docs"]).success();
    assert_eq!(place.ids("only").len(), 2);
    place.run(&["prune", "--bad", "--yes", "--even-the-last"]).success().says(&["Deleted 2 bad backups"]);
    assert!(place.ids("only").is_empty());
    assert_eq!(place.ids("docs").len(), 3);
}
