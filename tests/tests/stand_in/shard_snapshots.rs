//! Snapshots of single shards: created, served, faulty, and uploaded into clusters of other sizes.

use std::time::Duration;

use e2e::qdrant_stand_in::{
    Aftermath, Collection, Content, Cut, Effect, Endpoint, Fault, FillKind, GeneratedSnapshot,
    GenuineSnapshot, Setup, StandIn, StandInCluster,
};
use serde_json::{Value, json};
use tar::Archive;

use crate::client::{Response, count, get, points, post, put, replicas, send, upload};

fn docs(shards: u32, points: u64) -> Collection {
    Collection::generated("docs", GeneratedSnapshot::new(100_000).points_count(points).shards(shards))
}

fn three() -> StandInCluster {
    StandInCluster::start_with(Setup::cluster(3).spread(docs(3, 90), 1))
}

/// Creates a snapshot of the shard at this node and downloads it.
fn archive(node: &StandIn, collection: &str, shard: u32) -> Vec<u8> {
    let path = format!("/collections/{collection}/shards/{shard}/snapshots");
    let made = post(node, &path, "").result();
    let name = made["name"].as_str().unwrap();
    let response = get(node, &format!("{path}/{name}"));
    assert_eq!(Content::bytes(response.body.clone()).sha256(), made["checksum"].as_str().unwrap());
    assert_eq!(response.body.len(), made["size"].as_u64().unwrap() as usize);
    send(node, "DELETE", &format!("{path}/{name}"), &[], b"").unwrap().result();
    response.body
}

fn restore(node: &StandIn, collection: &str, shard: u32, bytes: &[u8]) -> Response {
    let path = format!("/collections/{collection}/shards/{shard}/snapshots/upload?priority=snapshot");
    upload(node, &path, "mine.snapshot", bytes)
}

/// The archives of all shards, each from a node that has it.
fn archives(cluster: &StandInCluster, collection: &str) -> Vec<(u32, Vec<u8>)> {
    let mut archives = Vec::new();
    for (shard, peer, _) in replicas(&cluster.nodes()[0], collection) {
        let shard = shard as u32;
        if archives.iter().all(|(known, _)| *known != shard) {
            archives.push((shard, archive(cluster.node_of(peer), collection, shard)));
        }
    }
    archives
}

fn empty_docs(node: &StandIn, shards: u32, replication_factor: u32) {
    let body = json!({
        "vectors": { "size": 1024, "distance": "Cosine" }, "shard_number": shards,
        "replication_factor": replication_factor,
    });
    put(node, "/collections/docs", &body).result();
}

#[test]
fn a_generated_shard_snapshot_is_laid_out_as_a_genuine_one() {
    let cluster = three();
    let bytes = archive(&cluster.nodes()[1], "docs", 1);
    assert_eq!(bytes.len() as u64, 33_792, "a third of the collection's size, in whole blocks");
    let layout = |tar: &[u8]| {
        let mut archive = Archive::new(tar);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let paths = entries.map(|entry| {
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            match path.strip_prefix("segments/") {
                Some(segment) => format!("segments/…{}", &segment[36..]),
                None => path.split("closed").next().unwrap().to_owned(),
            }
        });
        let mut paths: Vec<String> = paths.collect();
        paths.dedup();
        paths
    };
    let genuine = GenuineSnapshot::find("1.18.3", "cluster.auto.shard-0.snapshot").unwrap();
    assert_eq!(layout(&bytes), layout(&genuine.read().unwrap()));
}

#[test]
fn a_shard_snapshot_of_any_size_and_kind_is_made_while_it_is_read() {
    for kind in [FillKind::Random, FillKind::Text, FillKind::Sparse] {
        let snapshot = GeneratedSnapshot::new(9 << 20).kind(kind).shards(3);
        let docs = Collection::generated("docs", snapshot);
        let cluster = StandInCluster::start_with(Setup::cluster(3).spread(docs, 1));
        assert_eq!(archive(&cluster.nodes()[2], "docs", 2).len(), 3 << 20);
    }
}

#[test]
fn all_shards_restore_the_same_points_into_as_many_fewer_or_more_nodes() {
    let source = StandInCluster::start_with(Setup::cluster(3).spread(docs(4, 101), 1));
    source.state(|state| {
        let docs = state.collection_mut("docs");
        let config = docs.config.clone();
        docs.points.change_vector(3, &config);
        docs.points.change_vector(99, &config);
    });
    let wanted = points(&source.nodes()[0], "docs");
    let archives = archives(&source, "docs");
    assert_eq!(archives.len(), 4);
    let single = StandIn::start(Setup::empty());
    let clusters = [1, 2, 3, 5].map(|nodes| StandInCluster::start_with(Setup::cluster(nodes)));
    let targets: Vec<Vec<&StandIn>> =
        clusters.iter().map(|cluster| cluster.nodes().iter().collect()).chain([vec![&single]]).collect();
    for nodes in targets {
        empty_docs(nodes[0], 4, 1);
        // The last one first, because the client chooses the order.
        for (shard, bytes) in archives.iter().rev() {
            let holds = |node: &&StandIn| {
                let local = get(node, "/collections/docs/cluster").result()["local_shards"].clone();
                local.as_array().unwrap().iter().any(|one| one["shard_id"] == json!(shard))
            };
            let holder = nodes.iter().copied().find(holds).unwrap();
            assert_eq!(restore(holder, "docs", *shard, bytes).result(), json!(null));
        }
        for node in nodes {
            assert_eq!(points(node, "docs"), wanted);
            assert!(node.all_snapshots().is_empty());
        }
    }
}

#[test]
fn shards_of_keys_come_back_into_the_same_ids_with_a_placeholder_for_a_gap() {
    let keys = [(json!("eu"), vec![1]), (json!("us"), vec![3, 4])];
    let snapshot = GeneratedSnapshot::new(0).points_count(100).shard_keys(&keys);
    let source =
        StandInCluster::start_with(Setup::cluster(3).spread(Collection::generated("docs", snapshot), 2));
    let archives = archives(&source, "docs");
    assert_eq!(archives.iter().map(|(shard, _)| *shard).collect::<Vec<u32>>(), [1, 3, 4]);
    for nodes in [1, 2] {
        let target = StandInCluster::start_with(Setup::cluster(nodes));
        let node = &target.nodes()[0];
        let body = json!({
            "vectors": { "size": 1024, "distance": "Cosine" }, "sharding_method": "custom",
            "replication_factor": 2,
        });
        put(node, "/collections/docs", &body).result();
        for (key, shards) in [("eu", 1), ("gap", 1), ("us", 2)] {
            let body = json!({ "shard_key": key, "shards_number": shards });
            put(node, "/collections/docs/shards", &body).result();
        }
        post(node, "/collections/docs/shards/delete", r#"{"shard_key":"gap"}"#).result();
        for (shard, bytes) in &archives {
            restore(node, "docs", *shard, bytes).result();
        }
        let shown = get(node, "/collections/docs/cluster").result()["local_shards"].clone();
        let of_key = |key: &str| {
            let shards = shown.as_array().unwrap().iter().filter(|shard| shard["shard_key"] == json!(key));
            shards.map(|shard| shard["shard_id"].as_u64().unwrap()).collect::<Vec<u64>>()
        };
        assert_eq!((of_key("eu"), of_key("us")), (vec![1], vec![3, 4]));
        assert_eq!(points(node, "docs"), points(&source.nodes()[0], "docs"));
    }
}

#[test]
fn a_collection_restored_by_shards_makes_whole_snapshots_again() {
    let archives = archives(&three(), "docs");
    let middle = StandIn::start(Setup::empty());
    empty_docs(&middle, 3, 1);
    for (shard, bytes) in &archives {
        restore(&middle, "docs", *shard, bytes).result();
    }
    let name = post(&middle, "/collections/docs/snapshots", "").result()["name"].clone();
    let bytes = get(&middle, &format!("/collections/docs/snapshots/{}", name.as_str().unwrap())).body;
    let last = StandIn::start(Setup::empty());
    upload(&last, "/collections/docs/snapshots/upload?priority=snapshot", "x.snapshot", &bytes).result();
    assert_eq!(points(&last, "docs"), points(&middle, "docs"));
}

#[test]
fn a_shard_that_is_missing_or_in_anothers_place_is_seen() {
    let source = three();
    let archives = archives(&source, "docs");
    let target = StandIn::start(Setup::empty());
    empty_docs(&target, 3, 1);
    for (shard, bytes) in &archives[1..] {
        restore(&target, "docs", *shard, bytes).result();
    }
    assert_eq!(count(&target, "docs").result()["count"], json!(60));
    assert_eq!(points(&target, "docs")[0]["id"], json!(30));
    restore(&target, "docs", 0, &archives[1].1).result();
    assert_eq!(count(&target, "docs").result()["count"], json!(90));
    assert_eq!(points(&target, "docs").as_array().unwrap().len(), 60, "points of shard 1 exist twice");
}

#[test]
fn genuine_shard_snapshots_are_served_and_restored_even_with_flipped_bytes() {
    let source = StandInCluster::start_with(StandInCluster::sharded());
    let target = StandIn::start(Setup::empty());
    let body = json!({ "vectors": { "size": 8, "distance": "Dot" }, "shard_number": 3 });
    put(&target, "/collections/auto", &body).result();
    for (shard, mut bytes) in archives(&source, "auto") {
        let file = format!("cluster.auto.shard-{shard}.snapshot");
        let genuine = GenuineSnapshot::find("1.18.3", &file).unwrap();
        assert_eq!(Content::bytes(bytes.clone()).sha256(), genuine.sha256);
        bytes[8_000] ^= 0xff;
        restore(&target, "auto", shard, &bytes).result();
    }
    assert_eq!(count(&target, "auto").result()["count"], json!(900));
    assert_eq!(points(&target, "auto"), points(&source.nodes()[2], "auto"));
}

#[test]
fn what_is_no_shard_snapshot_is_refused_and_changes_nothing() {
    let cluster = three();
    let node = &cluster.nodes()[0];
    let whole = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
    let refused = restore(node, "docs", 0, &whole);
    assert_eq!((refused.status, refused.text().contains("Invalid snapshot")), (400, true));
    assert_eq!(restore(node, "docs", 9, &whole).status, 404);
    // Unlike a collection upload, a shard upload compares any given checksum.
    let path = "/collections/docs/shards/0/snapshots/upload?checksum=xyz";
    let refused = upload(node, path, "x.snapshot", &whole);
    assert_eq!((refused.status, refused.text().contains("actual xyz")), (400, true));
    assert_eq!(count(node, "docs").result()["count"], json!(90));
}

#[test]
fn other_replicas_are_dead_after_an_upload_and_recover_by_themselves() {
    let source = three();
    let archives = archives(&source, "docs");
    let aftermath = Aftermath { as_before: 1, dead: 2, transfers: 1 };
    let target = StandInCluster::start_with(Setup::cluster(2).after_shard_upload(aftermath));
    let [first, second] = target.nodes() else { panic!("two nodes") };
    empty_docs(first, 3, 2);
    restore(first, "docs", 0, &archives[0].1).result();
    let state = || {
        let all = replicas(first, "docs");
        let replica = all.into_iter().find(|(shard, peer, _)| (*shard, *peer) == (0, second.peer_id()));
        replica.unwrap().2
    };
    let counts = || [first, second].map(|node| count(node, "docs").result()["count"].as_u64().unwrap());
    // The nodes have not agreed yet, so a client of the other node sees no change.
    assert_eq!(counts(), [30, 0]);
    let states: Vec<String> = (0..5).map(|_| state()).collect();
    assert_eq!(states, ["Active", "Dead", "Dead", "Recovery", "Active"]);
    assert_eq!(counts(), [30, 30]);

    restore(first, "docs", 1, &archives[1].1).result();
    let transfers = || get(second, "/collections/docs/cluster").result()["shard_transfers"].clone();
    let shown: Vec<Value> = (0..5).map(|_| transfers()).collect();
    let transfer = json!([{
        "shard_id": 1, "from": first.peer_id(), "to": second.peer_id(), "sync": true, "method": "wal_delta",
    }]);
    assert_eq!(shown, [json!([]), json!([]), json!([]), transfer, json!([])]);
}

#[test]
fn the_priority_says_which_replica_counts() {
    let archives = archives(&three(), "docs");
    for (priority, expected) in [("snapshot", 30), ("no_sync", 30), ("replica", 0)] {
        let target = StandInCluster::start_with(Setup::cluster(2));
        let node = &target.nodes()[0];
        empty_docs(node, 3, 2);
        let path = format!("/collections/docs/shards/0/snapshots/upload?priority={priority}");
        upload(node, &path, "x.snapshot", &archives[0].1).result();
        for _ in 0..4 {
            replicas(node, "docs");
        }
        assert_eq!(count(node, "docs").result()["count"], json!(expected), "{priority}");
    }
}

#[test]
fn faults_of_creations_and_downloads_are_those_of_collections() {
    let cluster = three();
    let node = &cluster.nodes()[0];
    let path = "/collections/docs/shards/0/snapshots";
    node.state(|state| state.clock.freeze_at("2026-11-23T12:00:00Z".parse().unwrap()));
    let name = "docs-shard-0-2026-11-23-12-00-00.snapshot";
    for _ in 0..2 {
        assert_eq!(post(node, path, "").result()["name"], json!(name));
    }
    assert_eq!(node.shard_snapshot_names("docs", 0), [name]);
    let add = |effect: Effect| node.faults(|faults| faults.add(Fault::new(effect).shard(0).first(1)));
    let file = format!("{path}/{name}");
    add(Effect::TruncateAfter(1000));
    assert_eq!(get(node, &file).body.len(), 1000);
    add(Effect::FlipByte(5));
    assert_ne!(get(node, &file).body, get(node, &file).body);
    add(Effect::DeleteSnapshot);
    assert_eq!(get(node, &file).status, 404);
    add(Effect::CreationNoSpace);
    assert_eq!(post(node, path, "").status, 500);
    add(Effect::CreationChecksum(None));
    assert!(post(node, path, "").result().get("checksum").is_none());
    add(Effect::CreationCut { cut: Cut::HangUp, appears_after: Some(Duration::from_millis(500)) });
    node.state(|state| state.clock.freeze_at("2026-11-23T12:00:09Z".parse().unwrap()));
    assert!(send(node, "POST", path, &[], b"").is_err());
    assert_eq!(node.shard_snapshot_names("docs", 0).len(), 1);
    // Creations in progress according to the telemetry are not in the list yet.
    let running = || {
        let telemetry = get(node, "/telemetry?details_level=2").result();
        telemetry["collections"]["snapshots"][0].clone()
    };
    assert_eq!(running()["running_snapshots"], json!(1));
    assert_eq!(running()["total_snapshot_creations"], json!(0), "only collections' are counted");
    while node.shard_snapshot_names("docs", 0).len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(node.faults(|faults| faults.hits()), 6);
    let other = &cluster.nodes()[1];
    other.faults(|faults| faults.add(Fault::status(503).on(Endpoint::CreateShardSnapshot).shard(0)));
    assert_eq!(post(other, "/collections/docs/shards/1/snapshots", "").status, 200);
}

#[test]
fn an_uploaded_shard_can_lack_points_or_have_another_vector() {
    let source = three();
    let archives = archives(&source, "docs");
    let target = StandIn::start(Setup::empty().fault(Fault::new(Effect::RestoredVectorDiffers(40))));
    target.faults(|faults| faults.add(Fault::new(Effect::RestoredLacksPoints(2)).shard(2)));
    empty_docs(&target, 3, 1);
    for (shard, bytes) in &archives {
        restore(&target, "docs", *shard, bytes).result();
    }
    let (ours, theirs) = (points(&target, "docs"), points(&source.nodes()[0], "docs"));
    assert_eq!(ours.as_array().unwrap().len(), 88);
    let differing: Vec<usize> = (0..88).filter(|index| ours[index] != theirs[index]).collect();
    assert_eq!(differing, [40]);
}
