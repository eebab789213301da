//! Collections dropped during a run: a note, not a failure.

use e2e::Scene;
use e2e::directory::name;
use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, SIZE, generated};
use qdrant_backup_shared::operation::Outcome;

const OTHER: &str = "other";

/// When the collection is dropped.
fn moments() -> Vec<(&'static str, Vec<Fault>)> {
    let at = |endpoint, after| {
        Fault::new(Effect::DropCollection).on(endpoint).collection(DOCS).after(after).first(1)
    };
    vec![
        ("before its turn", vec![at(Endpoint::CollectionCluster, 0)]),
        ("while it is inspected", vec![at(Endpoint::CollectionInfo, 0)]),
        ("before its points are counted", vec![at(Endpoint::CountPoints, 0)]),
        ("before its snapshots are listed", vec![at(Endpoint::ListSnapshots, 0)]),
        ("before the creation", vec![at(Endpoint::CreateSnapshot, 0)]),
        ("after the creation", vec![at(Endpoint::CountPoints, 1)]),
        ("before the download", vec![at(Endpoint::DownloadSnapshot, 0)]),
        (
            "during the download",
            vec![
                Fault::new(Effect::TruncateAfter(SIZE / 2))
                    .on(Endpoint::DownloadSnapshot)
                    .collection(DOCS)
                    .first(1),
                at(Endpoint::DownloadSnapshot, 1),
            ],
        ),
    ]
}

fn scene(faults: Vec<Fault>) -> Scene {
    let scene = Scene::of(Setup::empty().collection(generated(DOCS)).collection(generated(OTHER)));
    scene.configure(&[("retries", "2")]);
    scene.server.faults(|all| faults.into_iter().for_each(|fault| all.add(fault)));
    scene
}

#[test]
fn a_collection_that_is_dropped_during_the_run_is_a_note_and_no_failure() {
    for (moment, faults) in moments() {
        let scene = scene(faults);

        scene.backup().success().says(&["WARN", "collection \"docs\" was deleted during the run"]);

        assert!(scene.hits() > 0, "{moment}");
        let status = scene.place.status();
        assert!(!status.collections.contains_key(&name(DOCS)), "{moment}: no backups are expected");
        assert_eq!(scene.operation().last_outcome, Some(Outcome::Success), "{moment}");
        assert_eq!(scene.collection(OTHER).last_outcome, Some(Outcome::Success), "{moment}");
        assert_eq!(scene.place.backups(DOCS).len(), 0, "{moment}");
        assert_eq!(scene.place.temporary(), Vec::<String>::new(), "{moment}");
        assert!(!scene.place.layout().collection(&name(DOCS)).exists(), "{moment}");
        // Its snapshot cannot be deleted and stays on record until it can.
        let left: Vec<String> =
            status.undeleted_snapshots.iter().map(|snapshot| snapshot.name.clone()).collect();
        assert_eq!(left, scene.on_server(), "{moment}");
    }
}

#[test]
fn a_collection_with_backups_that_is_dropped_during_a_run_is_gone_from_the_server() {
    for (moment, faults) in moments() {
        for command in [&["backup"][..], &["backup", "-c", DOCS]] {
            let scene = scene(Vec::new());
            scene.backup().success();
            assert_eq!(scene.collection(DOCS).on_server, Some(true));
            scene.server.faults(|all| faults.iter().cloned().for_each(|fault| all.add(fault)));

            scene.place.run(command).success().says(&["was deleted during the run"]);

            let docs = scene.collection(DOCS);
            assert_eq!((docs.on_server, docs.failure), (Some(false), None), "{moment}");
            assert_eq!(docs.last_outcome, Some(Outcome::Success), "{moment}: from the previous backup");
            assert_eq!(scene.place.backups(DOCS).len(), 1, "{moment}: it is kept");
        }
    }
}

#[test]
fn what_was_left_of_a_dropped_collection_is_deleted_once_there_is_one_again() {
    let scene = scene(vec![
        Fault::new(Effect::DropCollection).on(Endpoint::DownloadSnapshot).collection(DOCS).first(1),
    ]);
    scene
        .backup()
        .success()
        .says(&["stays in the server's snapshot directory of \"docs\"", "delete it there by hand"]);
    assert_eq!(scene.on_server().len(), 1);

    scene.backup().success();
    assert_eq!(scene.place.status().undeleted_snapshots.len(), 1, "unreachable, but still on record");
    scene.place.run(&["prune", "--server-leftovers"]).success();

    scene.server.state(|state| state.add_collection(generated(DOCS)));
    scene.backup().success();
    scene.assert_server_clean();
}

#[test]
fn a_person_can_take_what_is_out_of_reach_off_the_record() {
    let scene = scene(vec![
        Fault::new(Effect::DropCollection).on(Endpoint::DownloadSnapshot).collection(DOCS).first(1),
    ]);
    scene.backup().success();

    scene.place.run(&["prune", "--server-leftovers", "--yes"]).success().says(&["delete it there by hand"]);

    assert_eq!(scene.place.status().undeleted_snapshots, []);
}

#[test]
fn a_collection_that_is_dropped_and_made_again_is_backed_up() {
    // Only the 404 answer shows it.
    for endpoint in [Endpoint::CollectionCluster, Endpoint::CountPoints, Endpoint::CreateSnapshot] {
        let scene = scene(vec![Fault::status(404).on(endpoint).collection(DOCS).first(1)]);

        scene.backup().success();

        assert_eq!(scene.place.backups(DOCS).len(), 1, "{endpoint:?}");
        scene.assert_server_clean();
    }
}

#[test]
fn a_server_that_loses_all_collections_during_a_run_is_a_failure() {
    let scene = Scene::new();
    scene.backup().success();
    scene.server.faults(|all| all.add(Fault::new(Effect::DropCollection).on(Endpoint::CollectionCluster)));

    scene.backup().code(1).says(&["has no collections, but there are good backups of 1"]);

    assert_eq!(scene.collection(DOCS).on_server, Some(true));
}

#[test]
fn a_named_collection_that_is_gone_from_the_server_is_still_an_error() {
    let Scene { server, place } =
        Scene::on(StandIn::start(Setup::empty().collection(generated(DOCS)).collection(generated(OTHER))));
    place.run(&["backup"]).success();
    server.state(|state| state.collections.remove(OTHER));
    place.run(&["backup", "-c", OTHER]).code(1).says(&["`--collection` takes the exact name"]);
}

#[test]
fn a_target_that_is_dropped_before_its_safety_backup_is_not_restored_over() {
    let Scene { server, place } =
        Scene::on(StandIn::start(Setup::empty().collection(generated(DOCS)).collection(generated(OTHER))));
    place.run(&["backup"]).success();
    server.faults(|all| all.add(Fault::new(Effect::DropCollection).on(Endpoint::CollectionCluster).first(1)));

    place
        .run(&["restore", "-c", DOCS, "--force"])
        .code(1)
        .says(&["it was deleted in the meantime; run the restore again"]);

    assert!(server.requests_matching("POST", "/upload").is_empty());
    place.run(&["restore", "-c", DOCS]).success();
}
