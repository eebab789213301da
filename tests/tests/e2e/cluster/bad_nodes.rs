//! Nodes that close connections, die or send damaged data: another replica is tried. If there is none, the message
//! names the shard.

use std::time::Duration;

use e2e::qdrant_stand_in::{Content, Cut, Effect, Endpoint, Fault};
use e2e::scene::DOCS;
use qdrant_backup_shared::FailureKind;

use super::{Scene, creations};

#[test]
fn a_node_that_hangs_up_during_a_creation_gives_the_snapshot_all_the_same() {
    for cut in [Cut::HangUp, Cut::Status(504)] {
        let scene = Scene::docs(1);
        let late = Effect::CreationCut { cut, appears_after: Some(Duration::from_millis(700)) };
        scene.fault(1, Fault::new(late).first(1));

        scene.backup().success().says(&["WARN", "Qdrant may still be creating it"]);

        assert_eq!(scene.origins(DOCS)[&1], 1);
        assert_eq!(creations(scene.node(1)).len(), 1);
        assert_eq!(scene.place.prove(), 1);
        scene.assert_clean();
    }
}

#[test]
fn a_node_that_makes_no_snapshot_is_passed_over_for_another_replica() {
    for fault in [Fault::hang_up(), Fault::status(500), Fault::status(403)] {
        let scene = Scene::docs(2);
        scene.fault(0, fault.on(Endpoint::CreateShardSnapshot));

        scene.backup().success().says(&["WARN", "which also has this shard"]);

        assert!(scene.origins(DOCS).values().all(|node| *node != 0));
        assert_eq!(scene.place.prove(), 1);
        assert_eq!(scene.cluster.all_snapshots(), Vec::<String>::new());
        assert_eq!(scene.place.temporary(), Vec::<String>::new());
    }
}

#[test]
fn a_node_that_dies_in_a_creation_is_passed_over_and_tidied_up_when_it_is_back() {
    let scene = Scene::docs(2);
    scene.configure(&[("create_timeout", "3s")]);
    scene.fault(1, Fault::new(Effect::Dies).on(Endpoint::CreateShardSnapshot).first(1));

    scene.backup().success().says(&["WARN", "which also has this shard"]);

    assert!(scene.origins(DOCS).values().all(|node| *node != 1), "{:?}", scene.origins(DOCS));
    assert_eq!(scene.place.prove(), 1);
    scene.node(1).come_up();
    // An unanswered request is forgotten once its snapshot can no longer appear.
    std::thread::sleep(Duration::from_secs(3));
    scene.backup().success();
    assert_eq!(scene.place.prove(), 2);
    scene.assert_clean();
}

#[test]
fn a_node_that_dies_with_the_only_copy_fails_the_collection_and_names_the_shard() {
    let scene = Scene::docs(1);
    scene.configure(&[("create_timeout", "3s")]);
    scene.fault(1, Fault::new(Effect::Dies).on(Endpoint::CreateShardSnapshot).first(1));

    scene.backup().code(1).says(&["Backup of docs failed", "shard 1 from", &scene.nodes.urls()[1]]);

    assert_eq!(scene.place.stored(), Vec::<String>::new());
    scene.node(1).come_up();
    std::thread::sleep(Duration::from_secs(3));
    scene.backup().success();
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
}

#[test]
fn a_snapshot_that_came_damaged_is_made_once_more() {
    let scene = Scene::docs(1);
    scene.fault(0, Fault::new(Effect::FlipByte(5)).shard(0).first(1));

    scene.backup().success().says(&["shard 0 of \"docs\"", "trying once more with a new snapshot"]);

    assert_eq!(creations(scene.node(0)).len(), 2);
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
}

#[test]
fn a_node_that_gives_only_what_is_damaged_is_passed_over_for_another_replica() {
    let scene = Scene::docs(2);
    scene.fault(0, Fault::new(Effect::FlipByte(5)));
    scene.backup().success().says(&["checksum mismatch", "which also has this shard"]);
    assert!(scene.origins(DOCS).values().all(|node| *node != 0));
    assert_eq!(scene.place.prove(), 1);
    scene.place.run(&["verify"]).success();
    scene.assert_clean();
}

#[test]
fn a_shard_that_is_always_damaged_fails_the_collection_and_is_named() {
    let scene = Scene::docs(1);
    scene.fault(2, Fault::new(Effect::FlipByte(5)));
    scene.backup().code(1).says(&["ERROR: Backup of docs failed: shard 2 from", &scene.nodes.urls()[2]]);
    scene.assert_failed(DOCS, &FailureKind::ChecksumMismatch, &["shard 2 from", &scene.nodes.urls()[2]]);
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    scene.assert_clean();
}

#[test]
fn a_file_that_is_no_snapshot_of_a_shard_is_not_taken_for_one() {
    let whole = || Content::genuine("1.18.3", "cluster-node-1.spread.snapshot").expect("a genuine snapshot");
    for content in [Content::bytes(&b"no archive at all"[..]), whole()] {
        let scene = Scene::docs(1);
        scene.fault(1, Fault::new(Effect::CreationContent(content.clone())));
        scene.backup().code(1).says(&["Backup of docs failed: shard 1 from"]);
        assert_eq!(scene.place.stored(), Vec::<String>::new());
        scene.assert_clean();

        let scene = Scene::docs(2);
        scene.fault(0, Fault::new(Effect::CreationContent(content)));
        scene.backup().success().says(&["which also has this shard"]);
        assert!(scene.origins(DOCS).values().all(|node| *node != 0));
        scene.assert_clean();
    }
}
