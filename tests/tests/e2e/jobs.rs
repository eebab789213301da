//! Several collections in parallel: each has its own intent, record and result.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::directory::name;
use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup};
use e2e::scene::{configuration, generated};
use e2e::{Running, Scene, eventually};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::{Operation, Outcome};
use rustix::process::Signal;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A server with four collections.
fn scene(faults: impl IntoIterator<Item = Fault>) -> Scene {
    let setup = NAMES.iter().fold(Setup::empty(), |setup, name| setup.collection(generated(name)));
    let scene = Scene::of(faults.into_iter().fold(setup, Setup::fault));
    scene.configure(&[("stall_timeout", "60s")]);
    scene
}

fn start(scene: &Scene, jobs: &str) -> Running {
    Running::start(&mut scene.place.command(&["backup", "--jobs", jobs]))
}

/// A run with three downloads in progress and a fourth collection waiting.
fn within_downloads() -> (Scene, Running) {
    let stall = Effect::StallAfter { bytes: 100_000, lasting: None };
    let scene = scene([Fault::new(stall).first(3)]);
    let running = start(&scene, "3");
    eventually("three downloads are in progress", || scene.hits() == 3 && scene.place.temporary().len() == 3);
    (scene, running)
}

fn snapshots(scene: &Scene) -> Vec<String> {
    NAMES.iter().flat_map(|name| scene.server.snapshot_names(name)).collect()
}

#[test]
fn all_collections_are_backed_up_and_nothing_is_left() {
    for jobs in ["1", "2", "16"] {
        let scene = scene([]);

        let backup = scene.place.run(&["backup", "--jobs", jobs]).success();

        backup.says(&["Backup succeeded: 4 of 4 collections"]);
        assert_eq!(scene.place.prove(), 4);
        assert_eq!(snapshots(&scene), Vec::<String>::new());
        scene.assert_nothing_pending();
        let status = scene.place.status();
        assert_eq!(status.current_run, None);
        for collection in NAMES {
            assert_eq!(status.collections[&name(collection)].last_outcome, Some(Outcome::Success));
        }
        assert_eq!(scene.operation().last_outcome, Some(Outcome::Success));
    }
}

#[test]
fn no_more_than_the_asked_for_number_is_under_way() {
    let (scene, running) = within_downloads();

    let current = scene.place.status().current_run.expect("it continues");
    let named = current.collection.expect("one is named");
    assert!(["a", "b", "c"].contains(&named.as_str()), "{named}");
    assert_eq!(scene.server.requests_matching("GET", "/collections/d").len(), 0);
    drop(running);

    let scene = scene_with_configured_jobs();
    let running = Running::start(&mut scene.place.command(&["run"]));
    eventually("two downloads are in progress", || scene.hits() == 2);
    assert_eq!(scene.server.requests_matching("GET", "/collections/c").len(), 0);
    drop(running);
}

fn scene_with_configured_jobs() -> Scene {
    let scene = scene([Fault::new(Effect::StallAfter { bytes: 100_000, lasting: None })]);
    scene.place.configure(&(configuration(&[("stall_timeout", "60s")]) + "backup:\n  jobs: 2\n"));
    scene
}

#[test]
fn one_collections_failure_stops_no_other() {
    let broken = Fault::status(500).on(Endpoint::DownloadSnapshot).collection("b");
    let scene = scene([broken]);

    scene.place.run(&["backup", "--jobs", "4"]).code(3).says(&["3 of 4 collections", "b (http_status)"]);

    assert_eq!(scene.place.prove(), 3);
    assert_eq!(snapshots(&scene), Vec::<String>::new());
    scene.assert_nothing_pending();
    assert_eq!(scene.collection("b").failure.map(|failure| failure.kind), Some(FailureKind::HttpStatus));
}

#[test]
fn a_signal_ends_all_of_them_tidily_and_begins_no_other() {
    let (scene, running) = within_downloads();
    assert_eq!(scene.place.status().undeleted_snapshots.len(), 3, "each recorded before its download");

    running
        .end_with(Signal::TERM)
        .code(143)
        .says(&["ERROR: Backup interrupted by a signal: 0 of 3 collections"]);

    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(snapshots(&scene), Vec::<String>::new());
    scene.assert_nothing_pending();
    let status = scene.place.status();
    assert_eq!(status.current_run, None);
    for collection in ["a", "b", "c"] {
        assert_eq!(status.collections[&name(collection)].last_outcome, Some(Outcome::Interrupted));
    }
    assert_eq!(status.collections[&name("d")].last_attempt_at, None);
    assert_eq!(status.operations[&Operation::Backup].failures[&FailureKind::Interrupted], 3);
}

#[test]
fn a_kill_during_downloads_is_tidied_up_by_the_next_run() {
    let (scene, running) = within_downloads();

    assert_eq!(running.end_with(Signal::KILL).code, None);

    let recorded: BTreeSet<String> =
        scene.place.status().undeleted_snapshots.into_iter().map(|snapshot| snapshot.name).collect();
    assert_eq!(recorded, snapshots(&scene).into_iter().collect());
    assert_eq!(recorded.len(), 3);
    scene.backup().success().says(&["WARN", "died in stage download"]);
    assert_eq!(scene.place.prove(), 4);
    assert_eq!(snapshots(&scene), Vec::<String>::new());
    scene.assert_nothing_pending();
}

#[test]
fn a_kill_during_creations_leaves_all_of_them_to_look_for() {
    let slow = Fault::new(Effect::CreationTakes(Duration::from_millis(1500))).first(3);
    let scene = scene([slow]);
    let running = start(&scene, "3");
    eventually("three snapshots are requested", || scene.hits() == 3);

    assert_eq!(running.end_with(Signal::KILL).code, None);

    let current = scene.place.status().current_run.expect("its end could not be recorded");
    let intents: BTreeSet<String> =
        current.into_creations().map(|creating| creating.collection.to_string()).collect();
    assert_eq!(intents.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    eventually("the snapshots appear", || snapshots(&scene).len() == 3);
    let left: BTreeSet<String> = snapshots(&scene).into_iter().collect();
    scene.backup().success().says(&["WARN", "probably left by an interrupted run; not deleted"]);
    assert_eq!(scene.place.prove(), 4);
    let status = scene.place.status();
    assert_eq!(status.unanswered_creations, []);
    let suspected = status.suspected_leftovers.into_iter().map(|snapshot| snapshot.name).collect();
    assert_eq!(left, suspected);
    assert_eq!(snapshots(&scene).len(), 3, "none is deleted on a guess");
}

#[test]
fn a_signal_during_creations_leaves_all_of_them_to_look_for() {
    let slow = Fault::new(Effect::CreationTakes(Duration::from_millis(1500))).first(3);
    let scene = scene([slow]);
    let running = start(&scene, "3");
    eventually("three snapshots are requested", || scene.hits() == 3);

    running.end_with(Signal::TERM).code(143);

    let status = scene.place.status();
    assert_eq!(status.current_run, None);
    let left: BTreeSet<String> =
        status.unanswered_creations.iter().map(|creating| creating.collection.to_string()).collect();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}
