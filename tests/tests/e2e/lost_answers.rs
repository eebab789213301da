//! Creations that ended with an error or whose server died: the snapshot is found, requested again, or recorded.

use std::time::Duration;

use chrono::TimeDelta;
use e2e::qdrant_stand_in::{Answer, Cut, Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, configuration, docs, foreign, generated};
use e2e::{Place, Running, Scene};
use qdrant_backup_shared::FailureKind;

fn answered(status: u16) -> Fault {
    Fault::status(status).on(Endpoint::CreateSnapshot).first(1)
}

fn answered_after_doing_it(status: u16) -> Fault {
    Fault::new(Effect::AnswerAfter(Answer::status(status))).on(Endpoint::CreateSnapshot).first(1)
}

#[test]
fn a_creation_that_was_answered_by_an_error_is_asked_for_once_more() {
    for status in [400, 429, 500, 507] {
        let scene = Scene::with([answered(status)]);

        scene.backup().success().says(&["WARN", &status.to_string(), "trying once more"]);

        assert_eq!((scene.hits(), scene.creations()), (1, 2), "{status}");
        scene.assert_backed_up();
        scene.assert_server_clean();
    }
}

#[test]
fn a_snapshot_that_was_made_in_spite_of_an_error_is_adopted() {
    for status in [400, 403, 429, 499, 500, 520, 530] {
        let scene = Scene::with([answered_after_doing_it(status)]);

        let ran = scene.backup().success().says(&["WARN", &status.to_string()]);
        ran.says(&["INFO: Found snapshot docs-"]);

        assert_eq!((scene.hits(), scene.creations()), (1, 1), "{status}");
        scene.assert_backed_up();
        scene.assert_server_clean();
    }
}

#[test]
fn an_error_that_stays_fails_the_collection_after_two_tries() {
    let scene = Scene::with([Fault::status(500).on(Endpoint::CreateSnapshot)]);

    scene.backup().code(1).says(&["ERROR: Backup of docs failed", "Qdrant answered 500"]);

    assert_eq!(scene.creations(), 2);
    scene.assert_failed(FailureKind::HttpStatus);
    scene.assert_server_clean();
}

#[test]
fn an_error_while_the_server_goes_on_is_waited_out() {
    let cut = Cut::Status(500);
    let appears_after = Some(Duration::from_secs(5));
    let scene = Scene::with([Fault::new(Effect::CreationCut { cut, appears_after })]);

    scene.backup().success().says(&["Found snapshot docs-"]);

    assert_eq!(scene.creations(), 1);
    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn an_error_of_a_server_that_does_not_tell_what_it_does_is_on_record() {
    let scene = Scene::with([
        Fault::status(404).on(Endpoint::Telemetry),
        Fault::status(500).on(Endpoint::CreateSnapshot),
    ]);

    scene.backup().code(1);
    assert_eq!(scene.creations(), 2);
    assert_eq!(scene.place.status().unanswered_creations.len(), 2);
}

#[test]
fn a_snapshot_is_adopted_whatever_the_clocks_say() {
    for far in [TimeDelta::days(400), TimeDelta::hours(-7)] {
        for date in ["Thu, 01 Jan 1998 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"] {
            let cut = Cut::Status(504);
            let appears_after = Some(Duration::from_millis(700));
            let scene = Scene::with([
                Fault::new(Effect::Date(date.to_owned())),
                Fault::new(Effect::CreationCut { cut, appears_after }),
            ]);
            scene.server.state(|state| state.clock.shift(far));
            scene.configure(&[("create_timeout", "6h")]);

            scene.backup().success().says(&["Found snapshot docs-"]);

            scene.assert_backed_up();
            scene.assert_server_clean();
        }
    }
}

#[test]
fn of_several_new_snapshots_with_strange_stamps_none_is_deleted() {
    let other = Effect::AnotherSnapshotAppears { seconds_after_request: 90, content: foreign() };
    let cut = Effect::CreationCut { cut: Cut::HangUp, appears_after: Some(Duration::ZERO) };
    let scene = Scene::with([
        Fault::new(Effect::Date("Fri, 01 Jan 2100 00:00:00 GMT".to_owned())),
        Fault::new(other),
        Fault::new(cut),
    ]);
    scene.server.state(|state| state.clock.shift(TimeDelta::days(3)));

    scene.backup().success().says(&["2 snapshots of \"docs\" appeared", "deleting none"]);

    scene.assert_backed_up();
    assert_eq!(scene.on_server().len(), 2);
    assert_eq!(scene.place.status().suspected_leftovers.len(), 2);
}

#[test]
fn a_server_that_is_restarted_during_a_creation_ends_the_wait_and_is_asked_once_more() {
    let busy = Fault::new(Effect::CreationTakes(Duration::from_secs(3600)));
    let server = StandIn::start(Setup::empty().collection(docs()).fault(busy));
    let (port, place) = (server.port(), Place::initialised(&server.url()));
    place.configure(&configuration(&[("create_timeout", "6h")]));
    let mut running = Running::start(&mut place.command(&["backup", "--log-level", "debug"]));
    running.until_it_says("POST /collections/docs/snapshots");
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    running.until_it_says("looking for it in the list of snapshots");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(place.status().current_run.expect("a run").stage.as_str(), "wait");
    let server = StandIn::start(Setup::empty().collection(docs()).port(port));

    running.end().success().says(&["it was restarted in the meantime", "trying once more"]);

    assert_eq!(place.prove(), 1);
    assert_eq!(server.snapshot_names(DOCS), Vec::<String>::new());
    let status = place.status();
    assert_eq!((status.unanswered_creations, status.undeleted_snapshots), (vec![], vec![]));
}

#[test]
fn a_server_that_is_making_nothing_ends_the_wait() {
    let cut = Effect::CreationCut { cut: Cut::Status(504), appears_after: None };
    let scene = Scene::with([Fault::new(cut)]);
    scene.configure(&[("create_timeout", "6h")]);

    scene
        .backup()
        .code(1)
        .says(&["did not answer the request for a snapshot, and it is not creating one", "504"]);

    assert_eq!(scene.creations(), 2);
    scene.assert_failed(FailureKind::HttpStatus);
    scene.assert_nothing_pending();
}

#[test]
fn a_server_that_comes_back_and_tells_nothing_is_not_waited_for_for_hours() {
    let silent = || Fault::status(404).on(Endpoint::Telemetry);
    let busy = Fault::new(Effect::CreationTakes(Duration::from_secs(3600)));
    let server = StandIn::start(Setup::empty().collection(docs()).fault(busy).fault(silent()));
    let (port, place) = (server.port(), Place::initialised(&server.url()));
    place.configure(&configuration(&[("create_timeout", "6h")]));
    let mut running = Running::start(&mut place.command(&["backup", "--log-level", "debug"]));
    running.until_it_says("POST /collections/docs/snapshots");
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    running.until_it_says("looking for it in the list of snapshots");
    std::thread::sleep(Duration::from_millis(500));
    let _server = StandIn::start(Setup::empty().collection(docs()).port(port).fault(silent()));

    running.end().code(1).says(&["did not answer the request for a snapshot, and none appeared within 1m"]);

    assert_eq!(place.status().unanswered_creations.len(), 1);
}

#[test]
fn a_deletion_that_a_proxy_answered_leaves_the_snapshot_on_record_until_the_next_run() {
    let page = Answer::empty(200).text("<html>please log in</html>");
    for answer in [page, Answer::empty(204), Answer::status(404)] {
        let scene = Scene::with([Fault::answer(answer).on(Endpoint::DeleteSnapshot).first(1)]);

        scene.backup().success().says(&["WARN", "deleting snapshot docs-"]);

        let left: Vec<String> =
            scene.place.status().undeleted_snapshots.into_iter().map(|snapshot| snapshot.name).collect();
        assert_eq!((scene.on_server(), left.len()), (left.clone(), 1));
        scene.backup().success();
        scene.assert_server_clean();
    }
}

#[test]
fn of_two_creations_that_were_never_answered_each_is_known_by_its_own_time() {
    let scene = Scene::with([
        Fault::status(404).on(Endpoint::Telemetry),
        Fault::new(Effect::AnswerAfter(Answer::status(500))).on(Endpoint::CreateSnapshot),
        Fault::status(500).on(Endpoint::ListSnapshots).after(1),
    ]);
    scene.configure(&[("create_timeout", "4s")]);

    scene.backup().code(1);
    assert_eq!(scene.creations(), 2);
    assert_eq!(scene.on_server().len(), 2);
    scene.heal();

    scene.backup().success();
    let mut suspected: Vec<String> =
        scene.place.status().suspected_leftovers.into_iter().map(|snapshot| snapshot.name).collect();
    suspected.sort();
    assert_eq!(scene.on_server(), suspected);
    assert_eq!(scene.place.status().unanswered_creations, []);
}

#[test]
fn what_may_be_left_of_a_collection_that_was_dropped_is_known_when_it_is_back() {
    let setup = Setup::empty()
        .collection(docs())
        .collection(generated("other"))
        .fault(Fault::status(404).on(Endpoint::Telemetry))
        .fault(answered_after_doing_it(500).collection(DOCS))
        .fault(Fault::status(500).on(Endpoint::ListSnapshots).collection(DOCS).after(1));
    let scene = Scene::of(setup);
    scene.configure(&[("create_timeout", "4s")]);
    scene.backup();
    assert_eq!(scene.place.status().unanswered_creations.len(), 1);
    scene.heal();

    let dropped = scene.server.state(|state| state.collections.remove(DOCS)).expect("it existed");
    scene.backup();
    scene.server.state(|state| state.collections.insert(DOCS.to_owned(), dropped.clone()));
    scene.backup().success();
    let suspected = || -> Vec<String> {
        scene.place.status().suspected_leftovers.into_iter().map(|snapshot| snapshot.name).collect()
    };
    assert_eq!((scene.on_server(), suspected().len()), (suspected(), 1));

    scene.server.state(|state| drop(state.collections.remove(DOCS)));
    scene.backup();
    scene.server.state(|state| state.collections.insert(DOCS.to_owned(), dropped));
    scene.backup().success();
    assert_eq!((scene.on_server(), suspected().len()), (suspected(), 1));
}

#[test]
fn a_refusal_after_which_the_list_cannot_be_read_is_on_record() {
    for status in [401, 403, 405, 413, 422] {
        let scene = Scene::with([
            answered_after_doing_it(status),
            Fault::status(403).on(Endpoint::ListSnapshots).after(1),
        ]);
        scene.configure(&[("create_timeout", "2s")]);

        scene.backup().code(1);
        assert_eq!(scene.on_server().len(), 1, "{status}");
        assert_eq!(scene.place.status().unanswered_creations.len(), 1, "{status}");
        scene.heal();

        scene.backup().success();
        let suspected: Vec<String> =
            scene.place.status().suspected_leftovers.into_iter().map(|snapshot| snapshot.name).collect();
        assert_eq!(scene.on_server(), suspected, "{status}");
    }
}
