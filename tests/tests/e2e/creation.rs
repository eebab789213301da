//! Faults while the server creates a snapshot.

use std::time::Duration;

use e2e::qdrant_stand_in::{Cut, Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, docs, foreign};
use e2e::{Place, Ran, Running, Scene};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::ServerChecksum;

/// The client loses the connection to a creation that finishes a little later.
fn cut(cut: Cut, appears_after: Option<Duration>) -> Fault {
    Fault::new(Effect::CreationCut { cut, appears_after })
}

const SOON: Option<Duration> = Some(Duration::from_millis(700));

#[test]
fn a_checksum_that_matches_nothing_fails_and_nothing_unproven_is_deleted() {
    let wrong = Effect::CreationChecksum(Some("0".repeat(64)));
    let scene = Scene::with([Fault::new(wrong)]);

    scene
        .backup()
        .code(1)
        .says(&["ERROR: Backup of docs failed", "snapshot checksum mismatch", "Qdrant reported 0000"])
        .says(&["WARN", "it is not the one that was made for this backup, so it is left alone"]);

    assert_eq!(scene.hits(), 2);
    scene.assert_failed(FailureKind::ChecksumMismatch);
    // The list shows another checksum than the creation's answer, so neither snapshot is provably ours.
    assert_eq!(scene.on_server().len(), 2);
    scene.assert_nothing_pending();
}

#[test]
fn a_checksum_that_was_wrong_once_has_a_fresh_snapshot_made() {
    let wrong = Effect::CreationChecksum(Some("0".repeat(64)));
    let scene = Scene::with([Fault::new(wrong).first(1)]);

    scene.backup().success().says(&["WARN", "snapshot checksum mismatch", "new snapshot"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(scene.on_server().len(), 1);
}

#[test]
fn a_snapshot_whose_answer_cannot_be_understood_is_found_in_the_list() {
    let odd = Effect::CreationChecksum(Some("sixty-four digits".to_owned()));
    let scene = Scene::with([Fault::new(odd).first(1)]);

    scene.backup().success().says(&[
        "WARN",
        "does not look like an answer from Qdrant",
        "checksum",
        "the snapshot was created anyway",
    ]);

    assert_eq!((scene.hits(), scene.creations()), (1, 1));
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_snapshot_without_a_checksum_is_taken_as_that() {
    let scene = Scene::with([Fault::new(Effect::CreationChecksum(None))]);

    scene.backup().success().says(&["Backed up docs", "no checksum from the server"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(scene.manifest().archives[0].server_checksum, ServerChecksum::Absent);
}

#[test]
fn a_slow_creation_is_waited_for_beyond_all_other_time_outs() {
    let scene = Scene::with([Fault::new(Effect::CreationTakes(Duration::from_millis(2500)))]);
    scene.configure(&[("request_timeout", "1s"), ("stall_timeout", "1s")]);

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
    assert_eq!(scene.creations(), 1);
}

#[test]
fn a_full_disk_of_the_server_is_told_in_its_words() {
    let scene = Scene::with([Fault::new(Effect::CreationNoSpace)]);
    scene.configure(&[("retries", "3")]);

    scene.backup().code(1).says(&[
        "ERROR: Backup of docs failed",
        "creating a snapshot of \"docs\"",
        "Qdrant answered 500",
        "failed to store snapshot archive",
        "No space left on device",
    ]);

    assert_eq!(scene.hits(), 2, "exactly one retry");
    scene.assert_failed(FailureKind::HttpStatus);
    scene.assert_server_clean();
}

#[test]
fn a_read_only_key_cannot_create() {
    let scene = Scene::of(Setup::empty().collection(docs()).api_key("may-write").read_only_key("may-read"));

    let mut command = scene.place.command(&["backup"]);
    Ran::of(command.env("QDRANT_API_KEY", "may-read")).code(1).says(&[
        "ERROR: Backup of docs failed",
        "creating a snapshot of \"docs\"",
        "403",
        "Forbidden",
        "that it may write",
    ]);

    scene.assert_failed(FailureKind::Unauthorized);
    scene.assert_server_clean();
    assert_eq!(scene.creations(), 1);
}

#[test]
fn a_creation_that_lost_its_answer_is_found_in_the_list_and_adopted() {
    for cut_as in [Cut::HangUp, Cut::Status(502), Cut::Status(503), Cut::Status(504), Cut::Status(524)] {
        let scene = Scene::with([cut(cut_as.clone(), SOON)]);

        scene
            .backup()
            .success()
            .says(&["WARN", "creating a snapshot of \"docs\"", "looking for it in the list of snapshots"])
            .says(&["INFO: Found snapshot docs-"]);

        assert_eq!(scene.hits(), 1, "{cut_as:?}");
        scene.assert_backed_up();
        // The download was compared with the digest in the list.
        assert_eq!(scene.manifest().archives[0].server_checksum, ServerChecksum::Matched);
        scene.assert_server_clean();
        assert_eq!(scene.creations(), 1);
    }
}

#[test]
fn an_adopted_snapshot_is_held_against_the_lists_checksum() {
    let scene =
        Scene::with([cut(Cut::HangUp, SOON).first(1), Fault::new(Effect::FlipByte(150_000)).first(1)]);

    scene.backup().success().says(&["WARN", "snapshot checksum mismatch", "new snapshot"]);

    assert_eq!(scene.hits(), 2);
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_creation_that_nothing_came_of_is_looked_for_until_its_time_out_and_remembered() {
    let scene = Scene::with([cut(Cut::Status(503), None)]);
    scene.configure(&[("create_timeout", "2s"), ("retries", "3")]);

    scene.backup().code(1).says(&[
        "ERROR: Backup of docs failed",
        "did not answer the request for a snapshot, and none appeared within 2s",
        "503",
    ]);

    assert_eq!(scene.hits(), 1, "no retry while the snapshot may still appear");
    scene.assert_failed(FailureKind::Timeout);
    assert_eq!(scene.on_server(), Vec::<String>::new());
    let status = scene.place.status();
    assert_eq!((status.undeleted_snapshots.len(), status.suspected_leftovers.len()), (0, 0));
    assert_eq!(status.unanswered_creations.len(), 1);
    assert_eq!(status.unanswered_creations[0].collection.as_str(), DOCS);

    scene.heal();
    scene.backup().success();
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_hang_up_before_anything_was_done_is_never_answered_by_a_second_creation() {
    let scene = Scene::with([Fault::hang_up().on(Endpoint::CreateSnapshot)]);
    scene.configure(&[("create_timeout", "1s"), ("retries", "3")]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "none appeared within 1s", "connection"]);

    assert_eq!((scene.hits(), scene.creations()), (1, 1));
    scene.assert_failed(FailureKind::Timeout);
    assert_eq!(scene.place.status().unanswered_creations.len(), 1);
}

#[test]
fn silence_ends_with_the_create_time_out() {
    let scene = Scene::with([cut(Cut::Silence, None)]);
    scene.configure(&[("create_timeout", "2s")]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "none appeared within 2s"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::Timeout);
    assert_eq!(scene.on_server(), Vec::<String>::new());
    assert_eq!(scene.place.status().unanswered_creations.len(), 1);
}

#[test]
fn a_snapshot_that_appeared_in_silence_is_adopted_in_the_end() {
    let scene = Scene::with([cut(Cut::Silence, SOON)]);
    scene.configure(&[("create_timeout", "2s")]);

    scene.backup().success().says(&["WARN", "no answer from Qdrant within 2s", "looking for it"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn of_several_snapshots_that_may_be_ours_one_is_used_and_none_deleted() {
    let other = Effect::AnotherSnapshotAppears { seconds_after_request: 1, content: foreign() };
    let scene = Scene::with([
        Fault::new(other),
        cut(Cut::HangUp, Some(Duration::ZERO)),
        // Both snapshots exist when the list is requested the second time.
        Fault::new(Effect::Delay(Duration::from_millis(500))).on(Endpoint::ListSnapshots).after(1).first(1),
    ]);

    scene.backup().success().says(&[
        "WARN",
        "2 snapshots of \"docs\" appeared, but only one was requested",
        "deleting none",
    ]);

    assert_eq!(scene.hits(), 3);
    scene.assert_backed_up();
    let on_server = scene.on_server();
    assert_eq!(on_server.len(), 2);
    assert!(on_server.contains(scene.manifest().archives[0].snapshot_name.as_ref().expect("a name")));
    let status = scene.place.status();
    assert_eq!(status.undeleted_snapshots, []);
    let mut suspected: Vec<&str> =
        status.suspected_leftovers.iter().map(|entry| entry.name.as_str()).collect();
    suspected.sort_unstable();
    assert_eq!(suspected, on_server);
    assert_eq!(scene.server.requests_matching("DELETE", "").len(), 0);
}

#[test]
fn an_adopted_snapshot_is_not_deleted_once_another_might_be_ours_as_well() {
    let scene = Scene::with([
        cut(Cut::HangUp, Some(Duration::ZERO)),
        Fault::new(Effect::Delay(Duration::from_millis(500))).on(Endpoint::DownloadSnapshot),
    ]);
    let mut running = Running::start(&mut scene.place.command(&["backup"]));
    running.until_it_says("Found snapshot");
    let adopted = scene.on_server().remove(0);
    // With a timestamp one second later, as ours would have if the adopted snapshot were another tool's.
    let second: u32 = adopted[adopted.len() - 11..adopted.len() - 9].parse().expect("a second");
    let other = format!(
        "{}{:02}.snapshot",
        &adopted[..adopted.len() - 11],
        if second == 59 { 58 } else { second + 1 }
    );
    scene.server.add_snapshot(DOCS, &other, foreign());

    running.end().success().says(&["2 snapshots of \"docs\" appeared", "deleting none"]);

    scene.assert_backed_up();
    assert_eq!(scene.on_server().len(), 2);
    let status = scene.place.status();
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.suspected_leftovers.len(), 2);
}

#[test]
fn another_tools_snapshot_is_never_touched() {
    for seconds_after_request in [-5, 1, 5] {
        let other = Effect::AnotherSnapshotAppears { seconds_after_request, content: foreign() };
        let scene = Scene::with([Fault::new(other)]);

        scene.backup().success();

        assert_eq!(scene.hits(), 1);
        scene.assert_backed_up();
        assert_eq!(scene.on_server().len(), 1);
        assert_eq!(scene.server.snapshots(DOCS)[0].checksum, Some(foreign().sha256()));
        scene.assert_nothing_pending();
    }
}

#[test]
fn another_tools_snapshot_of_another_moment_is_not_taken_for_one_that_lost_its_answer() {
    for seconds_after_request in [-5, 5] {
        let other = Effect::AnotherSnapshotAppears { seconds_after_request, content: foreign() };
        let scene = Scene::with([Fault::new(other), cut(Cut::Status(504), SOON)]);

        scene.backup().success().says(&["WARN", "looking for it in the list of snapshots"]);

        assert_eq!(scene.hits(), 2);
        scene.assert_backed_up();
        assert_ne!(scene.manifest().archives[0].snapshot.sha256.to_string(), foreign().sha256());
        assert_eq!(scene.server.snapshots(DOCS)[0].checksum, Some(foreign().sha256()));
        assert_eq!(scene.on_server().len(), 1);
        scene.assert_nothing_pending();
    }
}

#[test]
fn a_snapshot_that_another_tool_replaced_within_its_second_is_left_to_that_tool() {
    let scene = Scene::with([Fault::new(Effect::ReplacedAfterCreation(foreign())).first(1)]);

    scene
        .backup()
        .success()
        .says(&["WARN", "checksum mismatch", "does another tool create snapshots in the same second"])
        .says(&["WARN", "it is not the one that was made for this backup, so it is left alone"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_ne!(scene.manifest().archives[0].snapshot.sha256.to_string(), foreign().sha256());
    // The new snapshot must not replace the other tool's.
    assert_eq!(scene.on_server().len(), 1);
    assert_eq!(scene.server.snapshots(DOCS)[0].checksum, Some(foreign().sha256()));
    scene.assert_nothing_pending();
}

#[test]
fn a_creation_that_was_turned_away_is_asked_for_again_and_made_once() {
    let scene = Scene::with([Fault::status(429).on(Endpoint::CreateSnapshot).first(1)]);
    scene.configure(&[("retries", "1"), ("create_timeout", "10s")]);

    scene.backup().success();

    assert_eq!((scene.hits(), scene.creations()), (1, 2));
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_server_that_comes_up_late_is_waited_for_and_makes_one_snapshot() {
    // A port that nothing listens on until the program has tried it.
    let port = Scene::new().server.port();
    let place = Place::initialised(&format!("http://127.0.0.1:{port}"));
    place.configure("qdrant:\n  retries: 20\n");
    let mut running = Running::start(&mut place.command(&["backup", "--log-level", "debug"]));
    running.until_it_says("cannot reach Qdrant");
    let server = StandIn::start(Setup::empty().collection(docs()).port(port));

    running.end().success().says(&["cannot reach Qdrant", "trying again"]);

    assert_eq!(place.prove(), 1);
    assert_eq!(server.requests_matching("POST", "/snapshots").len(), 1);
    assert_eq!(server.snapshot_names(DOCS), Vec::<String>::new());
}
