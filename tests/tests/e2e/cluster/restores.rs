//! Restores of backups by shard: to as many nodes, to fewer, to one, and to a server without cluster mode.

use std::num::NonZeroU8;

use e2e::Nodes;
use e2e::qdrant_stand_in::{Aftermath, Endpoint, Fault, Setup, StandIn, StandInCluster};
use e2e::scene::DOCS;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::operation::{Operation, Outcome};
use serde_json::{Value, json};

use super::{Scene, TENANTS, docs, keys, tenants, uploads};
use crate::traces::none;

/// A restore to an empty server, with enough time.
fn target(nodes: u8) -> (StandInCluster, Nodes) {
    let cluster = StandInCluster::start_with(Setup::cluster(nodes));
    let nodes = Nodes::at(&cluster.urls());
    (cluster, nodes)
}

/// The number of replicas of each shard in order of ids. All of them must be active.
#[track_caller]
fn copies(nodes: &Nodes, collection: &str) -> Vec<(u64, usize)> {
    let mut copies: Vec<(u64, usize)> = Vec::new();
    for (id, _, state) in nodes.replicas(collection) {
        assert_eq!(state, "Active", "shard {id}");
        match copies.last_mut() {
            Some((last, count)) if *last == id => *count += 1,
            _ => copies.push((id, 1)),
        }
    }
    copies
}

fn key_mapping(nodes: &Nodes, collection: &str) -> Vec<(u64, Value)> {
    let mut all: Vec<(u64, Value)> =
        nodes.replicas(collection).into_iter().map(|(id, key, _)| (id, key)).collect();
    all.dedup();
    all
}

#[test]
fn a_backup_comes_back_beside_its_collection_and_each_node_gives_the_same_points() {
    for replication_factor in [1, 2] {
        let setup =
            Setup::cluster(3).spread(docs(3), replication_factor).spread(tenants(), replication_factor);
        let scene = Scene::of(setup).backed_up();
        for collection in [DOCS, TENANTS] {
            let original = scene.nodes.points(0, collection);
            let ran = scene.place.run(&["restore", "--collection", collection, "--as", "copy"]).success();
            ran.says(&["Restored", "into \"copy\": 90 points"]);
            scene.nodes.assert_points("copy", &original);
            assert_eq!(copies(&scene.nodes, "copy"), copies(&scene.nodes, collection));
            assert_eq!(key_mapping(&scene.nodes, "copy"), key_mapping(&scene.nodes, collection));
            let ids: Vec<u32> = scene.holders(collection).into_keys().collect();
            assert_eq!(uploads(scene.cluster.nodes(), "copy"), ids, "each shard once");
            scene.assert_clean();
            let status = scene.place.status();
            assert_eq!(status.restoring, []);
            assert_eq!(status.operations[&Operation::Restore].last_outcome, Some(Outcome::Success));
            scene.cluster.state(|state| state.collections.remove("copy"));
            scene.forget_requests();
        }
    }
}

#[test]
fn a_backup_of_three_nodes_comes_back_on_any_number_of_them() {
    let scene = Scene::docs(2).backed_up();
    let original = scene.nodes.points(0, DOCS);
    for count in [1_u8, 2, 3, 5] {
        let (cluster, nodes) = target(count);
        scene.place.run(&["restore", "--all", "--to", &cluster.urls()[0]]).success();
        nodes.assert_points(DOCS, &original);
        let expected = usize::from(count.min(2));
        assert_eq!(copies(&nodes, DOCS), [(0, expected), (1, expected), (2, expected)]);
        assert_eq!(uploads(cluster.nodes(), DOCS), [0, 1, 2]);
        assert_eq!(cluster.all_snapshots(), none());
    }
    assert_eq!(scene.place.status().restoring, []);
}

#[test]
fn a_backup_of_three_nodes_comes_back_on_a_server_outside_cluster_mode() {
    for replication_factor in [1, 2] {
        let scene = Scene::docs(replication_factor).backed_up();
        let original = scene.nodes.points(0, DOCS);
        let single = StandIn::start(Setup::empty());
        scene.place.run(&["restore", "--collection", DOCS, "--to", &single.url()]).success();
        Nodes::at(&[single.url()]).assert_points(DOCS, &original);
        assert_eq!(uploads(std::slice::from_ref(&single), DOCS), [0, 1, 2]);
        assert_eq!(single.all_snapshots(), none());
    }
}

#[test]
fn as_many_copies_are_made_as_are_asked_for() {
    let scene = Scene::of(Setup::cluster(3).spread(docs(3), 2).spread(tenants(), 1)).backed_up();
    for collection in [DOCS, TENANTS] {
        let original = scene.nodes.points(0, collection);
        let ids: Vec<u64> = scene.holders(collection).into_keys().map(u64::from).collect();
        for factor in [1, 2, 3].map(|factor| NonZeroU8::new(factor).unwrap()) {
            let number = factor.to_string();
            let arguments =
                ["restore", "--collection", collection, "--as", "copy", "--replication-factor", &number];
            scene.place.run(&arguments).success();
            scene.nodes.assert_points("copy", &original);
            let expected: Vec<(u64, usize)> = ids.iter().map(|id| (*id, usize::from(factor.get()))).collect();
            assert_eq!(copies(&scene.nodes, "copy"), expected);
            scene.cluster.state(|state| {
                let copy = state.collections.remove("copy").unwrap();
                assert_eq!(copy.config["params"]["replication_factor"], json!(factor));
            });
        }
    }
}

#[test]
fn shard_keys_get_the_ids_that_they_had_and_no_placeholder_stays() {
    let scene = Scene::of(Setup::cluster(3).spread(tenants(), 1)).backed_up();
    let original = scene.nodes.points(0, TENANTS);
    let expected: Vec<(u64, Value)> = keys()
        .into_iter()
        .flat_map(|(key, ids)| ids.into_iter().map(move |id| (u64::from(id), key.clone())))
        .collect();
    for count in [1, 2, 3] {
        let (cluster, nodes) = target(count);
        scene.place.run(&["restore", "--collection", TENANTS, "--to", &cluster.urls()[0]]).success();
        nodes.assert_points(TENANTS, &original);
        assert_eq!(key_mapping(&nodes, TENANTS), expected);
        let made = cluster.nodes()[0].requests_matching("PUT", "/shards").len();
        assert_eq!(made, 3, "a placeholder filled the gap");
    }
}

#[test]
fn shard_keys_are_refused_outside_cluster_mode_before_anything_changes() {
    let scene = Scene::of(Setup::cluster(3).spread(tenants(), 1)).backed_up();
    let single = StandIn::start(Setup::empty());
    for arguments in [&["--dry-run"][..], &[], &["--force"]] {
        let url = single.url();
        let all = [&["restore", "--collection", TENANTS, "--to", &url], arguments].concat();
        let ran = scene.place.run(&all).code(1);
        assert!(
            (ran.stdout.clone() + &ran.stderr)
                .contains("can only be created with these shard keys in cluster mode"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
    assert!(single.requests().iter().all(|request| !request.changes_something()));
    assert_eq!(scene.place.status().restoring, []);
}

#[test]
fn what_was_recorded_of_a_real_cluster_comes_back() {
    let scene = Scene::listed(StandInCluster::sharded()).backed_up();
    let (cluster, nodes) = target(3);
    scene.place.run(&["restore", "--all", "--to", &cluster.urls()[0]]).success();
    for collection in ["auto", "custom"] {
        nodes.assert_points(collection, &scene.nodes.points(0, collection));
        assert_eq!(key_mapping(&nodes, collection), key_mapping(&scene.nodes, collection));
        let again = scene.place.run(&["restore", "--collection", collection, "--as", "beside"]);
        again.success();
        scene.nodes.assert_points("beside", &scene.nodes.points(0, collection));
        scene.cluster.state(|state| state.collections.remove("beside"));
    }
}

#[test]
fn replicas_that_are_dead_for_a_while_after_an_upload_are_waited_for() {
    let slow = Aftermath { as_before: 3, dead: 9, transfers: 6 };
    let scene = Scene::of(Setup::cluster(3).spread(docs(3), 2).after_shard_upload(slow)).backed_up();
    let original = scene.nodes.points(0, DOCS);
    scene.place.run(&["restore", "--collection", DOCS, "--as", "copy"]).success();
    assert_eq!(copies(&scene.nodes, "copy"), [(0, 2), (1, 2), (2, 2)]);
    scene.nodes.assert_points("copy", &original);
}

#[test]
fn a_node_that_has_not_heard_of_it_yet_is_waited_for() {
    let scene = Scene::docs(2).backed_up();
    scene.cluster.state(|state| state.nodes[2].lag(2, 12));
    let original = scene.nodes.points(0, DOCS);
    scene.place.run(&["restore", "--collection", DOCS, "--as", "copy"]).success();
    scene.nodes.assert_points("copy", &original);
}

#[test]
fn replicas_that_stay_dead_fail_the_restore_and_the_same_command_ends_it_later() {
    let for_ever = Aftermath { as_before: 0, dead: 100_000, transfers: 1 };
    let scene = Scene::of(Setup::cluster(3).spread(docs(3), 2).after_shard_upload(for_ever)).backed_up();
    scene.place.configure(&(e2e::scene::configuration(&[]) + "restore:\n  settle_timeout: 2s\n"));
    let arguments = ["restore", "--collection", DOCS, "--as", "copy"];
    scene.place.run(&arguments).code(1).says(&["is not ready after 2s", "is Dead", "PARTLY RESTORED"]);
    scene.forget_requests();
    scene.cluster.state(|state| state.collection_mut("copy").heal());
    scene.place.run(&arguments).success();
    assert_eq!(uploads(scene.cluster.nodes(), "copy"), Vec::<u32>::new(), "every shard existed");
    assert_eq!(scene.place.status().restoring, []);
}

#[test]
fn indexes_aliases_and_what_only_a_patch_sets_come_back_too() {
    let mut collection = docs(3);
    collection.payload_indexes.insert("n".to_owned(), "integer".to_owned());
    collection.payload_indexes.insert("lang".to_owned(), "keyword".to_owned());
    collection.index_params.insert("lang".to_owned(), json!({ "type": "keyword", "is_tenant": true }));
    collection.config["params"]["read_fan_out_factor"] = json!(2);
    let setup = Setup::cluster(3).spread(collection, 2).alias("prod", DOCS).alias("latest", DOCS);
    let scene = Scene::of(setup).backed_up();
    let (cluster, _nodes) = target(3);
    let arguments = ["restore", "--all", "--with-aliases", "--to", &cluster.urls()[0]];
    scene.place.run(&arguments).success().never_says("WARN");
    cluster.state(|state| {
        let restored = state.collection_mut(DOCS);
        assert_eq!(restored.payload_indexes.keys().collect::<Vec<_>>(), ["lang", "n"]);
        assert_eq!(restored.index_params["lang"]["is_tenant"], json!(true));
        assert_eq!(restored.config["params"]["read_fan_out_factor"], json!(2));
        assert_eq!(state.aliases["prod"], DOCS);
        assert_eq!(state.aliases["latest"], DOCS);
    });
    // Aliases are set only on request.
    let (other, _nodes) = target(2);
    scene.place.run(&["restore", "--all", "--to", &other.urls()[0]]).success();
    other.state(|state| assert!(state.aliases.is_empty()));
}

#[test]
fn what_the_server_does_not_know_or_makes_otherwise_is_named() {
    let scene = Scene::docs(1).backed_up();
    let mut manifest = scene.manifest(DOCS);
    let config = manifest.source.config.as_mut().unwrap();
    config["params"]["colour"] = json!("red");
    config["galaxy_config"] = json!({ "arms": 4 });
    manifest.source.payload_schema = Some(json!({ "n": { "data_type": "integer", "points": 90 } }));
    let path = scene.place.layout().manifest(&manifest.collection, manifest.backup_id);
    json_file::write(&path, &manifest).unwrap();
    let refused = Fault::status(403).on(Endpoint::CreateIndex);
    scene.fault(0, refused);
    let ran = scene.place.run(&["restore", "--collection", DOCS, "--as", "copy"]).success();
    let ran = ran.says(&[
        "WARN",
        "differs from the collection that was backed up",
        "params.colour (unknown to this version)",
        "galaxy_config (unknown to this version)",
    ]);
    ran.says(&["WARN", "payload index \"n\"", "restored without that index"]);
    scene.nodes.assert_points("copy", &scene.nodes.points(0, DOCS));
}
