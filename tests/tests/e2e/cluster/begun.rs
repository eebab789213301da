//! Restores by shard that are interrupted: the message for each shard, and how the same command continues.

use std::time::Duration;

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault};
use e2e::scene::DOCS;
use e2e::{Running, eventually};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::{Operation, Outcome};
use rustix::process::Signal;
use serde_json::Value;

use super::{Scene, TENANTS, tenants, uploads};
use e2e::qdrant_stand_in::Setup;

const COPY: &str = "copy";
const AGAIN: [&str; 5] = ["restore", "--collection", DOCS, "--as", COPY];

/// The backup of [`DOCS`], and a restore of it that stopped at shard 1.
fn half() -> Scene {
    let scene = Scene::docs(2).backed_up();
    for node in 0..3 {
        scene.fault(node, Fault::status(500).on(Endpoint::UploadShardSnapshot).shard(1));
    }
    let ran = scene.place.run(&AGAIN).code(1);
    let ran = ran.says(&[
        "ERROR: Restore of docs failed: shard 1, to http",
        "restored: shard 0; not started: shard 2",
    ]);
    let line = ran.last_line();
    let id = scene.place.ids(DOCS).remove(0);
    assert!(
        line.contains("\"copy\" is PARTLY RESTORED: do not use it; to continue where this stopped"),
        "{line}"
    );
    assert!(
        line.contains(&format!("`qdrant-backup restore --collection docs --backup {id} --as copy")),
        "{line}"
    );
    let status = scene.place.status();
    assert_eq!(status.operations[&Operation::Restore].last_outcome, Some(Outcome::Failed));
    let begun = &status.restoring[0];
    assert_eq!((begun.target.as_str(), begun.collection.as_str()), (COPY, DOCS));
    assert_eq!(begun.done.iter().copied().collect::<Vec<_>>(), [0]);
    scene.heal();
    scene.forget_requests();
    scene
}

#[track_caller]
fn assert_restored(scene: &Scene, uploaded: &[u32]) {
    assert_eq!(uploads(scene.cluster.nodes(), COPY), uploaded);
    scene.nodes.assert_points(COPY, &scene.nodes.points(0, DOCS));
    let status = scene.place.status();
    assert_eq!(status.restoring, []);
    assert_eq!(status.operations[&Operation::Restore].last_outcome, Some(Outcome::Success));
    scene.assert_clean();
}

#[test]
fn a_failure_says_what_is_where_and_the_same_command_uploads_only_what_is_left() {
    let scene = half();
    let dry = scene.place.run(&[&AGAIN[..], &["--dry-run"]].concat()).success();
    assert!(dry.stdout.contains("which an earlier restore created but did not finish"), "{}", dry.stdout);
    assert!(dry.stdout.contains("CONTINUES an unfinished restore: 2 of them are left"), "{}", dry.stdout);
    let json = scene.place.run(&[&AGAIN[..], &["--dry-run", "--json"]].concat()).success();
    let plan: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["plans"][0]["shards"]["restored_before"], serde_json::json!([0]));
    assert!(scene.node(0).requests().iter().all(|request| !request.changes_something()));

    scene.place.run(&AGAIN).success();

    assert_restored(&scene, &[1, 2]);
}

#[test]
fn the_command_that_goes_on_makes_as_many_copies_as_the_first() {
    let scene = Scene::of(Setup::cluster(3).spread(tenants(), 1)).backed_up();
    scene.fault(0, Fault::status(500).on(Endpoint::CreateShardKey).after(1));
    let arguments = ["restore", "--collection", TENANTS, "--as", COPY, "--replication-factor", "2"];
    let ran = scene.place.run(&arguments).code(1);
    assert!(ran.last_line().contains(" --as copy --replication-factor 2 --config "), "{}", ran.stderr);
    scene.heal();
    scene.place.run(&arguments).success();
    assert!(scene.holders(COPY).values().all(|holders| holders.len() == 2), "{:?}", scene.holders(COPY));
}

#[test]
fn a_collection_that_was_begun_and_written_to_is_refused() {
    let scene = half();
    scene.cluster.state(|state| {
        let shard = state.collection_mut(COPY).shards.iter_mut().find(|shard| shard.id == 2).unwrap();
        shard.points_count = 5;
        shard.replicas.iter_mut().for_each(|replica| replica.holds = None);
    });
    for force in [&[][..], &["--force"]] {
        let ran = scene.place.run(&[&AGAIN[..], force].concat()).code(1);
        ran.says(&["someone has written to it since", "its shard 2 has points"]);
    }
    assert_eq!(uploads(scene.cluster.nodes(), COPY), Vec::<u32>::new());
    let failure = scene.place.status().last_run.unwrap().operations.remove(0).collections.remove(0).failure;
    assert_eq!(failure.unwrap().kind, FailureKind::TargetExists);
}

#[test]
fn a_collection_that_was_begun_and_deleted_is_begun_anew() {
    let scene = half();
    scene.cluster.state(|state| state.collections.remove(COPY));
    scene.place.run(&AGAIN).success();
    assert_restored(&scene, &[0, 1, 2]);
}

#[test]
fn another_backup_is_not_restored_over_what_was_begun() {
    let scene = half();
    scene.backup().success();
    let newest = scene.place.ids(DOCS).pop().unwrap();
    let arguments = [&AGAIN[..], &["--backup", &newest]].concat();
    scene
        .place
        .run(&arguments)
        .code(1)
        .says(&["exists", "a backup made shard by shard can only be restored into a new collection"]);
    assert_eq!(uploads(scene.cluster.nodes(), COPY), Vec::<u32>::new());
    // The restore that was started can still be finished.
    let oldest = scene.place.ids(DOCS).remove(0);
    scene.place.run(&[&AGAIN[..], &["--backup", &oldest]].concat()).success();
    assert_restored(&scene, &[1, 2]);
}

#[test]
fn killed_in_the_middle_of_an_upload_it_goes_on_with_that_shard() {
    let scene = Scene::docs(2).backed_up();
    for node in 0..3 {
        let slow = Effect::Delay(Duration::from_secs(3));
        scene.fault(node, Fault::new(slow).on(Endpoint::UploadShardSnapshot).shard(1));
    }
    let running = Running::start(&mut scene.place.command(&AGAIN));
    eventually("shard 1 is uploaded", || uploads(scene.cluster.nodes(), COPY).contains(&1));
    running.end_with(Signal::KILL);
    let begun = scene.place.status().restoring.remove(0);
    assert_eq!(begun.done.into_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(begun.sent.into_iter().collect::<Vec<_>>(), [0, 1]);
    scene.heal();
    scene.forget_requests();

    scene.place.run(&AGAIN).success();

    assert_restored(&scene, &[1, 2]);
}

#[test]
fn killed_while_keys_are_made_it_goes_on_with_those_that_lack() {
    let scene = Scene::of(Setup::cluster(3).spread(tenants(), 1)).backed_up();
    let slow = Fault::new(Effect::Delay(Duration::from_secs(3))).on(Endpoint::CreateShardKey).after(1);
    scene.fault(0, slow);
    let again = ["restore", "--collection", TENANTS, "--as", COPY];
    let running = Running::start(&mut scene.place.command(&again));
    eventually("the second key is requested", || {
        scene.node(0).requests_matching("PUT", "/shards").len() == 2
    });
    running.end_with(Signal::KILL);
    scene.heal();
    scene.place.run(&again).success();
    scene.nodes.assert_points(COPY, &scene.nodes.points(0, TENANTS));
    let ids: Vec<u32> = scene.holders(COPY).into_keys().collect();
    assert_eq!(ids, [1, 3, 4]);
}

#[test]
fn a_signal_in_the_middle_ends_it_and_the_same_command_goes_on() {
    let scene = Scene::docs(2).backed_up();
    for node in 0..3 {
        let slow = Effect::Delay(Duration::from_secs(3));
        scene.fault(node, Fault::new(slow).on(Endpoint::UploadShardSnapshot).shard(1));
    }
    let running = Running::start(&mut scene.place.command(&AGAIN));
    eventually("shard 1 is uploaded", || uploads(scene.cluster.nodes(), COPY).contains(&1));
    let ran = running.end_with(Signal::TERM).code(143);
    ran.says(&["restored: shard 0", "\"copy\" is PARTLY RESTORED"]);
    assert_eq!(scene.place.status().current_run, None);
    scene.heal();
    scene.forget_requests();
    scene.place.run(&AGAIN).success();
    assert_restored(&scene, &[1, 2]);
}

#[test]
fn an_upload_whose_answer_is_lost_is_told_and_sent_again() {
    let scene = Scene::docs(2).backed_up();
    for node in 0..3 {
        let lost = Effect::UploadCut {
            status: 504,
            begins_after: Duration::from_millis(100),
            takes: Duration::from_millis(500),
        };
        scene.fault(node, Fault::new(lost).shard(1));
    }
    scene.place.run(&AGAIN).code(1).says(&["shard 1, to http", "restored: shard 0", "not started: shard 2"]);
    scene.heal();
    scene.forget_requests();
    scene.place.run(&AGAIN).success();
    assert_restored(&scene, &[1, 2]);
}

#[test]
fn a_node_that_dies_in_an_upload_is_passed_over_for_another_holder_or_the_next_run_goes_on() {
    let scene = Scene::docs(2).backed_up();
    scene.place.configure(&(e2e::scene::configuration(&[]) + "restore:\n  settle_timeout: 3s\n"));
    scene.fault(1, Fault::new(Effect::Dies).on(Endpoint::UploadShardSnapshot).first(1));
    let ran = scene.place.run(&AGAIN);
    assert_ne!(ran.code, Some(2), "{}", ran.stderr);
    assert!(uploads(std::slice::from_ref(scene.node(1)), COPY).len() == 1, "{}", ran.stderr);
    scene.node(1).come_up();
    if ran.code != Some(0) {
        let ran = ran.code(1);
        ran.says(&["PARTLY RESTORED", "to continue where this stopped"]);
        scene.place.run(&AGAIN).success();
    }
    scene.nodes.assert_points(COPY, &scene.nodes.points(0, DOCS));
    assert_eq!(scene.place.status().restoring, []);
}

#[test]
fn a_holder_that_is_down_is_done_without_where_another_holds_the_shard() {
    let scene = Scene::docs(2).backed_up();
    scene.node(2).go_down();
    scene.place.run(&AGAIN).success().says(&["WARN", "of the cluster is not used"]);
    assert_eq!(uploads(&scene.cluster.nodes()[..2], COPY), [0, 1, 2]);
    let expected = scene.nodes.points(0, DOCS);
    for node in 0..2 {
        assert_eq!(scene.nodes.points(node, COPY), expected);
    }
}

#[test]
fn a_shard_whose_only_holder_is_down_fails_the_restore_and_is_named() {
    let scene = Scene::docs(1).backed_up();
    scene.place.configure(&(e2e::scene::configuration(&[]) + "restore:\n  settle_timeout: 2s\n"));
    scene.node(2).go_down();
    let ran = scene.place.run(&AGAIN).code(1);
    ran.says(&["Restore of docs failed", "only on nodes that do not answer"]);
    scene.node(2).come_up();
    scene.forget_requests();
    scene.place.run(&AGAIN).success();
    assert_restored(&scene, &[0, 1, 2]);
}
