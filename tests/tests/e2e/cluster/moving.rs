//! Shards that are dead, in transfer, moved or added during their backup.

use std::time::Duration;

use e2e::qdrant_stand_in::{Effect, Fault, Resharding, Setup, Transfer, When};
use e2e::scene::DOCS;
use e2e::{Running, eventually};
use qdrant_backup_shared::FailureKind;
use reqwest::Method;
use serde_json::json;

use super::{Scene, TENANTS, creations, tenants};

#[test]
fn a_dead_replica_is_passed_over_for_another_one() {
    for state in ["Dead", "Partial", "Recovery"] {
        let scene = Scene::docs(2);
        for (shard, holders) in scene.holders(DOCS) {
            let node = holders.into_iter().next().unwrap();
            scene.cluster.state(|server| server.collection_mut(DOCS).set_replica_state(shard, node, state));
        }

        scene.backup().success();

        for (shard, node) in scene.origins(DOCS) {
            let last = scene.holders(DOCS)[&shard].iter().next_back().copied();
            assert_eq!(Some(node), last, "shard {shard} in state {state}");
        }
        assert_eq!(scene.place.prove(), 1);
        scene.assert_clean();
    }
}

#[test]
fn a_shard_without_an_active_replica_fails_the_collection_and_is_named() {
    let scene = Scene::docs(2);
    scene.cluster.state(|server| server.collection_mut(DOCS).set_shard_state(2, "Dead"));

    scene.backup().code(1).says(&["Backup of docs failed", "shard 2 has no active replica (Dead on node"]);

    let peers: Vec<String> =
        scene.holders(DOCS)[&2].iter().map(|node| scene.node(*node).peer_id().to_string()).collect();
    scene.assert_failed(DOCS, &FailureKind::ShardsUncovered, &[&peers[0], &peers[1]]);
    assert!(
        scene.cluster.nodes().iter().all(|node| creations(node).is_empty()),
        "no useless snapshot is created"
    );
    scene.assert_clean();
    scene.cluster.state(|server| server.collection_mut(DOCS).set_shard_state(2, "Active"));
    scene.backup().success();
}

/// The number of requests to create a snapshot of this shard.
fn creations_of(scene: &Scene, shard: u32) -> usize {
    let all = scene.cluster.nodes().iter().flat_map(creations);
    all.filter(|asked| asked.path_and_query.contains(&format!("/shards/{shard}/"))).count()
}

#[test]
fn a_shard_that_moves_between_creation_and_download_is_taken_from_where_it_is() {
    let scene = Scene::docs(1);
    scene.cluster.state(|server| server.collection_mut(DOCS).move_shard_when(When::Snapshot(0), 0, 0, 2));

    scene.backup().success().says(&[
        "WARN",
        "shard 0 of \"docs\" moved away from",
        "backing it up from its new node",
    ]);

    assert_eq!(scene.origins(DOCS)[&0], 2);
    assert_eq!(creations_of(&scene, 0), 2);
    assert_eq!(scene.manifest(DOCS).archives.len(), 3);
    assert_eq!((scene.place.prove(), scene.place.temporary()), (1, Vec::new()));
    // A node that lost a shard does not serve its snapshots, so this one waits until the shard is back.
    let left: Vec<String> =
        scene.place.status().undeleted_snapshots.into_iter().map(|snapshot| snapshot.name).collect();
    assert_eq!(left, scene.node(0).shard_snapshot_names(DOCS, 0));
    assert_eq!(scene.cluster.all_snapshots().len(), 1);
    scene.cluster.state(|server| server.collection_mut(DOCS).place_shard(0, &[0]));
    scene.backup().success();
    scene.assert_clean();
}

#[test]
fn a_shard_that_moves_once_it_is_here_is_taken_again_from_where_it_is() {
    let scene = Scene::docs(1);
    // Shard 0 is finished while the snapshot of shard 1 is created.
    scene.cluster.state(|server| server.collection_mut(DOCS).move_shard_when(When::Snapshot(1), 0, 0, 2));

    scene.backup().success().says(&[
        "WARN",
        "shard 0 of \"docs\" moved away from",
        "backing it up from its new node",
    ]);

    assert_eq!(scene.origins(DOCS)[&0], 2);
    assert_eq!((creations_of(&scene, 0), creations_of(&scene, 1)), (2, 1));
    assert_eq!(scene.manifest(DOCS).archives.len(), 3);
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
}

#[test]
fn shards_on_their_way_are_waited_for() {
    let scene = Scene::docs(1);
    scene.configure(&[("cluster_timeout", "60s")]);
    scene
        .cluster
        .state(|server| server.collection_mut(DOCS).transfer_for_polls(Transfer::moving(0, 0, 2), 3));

    scene.backup().success().says(&["shard 0 is being moved or copied", "waiting up to"]);

    assert_eq!(scene.origins(DOCS)[&0], 2);
    let up = Resharding { direction: "up", shard: 3, node: 2, shard_key: None };
    scene.cluster.state(|server| server.collection_mut(DOCS).resharding_for_polls(up, 3));
    scene.backup().success().says(&["it is being resharded", "waiting up to"]);
    assert_eq!(scene.place.prove(), 2);
    scene.assert_clean();
}

#[test]
fn shards_that_stay_on_their_way_fail_the_collection_and_are_named() {
    let scene = Scene::docs(1);
    scene.cluster.state(|server| {
        server.collection_mut(DOCS).transfer_for_polls(Transfer::moving(1, 1, 2), 100_000);
    });
    scene.backup().code(1).says(&["shard 1 is being moved or copied", "did not change within 1s"]);
    scene.assert_failed(DOCS, &FailureKind::ShardsUncovered, &["shard 1 is being moved or copied"]);

    let scene = Scene::docs(1);
    let up = Resharding { direction: "up", shard: 3, node: 2, shard_key: None };
    scene.cluster.state(|server| server.collection_mut(DOCS).resharding_for_polls(up, 100_000));
    scene.backup().code(1).says(&["it is being resharded", "did not change within 1s"]);
    scene.assert_failed(DOCS, &FailureKind::ShardsUncovered, &["it is being resharded"]);
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    scene.assert_clean();
}

#[test]
fn a_key_that_is_made_meanwhile_has_the_collection_begun_anew() {
    let slow = Fault::new(Effect::CreationTakes(Duration::from_secs(2))).shard(1).first(1);
    let scene = Scene::of(Setup::cluster(3).spread(tenants(), 1).fault(slow));
    let running = Running::start(&mut scene.place.command(&["backup"]));
    eventually("shard 1 is requested", || !creations(scene.node(0)).is_empty());
    let path = format!("/collections/{TENANTS}/shards");
    scene.nodes.ask(1, Method::PUT, &path, Some(&json!({ "shard_key": "asia" })));

    running.end().success().says(&["WARN", "starting its backup again"]);

    let manifest = scene.manifest(TENANTS);
    assert_eq!(manifest.archives.len(), 4);
    let keys = manifest.source.shard_keys.unwrap();
    assert_eq!(keys.last().map(|key| (&key.key, key.shard_ids.as_slice())), Some((&json!("asia"), &[5][..])));
    assert_eq!(scene.place.prove(), 1);
    assert_eq!(scene.place.temporary(), Vec::<String>::new());
    scene.assert_clean();
}
