//! Collections with shard keys when the nodes are unknown (because a proxy blocks `GET /cluster`) or when an earlier
//! version made the backup. The snapshot is of the whole collection on one node. It is not drilled, and can be
//! restored only into the same shard keys.

use e2e::qdrant_stand_in::{Collection, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn};
use e2e::scene::{DOCS, POINTS, SIZE};
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{CollectionName, FailureKind, ShardKey, json_file};
use serde_json::{Value, json};

fn keys() -> Vec<(Value, Vec<u32>)> {
    vec![(json!("eu"), vec![1, 2]), (json!("us"), vec![3])]
}

fn keyed(name: &str, keys: &[(Value, Vec<u32>)], points: u64) -> Collection {
    let snapshot = GeneratedSnapshot::new(SIZE).points_count(points).shard_keys(keys);
    Collection::generated(name, snapshot)
}

/// One node in cluster mode, behind a proxy.
fn node() -> Setup {
    Setup::cluster(1).fault(Fault::status(404).on(Endpoint::Cluster))
}

/// That node with [`DOCS`], which has two keys and three shards, backed up.
fn backed_up() -> (StandIn, Place, Ran) {
    let Scene { server, place } = Scene::of(node().collection(keyed(DOCS, &keys(), POINTS)));
    let ran = place.run(&["backup"]).success();
    (server, place, ran)
}

fn drop_and_make(server: &StandIn, keys: &[(Value, Vec<u32>)]) {
    server.state(|state| {
        state.collections.remove(DOCS);
        state.add_collection(keyed(DOCS, keys, 0));
    });
    server.clear_requests();
}

fn count(server: &StandIn) -> Option<u64> {
    server.state(|state| Some(state.collections.get(DOCS)?.points_count()))
}

#[test]
fn custom_sharding_is_backed_up_verified_and_told_once() {
    let (server, place, ran) = backed_up();
    let ran = ran.says(&[
        "has custom sharding: its backups can only be restored into a collection with the same shard keys, \"eu\" (shards 1, 2), \"us\" (shard 3)",
    ]);
    assert_eq!(place.status().last_run.unwrap().warnings.len(), 1, "{}", ran.stderr);
    let manifest = place.backups(DOCS).remove(0).manifest;
    let expected = [ShardKey::new(json!("eu"), vec![1, 2]), ShardKey::new(json!("us"), vec![3])];
    assert_eq!(manifest.source.shard_keys.as_deref(), Some(expected.as_slice()));
    assert_eq!(manifest.archives[0].shard_ids, [1, 2, 3]);
    place.run(&["verify"]).success();
    place.run(&["backup"]).success();
    assert_eq!(place.status().last_run.unwrap().warnings, Vec::<String>::new(), "it is recorded by now");
    assert_eq!(server.snapshot_names(DOCS), Vec::<String>::new());
}

#[test]
fn a_drill_of_custom_sharding_is_unsupported_and_condemns_nothing() {
    let (_server, place, _) = backed_up();
    let target = StandIn::start(Setup::empty());
    let ran = place.run(&["drill", "--to", &target.url()]).success();
    ran.says(&["was not drilled"])
        .says(&["Drill proved nothing: 0 of 1 backups passed, 1 cannot be drilled"]);
    assert!(target.requests_matching("POST", "/upload").is_empty());
    let backup = place.backups(DOCS).remove(0);
    assert_eq!(backup.condition(), Condition::Good);
    let record = backup.verification.unwrap();
    assert_eq!(record.levels[&Level::Restore].outcome, CheckOutcome::Unsupported);
    assert_eq!((record.failed(), record.deepest_pass()), (false, None));
    let drill = &place.status().operations[&Operation::Drill];
    assert_eq!((drill.failures_total, drill.consecutive_failures), (0, 0));
    assert_eq!(drill.last_success_at, None, "nothing was proven");
}

#[test]
fn other_backups_are_drilled_all_the_same() {
    let plain = Collection::generated("plain", GeneratedSnapshot::new(SIZE).points_count(POINTS));
    let Scene { server: _server, place } =
        Scene::on(StandIn::start(node().collection(keyed(DOCS, &keys(), POINTS)).collection(plain)));
    place.run(&["backup"]).success();
    let target = StandIn::start(Setup::empty());
    for _ in 0..2 {
        let arguments = ["drill", "--backup", "least-recent", "--to", &target.url()];
        place.run(&arguments).success().says(&["Drill of plain passed"]).says(&["1 of 1 backups passed"]);
    }
    let all = place.run(&["drill", "--to", &target.url()]).success();
    all.says(&["Drill succeeded: 1 of 2 backups passed, 1 cannot be drilled"]);
    assert!(place.status().operations[&Operation::Drill].last_success_at.is_some());
}

#[test]
fn a_restore_into_nothing_is_refused_before_anything_changes() {
    let (server, place, _) = backed_up();
    server.state(|state| state.collections.remove(DOCS));
    server.clear_requests();
    for arguments in [vec!["restore", "--all"], vec!["restore", "--collection", DOCS, "--force"]] {
        let ran = place.run(&arguments).code(1);
        ran.says(&[
            "Qdrant does not create shard keys from a snapshot",
            "\"eu\" (shards 1, 2), \"us\" (shard 3)",
            "docs/recovery.md",
        ]);
    }
    place.run(&["restore", "--collection", DOCS, "--dry-run"]).code(1).says(&["0 of 1 collections"]);
    let changing = |request: &e2e::qdrant_stand_in::LoggedRequest| request.method != "GET";
    assert!(!server.requests().iter().any(changing));
    assert_eq!(count(&server), None);
    let report = place.status().last_run.unwrap();
    let failure = report.operations[0].collections[0].failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::VersionUnsupported);
    // The refusal does not mark the backup as bad, so other restores remain possible.
    assert_eq!(place.backups(DOCS).remove(0).condition(), Condition::Good);
}

#[test]
fn the_same_shard_keys_take_the_backup_and_all_points_are_there() {
    let (server, place, _) = backed_up();
    drop_and_make(&server, &keys());
    let arguments = ["restore", "--collection", DOCS, "--force", "--no-safety-backup"];
    let ran = place.run(&arguments).success();
    assert!(
        ran.stdout.contains("custom, with the shard keys \"eu\" (shards 1, 2), \"us\" (shard 3)"),
        "{}",
        ran.stdout
    );
    assert_eq!(count(&server), Some(POINTS));
    assert_eq!(place.status().operations[&Operation::Restore].last_outcome, Some(Outcome::Success));
}

#[test]
fn other_shard_keys_or_ids_are_refused_before_anything_changes() {
    let (server, place, _) = backed_up();
    for (other, says) in [
        (vec![(json!("us"), vec![1]), (json!("eu"), vec![2, 3])], "shard 1 has key \"eu\" in the backup"),
        (vec![(json!("eu"), vec![1, 2])], "it lacks shard 3 of key \"us\""),
        (vec![], "it lacks shard 1 of key \"eu\""),
        (
            vec![(json!("eu"), vec![1, 2]), (json!("us"), vec![3, 4])],
            "its shard 4 of key \"us\" is not in the backup",
        ),
    ] {
        drop_and_make(&server, &other);
        let arguments = ["restore", "--collection", DOCS, "--force", "--no-safety-backup"];
        place.run(&arguments).code(1).says(&[says, "\"docs\" is untouched"]);
        assert!(server.requests_matching("POST", "/upload").is_empty());
        assert_eq!(count(&server), Some(0));
    }
}

#[test]
fn automatic_and_custom_sharding_are_not_restored_over_each_other() {
    let (server, place, _) = backed_up();
    let plain = |name: &str| Collection::generated(name, GeneratedSnapshot::new(SIZE).points_count(POINTS));
    server.state(|state| state.add_collection(plain("plain")));
    place.run(&["backup", "--collection", "plain"]).success();
    server.clear_requests();
    for (from, to, says) in [
        ("plain", DOCS, "it has custom sharding, but the backup does not"),
        (DOCS, "plain", "the backup has custom sharding, but it does not"),
    ] {
        let arguments = ["restore", "--collection", from, "--as", to, "--force", "--no-safety-backup"];
        place.run(&arguments).code(1).says(&[says]);
    }
    assert!(server.requests_matching("POST", "/upload").is_empty());
}

#[test]
fn a_collection_without_a_shard_key_yet_is_valid_and_empty() {
    let Scene { server, place } = Scene::on(StandIn::start(node().collection(keyed(DOCS, &[], 0))));
    place.run(&["backup"]).success().says(&["Backed up docs: 0 points"]);
    assert_eq!(place.status().last_run.unwrap().warnings, Vec::<String>::new());
    let manifest = place.backups(DOCS).remove(0).manifest;
    assert_eq!(manifest.source.shard_keys, Some(Vec::new()));
    place.run(&["verify"]).success();
    let target = StandIn::start(Setup::empty());
    place.run(&["drill", "--to", &target.url()]).success().says(&["1 of 1 backups passed"]);
    server.state(|state| state.collections.remove(DOCS));
    let ran = place.run(&["restore", "--collection", DOCS]).success();
    assert!(ran.stdout.contains("custom, without shard keys: there are no points"), "{}", ran.stdout);
    assert_eq!(count(&server), Some(0));
}

#[test]
fn what_the_manifest_does_not_say_is_looked_up_in_the_snapshot() {
    let (server, place, _) = backed_up();
    server.state(|state| state.collections.remove(DOCS));
    let name = CollectionName::new(DOCS).unwrap();
    let mut manifest = place.backups(DOCS).remove(0).manifest;
    for config in [manifest.source.config.clone(), None] {
        manifest.source.shard_keys = None;
        manifest.source.config = config;
        json_file::write(&place.layout().manifest(&name, manifest.backup_id), &manifest).unwrap();
        let ran = place.run(&["restore", "--collection", DOCS]).code(1);
        ran.says(&["would be empty", "\"eu\" (shards 1, 2), \"us\" (shard 3)"]);
        let target = StandIn::start(Setup::empty());
        place.run(&["drill", "--to", &target.url()]).success().says(&["1 cannot be drilled"]);
    }
}

#[test]
fn an_imported_snapshot_with_custom_sharding_is_known_for_one() {
    let (_server, place, _) = backed_up();
    let out = place.beside("plain.snapshot");
    place.run(&["export", "--collection", DOCS, "--output", out.to_str().unwrap()]).success();
    let imported = Place::initialised("http://127.0.0.1:1");
    let file = out.to_str().unwrap();
    let ran = imported.run(&["import", "--collection", DOCS, file]).success();
    assert!(
        ran.stderr.contains("it can only be restored into a collection with the same shard keys"),
        "{}",
        ran.stderr
    );
    let manifest = imported.backups(DOCS).remove(0).manifest;
    assert_eq!(manifest.source.shard_keys.map(|keys| keys.len()), Some(2));
}
