//! Runs that end early: by signals, kills, or a server that disappears during cleanup.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::directory::name;
use e2e::qdrant_stand_in::{Cut, Effect, Endpoint, Fault};
use e2e::scene::{DOCS, foreign, generated};
use e2e::{Running, Scene, eventually};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::Outcome;
use rustix::process::Signal;

/// A creation slow enough to be interrupted.
fn slow_creation() -> Fault {
    Fault::new(Effect::CreationTakes(Duration::from_millis(1500))).first(1)
}

/// A download that stops in the middle.
fn stalled_download() -> Fault {
    Fault::new(Effect::StallAfter { bytes: 100_000, lasting: None }).first(1)
}

fn start(scene: &Scene) -> Running {
    Running::start(&mut scene.place.command(&["backup"]))
}

/// A run that is waiting for the creation's answer.
fn within_creation() -> (Scene, Running) {
    let scene = Scene::with([slow_creation()]);
    let running = start(&scene);
    eventually("a snapshot is requested", || scene.creations() == 1 && scene.hits() == 1);
    (scene, running)
}

/// A run in the middle of its download.
fn within_download() -> (Scene, Running) {
    let scene = Scene::with([stalled_download()]);
    scene.configure(&[("stall_timeout", "60s")]);
    let running = start(&scene);
    eventually("the download has begun", || scene.hits() == 1 && scene.place.stored().len() == 1);
    (scene, running)
}

/// Checks after an unanswered creation: a snapshot that may not be ours is never deleted.
fn assert_leftover_is_reported_once(scene: &Scene) {
    eventually("the snapshot appears", || scene.on_server().len() == 1);
    let leftover = scene.on_server();

    scene.backup().success().says(&[
        "WARN",
        &format!("snapshot {} of \"docs\"", leftover[0]),
        "probably left by an interrupted run; not deleted",
    ]);
    scene.assert_backed_up();
    assert_eq!(scene.on_server(), leftover);
    let status = scene.place.status();
    assert_eq!(status.unanswered_creations, []);
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.suspected_leftovers.len(), 1);
    assert_eq!(status.suspected_leftovers[0].name, leftover[0]);

    scene.backup().success().never_says("WARN");
    assert_eq!(scene.on_server(), leftover);
    assert_eq!(scene.place.status().suspected_leftovers.len(), 1);

    scene.server.state(|state| state.remove(0, DOCS, &leftover[0]));
    scene.backup().success();
    scene.assert_server_clean();
}

#[test]
fn a_signal_during_creation_leaves_a_creation_to_look_for() {
    let (scene, running) = within_creation();

    running.end_with(Signal::TERM).code(143).says(&["ERROR: Backup interrupted by a signal"]);

    assert_eq!(scene.place.stored(), Vec::<String>::new());
    let status = scene.place.status();
    assert_eq!(status.current_run, None);
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.unanswered_creations.len(), 1);
    assert_eq!(status.unanswered_creations[0].collection, name(DOCS));
    assert_eq!(scene.operation().last_outcome, Some(Outcome::Interrupted));
    assert_eq!(scene.collection(DOCS).last_outcome, Some(Outcome::Interrupted));
    assert_leftover_is_reported_once(&scene);
}

#[test]
fn a_kill_during_creation_leaves_a_creation_to_look_for() {
    let (scene, running) = within_creation();

    assert_eq!(running.end_with(Signal::KILL).code, None);

    let current = scene.place.status().current_run.expect("its end could not be recorded");
    assert_eq!(current.creating.map(|creating| creating.collection), Some(name(DOCS)));
    assert_leftover_is_reported_once_after_death(&scene);
}

fn assert_leftover_is_reported_once_after_death(scene: &Scene) {
    eventually("the snapshot appears", || scene.on_server().len() == 1);
    let leftover = scene.on_server();
    scene.backup().success().says(&["WARN", "died in stage create of \"docs\""]).says(&[
        "WARN",
        &leftover[0],
        "probably left by an interrupted run; not deleted",
    ]);
    scene.assert_backed_up();
    assert_eq!(scene.on_server(), leftover);
    let status = scene.place.status();
    assert_eq!(status.unanswered_creations, []);
    assert_eq!(status.suspected_leftovers.len(), 1);
}

#[test]
fn a_signal_while_a_lost_snapshot_is_looked_for_leaves_it_to_the_next_run() {
    let never = Effect::CreationCut { cut: Cut::Status(504), appears_after: None };
    let scene = Scene::with([Fault::new(never)]);
    let mut running = start(&scene);
    running.until_it_says("looking for it in the list of snapshots");

    running.end_with(Signal::TERM).code(143);

    assert_eq!(scene.hits(), 1);
    let status = scene.place.status();
    assert_eq!(status.current_run, None);
    assert_eq!(status.unanswered_creations.len(), 1);
    scene.heal();
    // Until the creation times out, the snapshot may still appear.
    scene.backup().success();
    assert_eq!(scene.place.status().unanswered_creations.len(), 1);
    assert_eq!(scene.place.status().suspected_leftovers, []);
}

#[test]
fn a_signal_during_the_download_tidies_up_here_and_on_the_server() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (scene, running) = within_download();
        assert_eq!(scene.place.temporary().len(), 1);
        assert_eq!(scene.place.status().undeleted_snapshots.len(), 1, "recorded before the download");

        running
            .end_with(signal)
            .code(code)
            .says(&["ERROR: Backup of docs failed: interrupted by a signal"])
            .says(&["ERROR: Backup interrupted by a signal: 0 of 1 collections"]);

        assert_eq!(scene.place.stored(), Vec::<String>::new());
        scene.assert_server_clean();
        assert_eq!(scene.place.status().current_run, None);
        let collection = scene.collection(DOCS);
        assert_eq!(collection.last_outcome, Some(Outcome::Interrupted));
        assert_eq!(collection.failure.map(|failure| failure.kind), Some(FailureKind::Interrupted));
        assert_eq!(
            scene.operation().failures.into_iter().collect::<Vec<_>>(),
            [(FailureKind::Interrupted, 1)]
        );
        scene.backup().success();
        scene.assert_backed_up();
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once_and_says_what_is_left() {
    for (first, second, code) in [(Signal::INT, Signal::INT, 130), (Signal::HUP, Signal::TERM, 143)] {
        let (scene, running) = within_download();
        scene.server.faults(|faults| faults.add(Fault::new(Effect::NeverAnswer).on(Endpoint::ListSnapshots)));
        running.signal(first);
        eventually("it cleans up", || scene.hits() == 2);
        std::thread::sleep(Duration::from_millis(300));

        let asked = Instant::now();
        let snapshot = scene.on_server().pop().expect("a snapshot");
        running.end_with(second).code(code).says(&[
            "ERROR: stopped at once by a second signal; `backup` may have left behind: ",
            &format!("the snapshot {snapshot} of docs on the server"),
            "the next run removes",
        ]);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

        scene.heal();
        scene.backup().success();
        scene.assert_backed_up();
        scene.assert_server_clean();
        assert_eq!(scene.place.temporary(), Vec::<String>::new());
    }
}

#[test]
fn a_wish_to_end_that_arrives_twice_is_one() {
    let (scene, running) = within_download();
    // Like `timeout`: the signal goes to the process and to its group.
    running.signal(Signal::TERM);
    running
        .end_with(Signal::TERM)
        .code(143)
        .says(&["ERROR: Backup interrupted by a signal: 0 of 1 collections"]);
    scene.assert_server_clean();
    assert_eq!(scene.place.stored(), Vec::<String>::new());
}

#[test]
fn a_terminal_that_goes_away_does_not_end_what_nohup_started() {
    let scene = Scene::with([Fault::new(Effect::BytesPerSecond(100 << 10)).first(1)]);
    let plain = scene.place.command(&["backup"]);
    let mut command = Command::new("/usr/bin/env");
    command.arg("--ignore-signal=HUP").arg(plain.get_program()).args(plain.get_args()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.expect("a value"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(&mut command);
    eventually("the download has begun", || scene.hits() == 1 && scene.place.stored().len() == 1);
    running.end_with(Signal::HUP).success();
    scene.assert_backed_up();
}

#[test]
fn a_signal_ends_the_run_also_when_the_server_does_not_answer_any_more() {
    let (scene, running) = within_download();
    scene.server.faults(|faults| faults.add(Fault::new(Effect::NeverAnswer).on(Endpoint::ListSnapshots)));

    running
        .end_with(Signal::TERM)
        .code(143)
        .says(&["WARN", "the snapshot stays on the server until the next run"]);

    assert_eq!(scene.hits(), 2);
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(scene.on_server().len(), 1);
    assert_eq!(scene.place.status().undeleted_snapshots.len(), 1);
    scene.heal();
    scene.backup().success();
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn no_further_collection_is_begun_after_a_signal() {
    let (scene, running) = within_download();
    // It comes after the current collection.
    scene.server.state(|state| state.add_collection(generated("later")));

    running.end_with(Signal::TERM).code(143);
    assert_eq!(scene.server.requests_matching("GET", "/collections/later").len(), 0);

    let scene = Scene::with([stalled_download()]);
    scene.server.state(|state| state.add_collection(generated("later")));
    scene.configure(&[("stall_timeout", "60s")]);
    let running = start(&scene);
    eventually("the download has begun", || scene.hits() == 1);
    running.end_with(Signal::TERM).code(143);
    assert_eq!(scene.server.requests_matching("GET", "/collections/later").len(), 0);
    assert_eq!(scene.collection("later").last_attempt_at, None);
}

#[test]
fn a_kill_during_the_download_is_tidied_up_by_the_next_run() {
    let (scene, running) = within_download();

    assert_eq!(running.end_with(Signal::KILL).code, None);

    assert_eq!(scene.place.temporary().len(), 1);
    assert_eq!(scene.on_server().len(), 1);
    let status = scene.place.status();
    assert!(status.current_run.is_some());
    assert_eq!(status.undeleted_snapshots[0].name, scene.on_server()[0]);

    scene
        .backup()
        .success()
        .says(&["WARN", "died in stage download of \"docs\""])
        .says(&["INFO: Removed ", ".tmp"])
        .says(&["INFO: Deleting what an earlier run left on the server for docs"]);
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_server_that_cannot_be_tidied_up_does_not_spoil_a_backup() {
    let scene = Scene::with([Fault::hang_up().on(Endpoint::DeleteSnapshot).first(1)]);

    scene.backup().success().says(&[
        "WARN",
        "deleting snapshot docs-",
        "the snapshot stays on the server until the next run deletes it",
    ]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    let left = scene.on_server();
    assert_eq!(left.len(), 1);
    let status = scene.place.status();
    assert_eq!(status.undeleted_snapshots.len(), 1);
    assert_eq!(status.undeleted_snapshots[0].name, left[0]);

    scene.backup().success().says(&["INFO: Deleting what an earlier run left on the server for docs"]);
    assert_eq!(scene.place.prove(), 2);
    scene.assert_server_clean();
}

#[test]
fn a_recorded_snapshot_is_deleted_only_while_its_name_has_its_checksum() {
    let scene = Scene::with([Fault::hang_up().on(Endpoint::DeleteSnapshot).first(1)]);
    scene.backup().success();
    assert_eq!(scene.hits(), 1);
    let recorded = scene.on_server().remove(0);
    // Meanwhile another tool has created one in the same second.
    scene.server.add_snapshot(DOCS, &recorded, foreign());
    scene.server.clear_requests();

    scene.backup().success().says(&[
        "WARN",
        &recorded,
        "it is not the one that was made for this backup, so it is left alone",
    ]);

    assert_eq!(scene.on_server(), std::slice::from_ref(&recorded));
    assert_eq!(scene.server.requests_matching("DELETE", &recorded).len(), 0);
    scene.assert_nothing_pending();
}

#[test]
fn a_recorded_snapshot_that_is_gone_is_forgotten() {
    let scene = Scene::with([Fault::hang_up().on(Endpoint::DeleteSnapshot).first(1)]);
    scene.backup().success();
    assert_eq!(scene.hits(), 1);
    let recorded = scene.on_server().remove(0);
    scene.server.state(|state| state.remove(0, DOCS, &recorded));

    scene.backup().success().never_says("WARN");

    assert_eq!(scene.place.prove(), 2);
    scene.assert_server_clean();
}
