//! Uploads with an unknown outcome, and files that can be deleted only while a collection with the same name exists.

use std::time::Duration;

use e2e::qdrant_stand_in::{Answer, Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, docs};
use e2e::{Place, Ran, Scene};

fn backed_up() -> Scene {
    let Scene { server: source, place } = Scene::on(StandIn::start(Setup::empty().collection(docs())));
    place.configure("qdrant:\n  retries: 0\n");
    place.run(&["backup"]).success();
    Scene { server: source, place }
}

fn restore(place: &Place, target: &StandIn) -> Ran {
    place.run(&["restore", "-c", DOCS, "--to", &target.url()])
}

/// Fails the test if collections were created or dropped.
#[track_caller]
fn assert_untouched(target: &StandIn) {
    assert_eq!(target.requests_matching("PUT", "/collections/").len(), 0);
    let dropped = target.requests_matching("DELETE", "/collections/");
    assert!(dropped.iter().all(|request| request.path_and_query.contains("/snapshots/")));
}

#[test]
fn an_upload_that_lost_its_answer_is_unknown_and_nothing_of_it_is_touched() {
    for status in [408, 499, 502, 503, 504, 520, 521, 522, 523, 524, 530] {
        let Scene { server: _source, place } = backed_up();
        let target = StandIn::start(Setup::empty());
        target.faults(|all| {
            all.add(Fault::new(Effect::AnswerAfter(Answer::status(status))).on(Endpoint::UploadSnapshot))
        });

        restore(&place, &target).code(1).says(&["the server may still be restoring \"docs\""]);

        assert_untouched(&target);
        let status = place.status();
        assert_eq!((status.undeleted_snapshots.len(), status.unanswered_uploads.len()), (1, 1));
        assert_eq!(target.snapshot_names(DOCS), [status.undeleted_snapshots[0].name.clone()]);

        // By now the file is there, and the server has no work in progress.
        target.faults(|all| all.clear());
        place.run(&["restore", "-c", DOCS, "--as", "beside", "--to", &target.url()]).success();
        assert_eq!(target.snapshot_names(DOCS), Vec::<String>::new());
        let status = place.status();
        assert_eq!((status.undeleted_snapshots, status.unanswered_uploads), (vec![], vec![]));
    }
}

#[test]
fn nothing_is_cleaned_while_the_restore_may_be_under_way() {
    let Scene { server: _source, place } = backed_up();
    let (begins_after, takes) = (Duration::from_secs(2), Duration::from_secs(4));
    let cut = Effect::UploadCut { status: 520, begins_after, takes };
    let target = StandIn::start(Setup::empty().fault(Fault::new(cut).first(1)));
    restore(&place, &target).code(1).says(&["the server may still be restoring \"docs\""]);

    // Two cases: the upload has not reached the server yet, and the server is working on it.
    let beside = |name: &str| place.run(&["restore", "-c", DOCS, "--as", name, "--to", &target.url()]);
    for name in ["one", "two"] {
        beside(name).success().says(&["may still be restoring", "a later run deletes the file"]);
        assert_eq!(place.status().undeleted_snapshots.len(), 1);
        std::thread::sleep(begins_after);
    }
    assert_untouched(&target);
    std::thread::sleep(takes);
    assert_eq!(target.state(|state| state.collection_mut(DOCS).points_count()), 10, "the restore succeeded");

    beside("three").success();
    assert_eq!(target.snapshot_names(DOCS), Vec::<String>::new());
    assert_eq!(place.status().undeleted_snapshots, []);
}

#[test]
fn an_error_while_the_server_restores_is_a_proxys_and_unknown() {
    let Scene { server: _source, place } = backed_up();
    let takes = Duration::from_secs(4);
    let cut = Effect::UploadCut { status: 500, begins_after: Duration::ZERO, takes };
    let target = StandIn::start(Setup::empty().fault(Fault::new(cut).first(1)));

    restore(&place, &target).code(1).says(&["the server may still be restoring \"docs\""]);

    assert_untouched(&target);
    assert_eq!(place.status().undeleted_snapshots.len(), 1);
}

#[test]
fn no_collection_is_made_in_order_to_delete_an_uploaded_file() {
    let Scene { server: _source, place } = backed_up();
    let target = StandIn::start(Setup::empty());
    let fault = Fault::new(Effect::AnswerAfter(Answer::status(500))).on(Endpoint::UploadSnapshot).first(1);
    target.faults(|all| {
        all.add(fault);
        all.add(Fault::new(Effect::DropCollection).on(Endpoint::CollectionExists).first(1));
    });

    restore(&place, &target)
        .code(1)
        .says(&["stays in the server's snapshot directory of \"docs\"", "delete it there by hand"])
        .says(&["\"docs\" does not exist; to try again:"]);

    assert_untouched(&target);
    let left = place.status().undeleted_snapshots;
    assert_eq!(target.snapshot_names(DOCS), [left[0].name.clone()]);

    // The next restore creates the collection, after which the file can be deleted.
    target.state(|state| state.collections.clear());
    restore(&place, &target).success();
    assert_eq!(target.snapshot_names(DOCS), Vec::<String>::new());
    assert_eq!(place.status().undeleted_snapshots, []);
}

#[test]
fn a_drill_whose_upload_lost_its_answer_leaves_nothing_once_the_next_one_is_through() {
    for begins_after in [Duration::ZERO, Duration::from_secs(2)] {
        let Scene { server: _source, place } = backed_up();
        let takes = Duration::from_secs(2);
        let cut = Effect::UploadCut { status: 524, begins_after, takes };
        let target = StandIn::start(Setup::empty().fault(Fault::new(cut).first(1)));
        place.run(&["drill", "--to", &target.url()]).code(1).says(&["inconclusive", "524"]);
        std::thread::sleep(begins_after + takes);

        place.run(&["drill", "--to", &target.url()]).success();

        let left = target.state(|state| (state.collections.len(), state.nodes[0].snapshots.clone()));
        assert_eq!(left.0, 0, "no scratch collection");
        assert!(left.1.values().all(Vec::is_empty), "{:?}", left.1.keys());
        assert_eq!(place.status().undeleted_snapshots, []);
    }
}
