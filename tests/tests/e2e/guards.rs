//! Checks that the right server and complete collections are backed up.

use e2e::directory::name;
use e2e::qdrant_stand_in::{Answer, Content, Effect, Endpoint, Fault, GeneratedSnapshot, Setup};
use e2e::scene::{DOCS, IMPATIENT, SIZE, docs, generated};
use e2e::{Planted, Scene};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::Outcome;

fn three() -> Scene {
    Scene::of(Setup::empty().collection(generated("a")).collection(generated("b")).collection(generated("c")))
}

fn genuine(file: &str) -> Content {
    Content::genuine("1.18.3", file).expect("a genuine snapshot")
}

#[test]
fn an_emptied_server_fails_the_run_and_nothing_is_changed() {
    let scene = Scene::new();
    scene.backup().success();
    let before = scene.place.stored();
    scene.server.faults(|faults| faults.add(Fault::new(Effect::NoCollections)));
    scene.server.clear_requests();

    scene.backup().code(1).says(&[
        "ERROR: Backup failed",
        "has no collections",
        "good backups of 1 (docs)",
        "is this the right server, or was its storage emptied? Nothing was changed",
    ]);

    assert_eq!(scene.hits(), 1);
    assert_eq!(scene.place.stored(), before);
    assert_eq!(scene.place.prove(), 1);
    assert!(scene.server.requests().iter().all(|request| request.method == "GET"));
    let operation = scene.operation();
    assert_eq!(operation.last_outcome, Some(Outcome::Failed));
    assert!(operation.last_success_at.is_some());
    assert_eq!(operation.failures.into_iter().collect::<Vec<_>>(), [(FailureKind::SourceChanged, 1)]);
    assert_eq!(scene.collection(DOCS).on_server, Some(true), "a failed run proves nothing");

    scene.heal();
    scene.backup().success();
    assert_eq!(scene.place.prove(), 2);
}

#[test]
fn an_empty_server_without_backups_is_no_failure() {
    let scene = Scene::of(Setup::empty());

    scene.backup().success().says(&["INFO: Backup succeeded: 0 of 0 collections"]);

    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(scene.operation().last_outcome, Some(Outcome::Success));
    assert!(scene.place.status().collections.is_empty());
}

#[test]
fn another_server_is_backed_up_and_called_another_until_it_is_accepted() {
    let scene = Scene::new();
    scene.backup().success().never_says("accept-source");
    scene.server.set_peer_id(42);
    let checked = scene.place.run(&["config", "check"]).success().stdout;
    assert!(checked.contains("warn  same server") && checked.contains("accept-source"), "{checked}");

    for backups in [2, 3] {
        scene.backup().success().says(&[
            "WARN",
            "is not the server that these backups came from",
            "nothing is pruned until you confirm the server with `qdrant-backup accept-source`",
        ]);
        assert_eq!(scene.place.prove(), backups);
        assert!(scene.place.status().source_changed);
    }

    scene.place.run(&["accept-source"]).success().says(&["as the source of this repository"]);
    assert!(!scene.place.status().source_changed);
    let shown = scene.place.run(&["status"]).success().stdout;
    assert!(!shown.contains("warning"), "{shown}");
    scene.backup().success().never_says("WARN");
    assert_eq!(scene.place.prove(), 4);
    assert!(!scene.place.status().source_changed);
    scene.assert_server_clean();
}

#[test]
fn one_collection_that_fails_does_not_stop_the_others() {
    let scene = three();
    scene
        .server
        .faults(|faults| faults.add(Fault::status(500).on(Endpoint::DownloadSnapshot).collection("b")));

    scene
        .backup()
        .code(3)
        .says(&["ERROR: Backup of b failed", "500"])
        .says(&["ERROR: Backup partial: 2 of 3 collections", "b (http_status)"]);

    assert_eq!(scene.hits(), 1);
    assert_eq!(scene.place.prove(), 2);
    assert_eq!(scene.place.stored().len(), 4);
    let operation = scene.operation();
    assert_eq!(operation.last_outcome, Some(Outcome::Partial));
    assert_eq!(operation.last_success_at, None);
    assert_eq!(operation.failures.into_iter().collect::<Vec<_>>(), [(FailureKind::HttpStatus, 1)]);
    for (collection, outcome) in [("a", Outcome::Success), ("b", Outcome::Failed), ("c", Outcome::Success)] {
        assert_eq!(scene.collection(collection).last_outcome, Some(outcome));
        assert_eq!(scene.server.snapshot_names(collection), Vec::<String>::new());
    }
    scene.assert_nothing_pending();

    scene.heal();
    scene.backup().success();
    assert_eq!(scene.place.prove(), 5);
    assert_eq!(scene.collection("b").failure, None);
    assert_eq!(scene.operation().consecutive_failures, 0);
}

#[test]
fn a_run_in_which_every_collection_fails_has_failed() {
    let scene = three();
    scene.server.faults(|faults| faults.add(Fault::status(500).on(Endpoint::CreateSnapshot)));

    scene.backup().code(1).says(&[
        "ERROR: Backup failed: 0 of 3 collections",
        "a (http_status), b (http_status), c (http_status)",
    ]);

    assert_eq!(scene.hits(), 6);
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(scene.operation().failures.into_iter().collect::<Vec<_>>(), [(FailureKind::HttpStatus, 3)]);
    scene.assert_nothing_pending();
}

#[test]
fn a_collection_that_is_asked_for_and_not_there_fails_alone() {
    let scene = Scene::new();

    scene
        .place
        .run(&["backup", "--collection", "dosc", "--collection", DOCS])
        .code(3)
        .says(&["ERROR: Backup of dosc failed", "the server has no such collection", "exact name"])
        .says(&["Backup partial: 1 of 2", "dosc (no_collection)"]);
    scene.assert_server_clean();
    assert_eq!(scene.place.prove(), 1);
    assert!(!scene.place.status().collections.contains_key(&name("dosc")), "it was never a collection");
    assert_eq!(scene.operation().failures.into_iter().collect::<Vec<_>>(), [(FailureKind::NoCollection, 1)]);

    scene.place.run(&["backup", "--collection", "dosc"]).code(1);
    assert_eq!(scene.place.prove(), 1);
}

#[test]
fn globs_choose_the_collections() {
    let scene = three();
    scene.server.state(|state| state.add_collection(generated("c_tmp")));
    scene
        .place
        .configure(&format!("{IMPATIENT}backup:\n  include: [\"a\", \"c*\"]\n  exclude: [\"*_tmp\"]\n"));

    scene.backup().success().says(&["Backing up 2 of 4 collections"]);

    assert_eq!(scene.place.prove(), 2);
    assert_eq!((scene.place.backups("a").len(), scene.place.backups("c").len()), (1, 1));
    assert_eq!(scene.server.requests_matching("GET", "/collections/b").len(), 0);
    assert_eq!(scene.server.requests_matching("GET", "/collections/c_tmp").len(), 0);
    assert_eq!(scene.collection("a").on_server, Some(true));
    assert!(
        !scene.place.status().collections.contains_key(&name("b")),
        "an excluded collection is not missing"
    );

    // An explicitly requested collection is backed up even if no pattern matches it.
    scene.place.run(&["backup", "--collection", "b"]).success();
    assert_eq!(scene.place.backups("b").len(), 1);
}

#[test]
fn globs_that_choose_nothing_fail() {
    let scene = Scene::new();
    scene.place.configure(&format!("{IMPATIENT}backup:\n  include: [\"dosc\"]\n"));

    scene
        .backup()
        .code(1)
        .says(&["ERROR: Backup failed", "backup.include and backup.exclude select none of the 1"]);

    let checked = scene.place.run(&["config", "check"]).code(78).stdout;
    assert!(checked.contains("FAIL  access") && checked.contains("select none of the 1"), "{checked}");
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    assert_eq!(scene.operation().failures.into_iter().collect::<Vec<_>>(), [(FailureKind::NoCollection, 1)]);
    assert_eq!(scene.creations(), 0);
}

#[test]
fn a_collection_that_left_the_server_is_missed_once_and_its_backups_stay() {
    let scene = three();
    scene.backup().success();
    scene.server.state(|state| state.collections.remove("b"));

    scene
        .backup()
        .success()
        .says(&["WARN", "collection \"b\" is no longer on the server; its backups are kept"]);
    assert_eq!(scene.collection("b").on_server, Some(false));
    assert_eq!(scene.collection("a").on_server, Some(true));
    assert_eq!(scene.place.backups("b").len(), 1);

    scene.backup().success().never_says("WARN");
    assert_eq!(scene.collection("b").on_server, Some(false));
    assert!(scene.collection("b").last_success_at.is_some());
    assert_eq!(scene.place.prove(), 7);

    scene.server.state(|state| state.add_collection(generated("b")));
    scene.backup().success();
    assert_eq!(scene.collection("b").on_server, Some(true));
}

#[test]
fn a_run_of_some_collections_says_nothing_of_the_others() {
    let scene = three();
    scene.backup().success();
    scene.server.state(|state| state.collections.remove("b"));

    scene.place.run(&["backup", "--collection", "a"]).success().never_says("WARN");

    assert_eq!(scene.collection("b").on_server, Some(true));
}

#[test]
fn what_the_first_contact_showed_is_missing_until_it_is_backed_up() {
    let scene = three();
    scene.server.state(|state| state.add_collection(generated("d_tmp")));
    scene.place.configure(&format!("{IMPATIENT}backup:\n  exclude: [\"*_tmp\"]\n"));

    scene.place.run(&["backup", "--collection", "a"]).success();

    let ran = scene.place.run(&["status"]).code(5);
    assert!(ran.stdout.starts_with("NO GOOD BACKUP: b, c\n"), "{}", ran.stdout);
    assert_eq!(scene.collection("b").on_server, Some(true));
    assert!(
        !scene.place.status().collections.contains_key(&name("d_tmp")),
        "an excluded collection is not missing"
    );

    scene.backup().success();
    let ran = scene.place.run(&["status"]).success();
    assert!(ran.stdout.starts_with("Every collection (3) has a good backup"), "{}", ran.stdout);
}

#[test]
fn what_is_not_selected_is_neither_expected_nor_counted_and_the_page_agrees() {
    let scene = three();
    scene.backup().success();
    scene.place.plant("b", "2025-07-01T00:00:00Z", Planted::Incomplete);
    let narrow = format!("{IMPATIENT}backup:\n  include: [\"a\", \"c\"]\n");
    scene.place.configure(&narrow);
    scene.backup().success();
    assert!(scene.collection("b").excluded);
    let ran = scene.place.run(&["status"]).success();
    assert!(ran.stdout.starts_with("Every collection (2) has a good backup"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("not selected for backup").count(), 1, "{}", ran.stdout);

    // Files that are selected are expected, and those that no longer are, are not.
    scene.place.configure(&format!("{narrow}  include_files: [\"/nonexistent/*.yaml\"]\n"));
    scene.backup().code(3);
    let ran = scene.place.run(&["status"]).code(5);
    assert!(ran.stdout.starts_with("NO GOOD BACKUP: /files"), "{}", ran.stdout);
    scene.place.configure(&narrow);
    scene.backup().success();
    scene.place.run(&["status"]).success();
}

#[test]
fn a_run_that_ends_early_leaves_what_it_did_not_come_to_as_missing() {
    let scene = three();
    scene.server.faults(|all| all.add(Fault::new(Effect::Answer(Answer::status(403))).on(Endpoint::Aliases)));

    scene.backup().code(1);

    assert_eq!(scene.collection("c").on_server, Some(true));
    let ran = scene.place.run(&["status"]).code(5);
    assert!(ran.stdout.starts_with("NO GOOD BACKUP: a, b"), "{}", ran.stdout);
}

#[test]
fn what_was_never_backed_up_and_is_gone_or_left_out_is_forgotten() {
    let scene = three();
    scene.place.run(&["backup", "--collection", "a"]).success();
    scene.server.state(|state| state.collections.remove("b"));
    scene.place.configure(&format!("{IMPATIENT}backup:\n  exclude: [\"c\"]\n"));

    scene.backup().success().never_says("WARN");

    let known: Vec<_> = scene.place.status().collections.into_keys().collect();
    assert_eq!(known, [name("a")]);
    scene.place.run(&["status"]).success();
}

#[test]
fn a_retired_collection_is_not_missing_because_another_was_backed_up() {
    let scene = three();
    scene.backup().success();
    let b = scene.server.state(|state| state.collections.remove("b"));
    scene.backup().success();
    scene.place.run(&["prune", "--retire", "b"]).success();
    scene.server.state(|state| state.collections.insert("b".to_owned(), b.expect("it existed")));

    scene.place.run(&["backup", "--collection", "a"]).success();

    assert!(scene.place.status().retired_collections.contains(&name("b")));
}

#[test]
fn a_snapshot_without_points_of_a_collection_with_points_is_refused() {
    let scene = Scene::with([Fault::new(Effect::CreationContent(genuine("empty.snapshot")))]);

    scene.backup().code(1).says(&[
        "ERROR: Backup of docs failed",
        "the collection has 10 points, but the snapshot contains none",
    ]);

    assert_eq!(scene.hits(), 1);
    scene.assert_failed(FailureKind::EmptySnapshot);
    scene.assert_server_clean();
}

#[test]
fn an_empty_snapshot_of_an_empty_collection_is_a_backup() {
    let scene = Scene::with([Fault::new(Effect::CreationContent(genuine("empty.snapshot")))]);
    scene.server.state(|state| state.collection_mut(DOCS).set_points_count(0));

    scene.backup().success();

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    assert_eq!(scene.manifest().points_count(), Some(0));
}

#[test]
fn points_are_counted_before_and_after() {
    let scene = Scene::with([Fault::new(Effect::PointsCount(7)).first(1)]);

    scene.backup().success().says(&["Backed up docs: 7 points"]);

    assert_eq!(scene.hits(), 1);
    scene.assert_backed_up();
    let manifest = scene.manifest();
    assert_eq!(manifest.source.points_count_before, Some(7));
    assert_eq!(manifest.source.points_count_after, Some(10));
    assert_eq!(scene.collection(DOCS).points, Some(7), "the backup certainly has that many");
    let counts = scene.server.requests_matching("POST", "/points/count");
    assert!(counts.iter().all(|request| request.json == serde_json::json!({ "exact": true })));
}

#[test]
fn a_snapshot_that_was_broken_when_it_was_made_is_refused_in_spite_of_its_checksum() {
    let whole = Content::generated(&GeneratedSnapshot::new(SIZE));
    let half = Content::bytes(whole.read_at(0, SIZE as usize / 2).expect("half a snapshot"));
    for content in [half, Content::bytes(vec![7; 100_000]), Content::bytes(Vec::new())] {
        let scene = Scene::with([Fault::new(Effect::CreationContent(content))]);

        scene.backup().code(1).says(&["ERROR: Backup of docs failed", "the snapshot is incomplete"]);

        assert_eq!(scene.hits(), 1);
        scene.assert_failed(FailureKind::ArchiveCorrupt);
        scene.assert_server_clean();
    }
}

#[test]
fn aliases_and_configuration_are_in_the_manifest() {
    let scene = Scene::of(Setup::empty().collection(docs()).alias("prod", DOCS).alias("other", "elsewhere"));

    scene.backup().success();

    let manifest = scene.manifest();
    assert_eq!(manifest.source.aliases, Some(vec!["prod".to_owned()]));
    assert_eq!(manifest.source.qdrant_version.as_deref(), Some("1.18.3"));
    let config = manifest.source.config.expect("a configuration");
    assert_eq!(config["params"]["shard_number"], 1);
}
