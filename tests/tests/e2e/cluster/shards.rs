//! The contents of a cluster's backup, and the requests to its nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::qdrant_stand_in::{Effect, Fault, Setup};
use e2e::scene::DOCS;
use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::manifest::{SHARD_ARCHIVES, Scope, ServerChecksum};
use qdrant_backup_shared::operation::{Operation, Outcome};
use serde_json::json;

use super::{POINTS, Scene, TENANTS, creations, docs, tenants};

#[test]
fn every_shard_is_backed_up_once_and_nothing_stays_on_any_node() {
    for replication_factor in [1, 2] {
        let mut collection = docs(6);
        collection.payload_indexes.insert("n".to_owned(), "integer".to_owned());
        let setup = Setup::cluster(3)
            .spread(collection, replication_factor)
            .spread(tenants(), replication_factor)
            .alias("prod", DOCS);
        let scene = Scene::of(setup);

        scene.backup().success().never_says("WARN");

        assert_eq!(scene.place.prove(), 2);
        scene.assert_clean();
        for (collection, ids) in [(DOCS, vec![0, 1, 2, 3, 4, 5]), (TENANTS, vec![1, 3, 4])] {
            let manifest = scene.manifest(collection);
            assert_eq!(manifest.requires, [SHARD_ARCHIVES]);
            let mut there: Vec<u32> =
                manifest.archives.iter().flat_map(|archive| archive.shard_ids.clone()).collect();
            there.sort_unstable();
            assert_eq!(there, ids);
            let source = &manifest.source;
            assert_eq!(source.shard_count, u32::try_from(ids.len()).ok());
            let counts = (source.points_count_before, source.points_count_after);
            assert_eq!(counts, (Some(POINTS), Some(POINTS)));
            let config = source.config.as_ref().unwrap();
            assert_eq!(config["params"]["replication_factor"], json!(replication_factor));
            let holders = scene.holders(collection);
            for archive in &manifest.archives {
                assert_eq!(
                    (&archive.scope, &archive.server_checksum),
                    (&Scope::Shard, &ServerChecksum::Matched)
                );
                let id = archive.shard_ids[0];
                assert!(
                    archive.file_name.ends_with(&format!(".shard-{id}.snapshot.gz")),
                    "{}",
                    archive.file_name
                );
                let peer_id = archive.peer_id.expect("a peer");
                let node = scene.cluster.nodes().iter().position(|node| node.peer_id() == peer_id).unwrap();
                assert!(holders[&id].contains(&node), "node {node} has no shard {id}");
                let url = archive.node_url.as_deref().map(|url| url.trim_end_matches('/'));
                assert_eq!(url, Some(scene.nodes.urls()[node].as_str()));
            }
        }
        let source = scene.manifest(DOCS).source;
        assert_eq!(source.aliases, Some(vec!["prod".to_owned()]));
        assert_eq!(source.payload_schema.unwrap()["n"]["data_type"], json!("integer"));
        assert_eq!(source.shard_keys, None);
        // Each shard of each collection once, with an even load.
        let of = |collection: &str| -> Vec<usize> {
            let begin = format!("/collections/{collection}/shards/");
            let ours = |node| {
                creations(node).iter().filter(|asked| asked.path_and_query.starts_with(&begin)).count()
            };
            scene.cluster.nodes().iter().map(ours).collect()
        };
        assert_eq!((of(DOCS), of(TENANTS)), (vec![2, 2, 2], vec![1, 1, 1]));
        let status = scene.place.status();
        assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
        assert_eq!(status.last_run.unwrap().warnings, Vec::<String>::new());
        scene.place.run(&["verify"]).success();
        scene.backup().success();
        assert_eq!(scene.place.prove(), 4);
    }
}

#[test]
fn keys_are_recorded_with_their_shards_and_copies() {
    for replication_factor in [1, 2, 3] {
        let scene = Scene::of(Setup::cluster(3).spread(tenants(), replication_factor));
        scene.backup().success();
        let expected = [("eu", vec![1]), ("us", vec![3, 4])].map(|(key, ids)| ShardKey {
            replicas: Some(replication_factor),
            ..ShardKey::new(json!(key), ids)
        });
        assert_eq!(scene.manifest(TENANTS).source.shard_keys.as_deref(), Some(&expected[..]));
    }
}

#[test]
fn what_was_recorded_of_a_real_cluster_is_backed_up() {
    let scene = Scene::listed(e2e::qdrant_stand_in::StandInCluster::sharded());
    scene.backup().success().says(&["Backed up auto: 900 points"]).says(&["Backed up custom: 500 points"]);
    assert_eq!(scene.place.prove(), 2);
    scene.place.run(&["verify"]).success();
    scene.assert_clean();
    let keys = scene.manifest("custom").source.shard_keys.unwrap();
    let ids: Vec<&[u32]> = keys.iter().map(|key| key.shard_ids.as_slice()).collect();
    assert_eq!(ids, [&[1, 2][..], &[3]]);
}

#[test]
fn one_node_alone_is_backed_up_whole_unless_its_shards_go_by_keys() {
    let scene = Scene::of(Setup::cluster(1).spread(docs(3), 1).spread(tenants(), 1));
    scene.backup().success();
    let manifest = scene.manifest(DOCS);
    assert_eq!((manifest.archives.len(), &manifest.archives[0].scope), (1, &Scope::Collection));
    assert!(manifest.requires.is_empty());
    assert_eq!(scene.manifest(TENANTS).archives.len(), 3);
    assert!(scene.manifest(TENANTS).is_by_shard());
    assert_eq!(scene.place.prove(), 2);
    scene.assert_clean();
}

#[test]
fn several_jobs_have_several_nodes_at_work_and_each_of_them_at_one_snapshot() {
    let takes = Duration::from_secs(1);
    let slow = Fault::new(Effect::CreationTakes(takes));
    let scene = Scene::of(Setup::cluster(3).spread(docs(9), 1).fault(slow));

    scene.place.run(&["backup", "--jobs", "6"]).success();

    let nodes = scene.cluster.nodes();
    for node in nodes {
        let asked = creations(node);
        assert_eq!(asked.len(), 3);
        for pair in asked.windows(2) {
            assert!(
                pair[1].at >= pair[0].at + takes,
                "the next is requested after the previous one is created"
            );
        }
    }
    // The three nodes work in parallel, each on a third of the shards.
    let first = nodes.iter().filter_map(|node| Some(creations(node).first()?.at)).max().unwrap();
    let first_download = nodes[0].requests_matching("GET", ".snapshot")[0].at;
    assert!(first < first_download, "all nodes get requests before the first has answered");
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
}

#[test]
fn several_collections_are_backed_up_at_a_time_by_shards() {
    let mut setup = Setup::cluster(3);
    let names = ["a", "b", "c", "d"];
    for name in names {
        let mut collection = docs(3);
        name.clone_into(&mut collection.name);
        setup = setup.spread(collection, 2);
    }
    let scene = Scene::of(setup);
    scene.place.run(&["backup", "--jobs", "3"]).success();
    assert_eq!(scene.place.prove(), 4);
    let stored: BTreeSet<String> = scene.place.stored().into_iter().collect();
    assert_eq!(stored.len(), 4 * 4, "{stored:?}");
    scene.assert_clean();
}
