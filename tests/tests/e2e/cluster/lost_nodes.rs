//! Nodes that are down are skipped if another node has their shards. Otherwise the run waits for them and uses them
//! when they are back.

use e2e::Running;
use e2e::qdrant_stand_in::{Collection, GeneratedSnapshot, Setup};
use e2e::scene::{DOCS, SIZE};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::{Operation, Outcome};

use super::{Scene, docs};

#[test]
fn a_node_that_is_down_is_done_without_where_others_have_its_shards() {
    for down in [1, 2] {
        let scene = Scene::docs(2);
        let peer = scene.node(down).peer_id().to_string();
        scene.node(down).go_down();

        scene.backup().success().says(&["WARN", &format!("node {peer} of the cluster is not used")]);

        assert_eq!(scene.place.prove(), 1);
        let origins = scene.origins(DOCS);
        assert_eq!(origins.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(origins.values().all(|node| *node != down), "{origins:?}");
        scene.assert_clean();
    }
}

#[test]
fn a_shard_that_only_a_lost_node_has_fails_its_collection_with_shard_and_node_named() {
    let pairs = Collection::generated("pairs", GeneratedSnapshot::new(SIZE).points_count(30).shards(3));
    let scene = Scene::of(Setup::cluster(3).spread(docs(3), 1).spread(pairs, 2));
    let peer = scene.node(1).peer_id();
    scene.node(1).go_down();

    scene.backup().code(3).says(&["ERROR: Backup of docs failed", "qdrant.cluster_timeout"]);

    let lost = format!("shard 1 is only on nodes that do not answer ({peer})");
    scene.assert_failed(DOCS, &FailureKind::ShardsUncovered, &[&lost]);
    assert!(!scene.failure(DOCS).message.contains("shard 0"), "only missing shards are named");
    assert_eq!(scene.place.backups("pairs").len(), 1);
    assert_eq!(scene.place.prove(), 1);
    let operation = &scene.place.status().operations[&Operation::Backup];
    assert_eq!(operation.last_outcome, Some(Outcome::Partial));
    scene.assert_clean();

    scene.node(1).come_up();
    scene.backup().success();
    assert_eq!(scene.place.backups(DOCS).len(), 1);
    scene.assert_clean();
}

#[test]
fn a_node_that_comes_back_while_it_is_waited_for_is_used() {
    let scene = Scene::docs(1);
    scene.configure(&[("cluster_timeout", "60s")]);
    scene.node(2).go_down();
    let mut running = Running::start(&mut scene.place.command(&["backup"]));
    running.until_it_says("waiting up to");
    scene.node(2).come_up();
    running.end().success();
    assert_eq!(scene.origins(DOCS)[&2], 2);
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
}
