//! One node of a cluster whose other nodes are unknown, because a proxy blocks `GET /cluster`: what a snapshot of a
//! collection would lack, and what it lacks although the server claims otherwise.

use e2e::directory::name;
use e2e::qdrant_stand_in::{
    Collection, Content, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandInCluster,
};
use e2e::scene::{DOCS, IMPATIENT, POINTS, SIZE, generated};
use e2e::{Place, Scene};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::{Operation, Outcome};

/// The proxy's answer.
fn untold() -> Fault {
    Fault::status(404).on(Endpoint::Cluster)
}

fn two_shards() -> Collection {
    Collection::generated(DOCS, GeneratedSnapshot::new(SIZE).points_count(POINTS).shards(2))
}

#[test]
fn a_node_that_lacks_shards_is_refused_with_the_shards_named() {
    let cluster = StandInCluster::start_with(StandInCluster::setup().fault(untold()));
    for (node, lacks) in [
        (0, "shard 1 (only on peer 5657630203459650)"),
        (1, "shard 0 (only on peer 5269863909012892), shard 1 (only on peer 5657630203459650)"),
        (2, "shard 0 (only on peer 5269863909012892)"),
    ] {
        let node = &cluster.nodes()[node];
        let place = Place::initialised(&node.url());

        place.run(&["backup"]).code(1).says(&[
            "ERROR: Backup of spread failed",
            "this node cannot snapshot the whole collection",
            lacks,
        ]);

        assert_eq!(place.stored(), Vec::<String>::new());
        let status = place.status();
        let failure = status.collections[&name("spread")].failure.clone().expect("a failure");
        assert_eq!(failure.kind, FailureKind::ShardsUncovered);
        assert!(failure.message.contains(lacks), "{failure:?}");
        assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Failed));
        assert!(
            node.requests().iter().all(|request| !request.changes_something()),
            "no useless snapshot is created"
        );
        assert_eq!(node.snapshot_names("spread"), Vec::<String>::new());
    }
}

#[test]
fn a_collection_that_is_whole_on_the_asked_node_is_backed_up_beside_one_that_is_not() {
    let cluster =
        StandInCluster::start_with(StandInCluster::setup().collection(generated(DOCS)).fault(untold()));
    let mut place = Place::initialised(&cluster.urls()[0]);

    place.run(&["backup"]).code(3).says(&["spread (shards_uncovered)"]);
    assert_eq!((place.prove(), place.backups(DOCS).len()), (1, 1));

    // Another node of the same cluster does not count as another source.
    place.set_url(&cluster.urls()[2]);
    place.run(&["backup"]).code(1).never_says("accept-source");
    assert!(!place.status().source_changed);
}

#[test]
fn a_shard_that_is_not_active_here_is_refused() {
    for state in ["Partial", "Dead", "Initializing"] {
        let scene = Scene::of(Setup::empty().collection(two_shards()));
        scene.server.state(|server| server.collection_mut(DOCS).set_shard_state(1, state));

        scene.backup().code(1).says(&["ERROR: Backup of docs failed", &format!("shard 1 ({state} here)")]);

        scene.assert_failed(FailureKind::ShardsUncovered);
        assert_eq!(scene.creations(), 0);
        scene.server.state(|server| server.collection_mut(DOCS).set_shard_state(1, "Active"));
        scene.backup().success();
        scene.assert_backed_up();
        assert_eq!(scene.manifest().archives[0].shard_ids, [0, 1]);
    }
}

#[test]
fn a_snapshot_without_a_shard_that_the_server_calls_local_is_refused() {
    // As the nodes of a cluster create them: with shard 0 only, with none, with shard 1 only.
    for (file, missing) in [
        ("cluster-node-1.spread.snapshot", "no segments of shard 1"),
        ("cluster-node-2.spread.snapshot", "no segments of shard 0, shard 1"),
        ("cluster-node-3.spread.snapshot", "no segments of shard 0"),
    ] {
        let content = Content::genuine("1.18.3", file).expect("a genuine snapshot");
        let faulty = Fault::new(Effect::CreationContent(content));
        let scene = Scene::of(Setup::empty().collection(two_shards()).fault(faulty));

        scene.backup().code(1).says(&["ERROR: Backup of docs failed", "the snapshot is incomplete", missing]);

        assert_eq!(scene.hits(), 1);
        scene.assert_failed(FailureKind::ArchiveCorrupt);
        scene.assert_server_clean();
    }
}

#[test]
fn a_replica_on_every_node_makes_each_of_them_enough() {
    let mut setup = StandInCluster::setup();
    setup.state.collections.clear();
    let mut setup = setup.collection(two_shards()).fault(untold());
    for shard in &mut setup.state.collection_mut(DOCS).shards {
        let replica = shard.replicas[0].clone();
        shard.replicas.extend((1..3).map(|node| e2e::qdrant_stand_in::Replica { node, ..replica.clone() }));
    }
    let cluster = StandInCluster::start_with(setup);
    let mut place = Place::initialised(&cluster.urls()[0]);
    place.configure(IMPATIENT);
    for (url, backups) in cluster.urls().iter().zip(1..) {
        place.set_url(url);
        place.run(&["backup"]).success().never_says("WARN");
        assert_eq!(place.prove(), backups);
    }
    assert!(!place.status().source_changed);
}
