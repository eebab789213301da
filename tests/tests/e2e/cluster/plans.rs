//! The output before a restore by shard begins, and refusals.

use e2e::Place;
use e2e::qdrant_stand_in::{Setup, StandIn, StandInCluster};
use e2e::scene::{DOCS, IMPATIENT, generated};
use qdrant_backup_shared::FailureKind;
use serde_json::{Value, json};

use super::{Scene, TENANTS, docs, tenants};

#[test]
fn an_existing_collection_is_refused_with_and_without_force() {
    let scene = Scene::docs(1).backed_up();
    for force in [&[][..], &["--force"], &["--force", "--no-safety-backup"]] {
        let ran = scene.place.run(&[&["restore", "--collection", DOCS], force].concat()).code(1);
        ran.says(&[
            "collection \"docs\" exists (90 points)",
            "a backup made shard by shard can only be restored into a new collection",
            "--as NEW",
            "\"docs\" is untouched",
        ]);
    }
    let failure = scene.place.status().last_run.unwrap().operations.remove(0).collections.remove(0).failure;
    assert_eq!(failure.unwrap().kind, FailureKind::TargetExists);
    for node in scene.cluster.nodes() {
        assert!(node.requests().iter().all(|request| !request.changes_something()));
    }
    assert_eq!(scene.place.backups(DOCS).len(), 1, "nothing was backed up first");
}

#[test]
fn a_restore_of_all_skips_what_is_there() {
    let scene = Scene::of(Setup::cluster(3).spread(docs(3), 2).spread(tenants(), 1)).backed_up();
    scene.cluster.state(|state| state.collections.remove(TENANTS));
    let ran = scene.place.run(&["restore", "--all"]).success();
    ran.says(&["Skipped docs", "\"docs\" already exists, with 90 points"]).says(&["Restored tenants"]);
    assert_eq!(scene.nodes.points(1, TENANTS).len(), 90);
    scene.place.run(&["restore", "--all"]).success().says(&["Skipped tenants"]);
}

#[test]
fn a_dry_run_says_how_many_shards_go_where_and_changes_nothing() {
    let scene = Scene::of(Setup::cluster(3).spread(docs(6), 2).spread(tenants(), 1)).backed_up();
    let target = StandInCluster::start_with(Setup::cluster(2));
    let url = target.urls().remove(0);
    let (before, status) = (scene.place.files(), scene.place.status());

    let ran = scene.place.run(&["restore", "--dry-run", "--to", &url]).success();

    let ran = ran.says(&["2 of 2 collections can be restored; nothing on the server was changed"]);
    assert!(
        ran.stdout.contains("6 shards, each uploaded to a node that holds it, on 2 nodes, 2 copies of each"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("custom, with the shard keys \"eu\" (shard 1), \"us\" (shards 3, 4)"),
        "{}",
        ran.stdout
    );
    let json = scene.place.run(&["restore", "--dry-run", "--json", "--to", &url]).success();
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    let plan = answer["plans"].as_array().unwrap().iter().find(|plan| plan["collection"] == DOCS).unwrap();
    let expected = json!({ "count": 6, "copies": 2, "nodes": 2, "restored_before": null });
    assert_eq!((&plan["shards"], &plan["obstacles"]), (&expected, &json!([])));
    let arguments = ["restore", "--dry-run", "--json", "--replication-factor", "1", "--to", &url];
    let json = scene.place.run(&arguments).success();
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(answer["plans"].as_array().unwrap().iter().all(|plan| plan["shards"]["copies"] == 1));
    for node in target.nodes() {
        assert!(node.requests().iter().all(|request| !request.changes_something()));
    }
    assert_eq!((scene.place.files(), scene.place.status()), (before, status));
}

#[test]
fn a_damaged_shard_is_found_before_the_server_has_it() {
    let scene = Scene::docs(1).backed_up();
    let manifest = scene.manifest(DOCS);
    let archive = manifest.archives.iter().find(|archive| archive.shard_ids == [1]).unwrap();
    let path = scene.place.layout().collection(&manifest.collection).join(&archive.file_name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    crate::traces::put(&path, bytes);
    let target = StandIn::start(Setup::empty());
    let ran = scene.place.run(&["restore", "--collection", DOCS, "--dry-run", "--to", &target.url()]).code(1);
    ran.says(&[".shard-1.snapshot.gz"]);
    // It is now known to be bad, and is restored only if it is named.
    scene.place.run(&["restore", "--collection", DOCS, "--to", &target.url()]).code(1);
    assert!(target.requests().iter().all(|request| !request.changes_something()));
}

#[test]
fn the_snapshot_of_a_whole_collection_says_on_which_node_of_a_cluster_its_shards_will_lie() {
    let source = StandIn::start(Setup::empty().collection(generated(DOCS)));
    let place = Place::initialised(&source.url());
    place.configure(IMPATIENT);
    place.run(&["backup"]).success();
    let target = StandInCluster::start_with(Setup::cluster(3));
    let url = target.urls().remove(1);
    let dry = place.run(&["restore", "--collection", DOCS, "--dry-run", "--to", &url]).success();
    assert!(dry.stdout.contains(&format!("all of them will be on {url}")), "{}", dry.stdout);
    let json = place.run(&["restore", "--collection", DOCS, "--dry-run", "--json", "--to", &url]).success();
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    let on_node = answer["plans"][0]["on_node"].as_str().unwrap().trim_end_matches('/').to_owned();
    assert_eq!(on_node, url);
    place.run(&["restore", "--collection", DOCS, "--to", &url]).success();
    let holders: Vec<usize> = target.state(|state| {
        let shards = state.collection_mut(DOCS).shards.iter();
        shards.flat_map(|shard| shard.replicas.iter().map(|replica| replica.node)).collect()
    });
    assert_eq!(holders, [1]);
}
