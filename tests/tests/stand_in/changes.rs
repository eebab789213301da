//! Changes in a cluster, by requests and by itself, and the configuration of collections.

use e2e::qdrant_stand_in::{
    Change, Collection, GeneratedSnapshot, Resharding, Setup, StandIn, StandInCluster, Transfer, When,
};
use serde_json::{Value, json};

use crate::client::{get, post, put, replicas, send};

fn three(replication_factor: u32) -> StandInCluster {
    let docs = Collection::generated("docs", GeneratedSnapshot::new(0).points_count(90).shards(3));
    StandInCluster::start_with(Setup::cluster(3).spread(docs, replication_factor))
}

fn cluster(node: &StandIn) -> Value {
    get(node, "/collections/docs/cluster").result()
}

fn peers_of(node: &StandIn, shard: u64) -> Vec<u64> {
    let all = replicas(node, "docs");
    all.into_iter().filter(|(id, _, _)| *id == shard).map(|(_, peer, _)| peer).collect()
}

#[test]
fn transfers_and_resharding_show_for_as_many_polls_as_asked() {
    let nodes = three(1);
    let node = &nodes.nodes()[0];
    assert!(cluster(node).get("resharding_operations").is_none());
    nodes.state(|state| {
        let docs = state.collection_mut("docs");
        docs.transfer_for_polls(Transfer { sync: true, ..Transfer::moving(0, 0, 1) }, 2);
        let resharding = Resharding { direction: "up", shard: 3, node: 2, shard_key: None };
        docs.resharding_for_polls(resharding, 1);
    });
    let shown = cluster(node);
    assert_eq!(shown["shard_transfers"][0]["method"], json!("snapshot"));
    assert_eq!(shown["resharding_operations"][0]["direction"], json!("up"));
    assert_eq!(shown["resharding_operations"][0]["shard_key"], json!(null));
    let shown = cluster(&nodes.nodes()[1]);
    assert!(shown.get("resharding_operations").is_none());
    assert_eq!(shown["local_shards"][0]["state"], json!("Recovery"));
    assert_eq!(shown["local_shards"][0]["points_count"], json!(0));
    let shown = cluster(&nodes.nodes()[1]);
    assert_eq!(shown["shard_transfers"], json!([]));
    assert_eq!(shown["local_shards"][0]["points_count"], json!(30));
}

#[test]
fn a_shard_moves_once_its_snapshot_was_made() {
    let nodes = three(1);
    let node = &nodes.nodes()[0];
    nodes.state(|state| state.collection_mut("docs").move_shard_when(When::Snapshot(0), 0, 0, 2));
    post(&nodes.nodes()[1], "/collections/docs/shards/1/snapshots", "").result();
    assert_eq!(peers_of(node, 0), [node.peer_id()]);
    let name = post(node, "/collections/docs/shards/0/snapshots", "").result()["name"].clone();
    assert_eq!(peers_of(node, 0), [nodes.nodes()[2].peer_id()]);
    // Its snapshot stays on the disk, but no request can access it any more.
    let path = format!("/collections/docs/shards/0/snapshots/{}", name.as_str().unwrap());
    assert_eq!(get(node, &path).status, 400);
    assert_eq!(node.shard_snapshot_names("docs", 0).len(), 1);
}

#[test]
fn a_replica_dies_and_others_write_when_a_test_says_so() {
    let nodes = three(2);
    let node = &nodes.nodes()[2];
    nodes.state(|state| {
        let docs = state.collection_mut("docs");
        docs.set_replica_state(0, 1, "Dead");
        docs.schedule(When::Polls(1), Change::Replica(0, 1, "Active".to_owned()));
        docs.schedule(When::Polls(2), Change::Points(0, 31));
    });
    let second = nodes.nodes()[1].peer_id();
    let state = || replicas(node, "docs").into_iter().find(|one| (one.0, one.1) == (0, second)).unwrap().2;
    assert_eq!([state(), state()], ["Dead", "Active"]);
    assert_eq!(crate::client::count(node, "docs").result()["count"], json!(91));
}

#[test]
fn clients_move_replicate_and_drop_replicas() {
    let nodes = three(1);
    let node = &nodes.nodes()[1];
    let peers: Vec<u64> = nodes.nodes().iter().map(StandIn::peer_id).collect();
    let change = |body: Value| post(node, "/collections/docs/cluster", &body.to_string());
    let ends = |shard: u32, from: usize, to: usize| json!({ "shard_id": shard, "from_peer_id": peers[from], "to_peer_id": peers[to] });
    assert_eq!(change(json!({ "move_shard": ends(0, 0, 2) })).result(), json!(true));
    let again = change(json!({ "replicate_shard": ends(0, 0, 1) }));
    assert!(again.text().contains("is already involved in transfer"), "{}", again.text());
    assert_eq!(cluster(node)["shard_transfers"][0]["sync"], json!(false));
    assert_eq!(peers_of(node, 0), [peers[2]]);
    change(json!({ "replicate_shard": ends(0, 2, 1) })).result();
    cluster(node);
    assert_eq!(peers_of(node, 0), [peers[1], peers[2]]);
    let drop = |peer: u64| change(json!({ "drop_replica": { "shard_id": 0, "peer_id": peer } }));
    drop(peers[2]).result();
    assert_eq!(peers_of(node, 0), [peers[1]]);
    let refused = drop(peers[1]);
    assert!(refused.text().contains("must have at least one active replica"), "{}", refused.text());
    let refused =
        [drop(5), drop(peers[0]), change(json!({ "move_shard": ends(7, 0, 1) })), change(json!({}))];
    assert_eq!(refused.map(|response| response.status), [400; 4]);
    let single = StandIn::start(Setup::sample());
    let refused = post(&single, "/collections/empty/cluster", r#"{"move_shard":{}}"#);
    assert!(refused.text().contains("Distributed mode disabled"));
}

#[test]
fn shard_keys_are_placed_and_their_ids_go_on_from_the_highest() {
    let nodes = StandInCluster::start_with(Setup::cluster(3));
    let node = &nodes.nodes()[0];
    let peers: Vec<u64> = nodes.nodes().iter().map(StandIn::peer_id).collect();
    let body = json!({
        "vectors": { "size": 4, "distance": "Dot" }, "sharding_method": "custom", "replication_factor": 2,
        "shard_number": 2,
    });
    put(node, "/collections/docs", &body).result();
    assert!(replicas(node, "docs").is_empty());
    let key = |body: Value| put(node, "/collections/docs/shards", &body);
    key(json!({ "shard_key": "a" })).result();
    key(json!({ "shard_key": 7, "shards_number": 1, "replication_factor": 1, "placement": [peers[2]] }))
        .result();
    assert_eq!(peers_of(node, 3), [peers[2]]);
    key(json!({ "shard_key": "c", "shards_number": 1, "initial_state": "Partial" })).result();
    let partial: Vec<_> = replicas(node, "docs").into_iter().filter(|one| one.0 == 4).collect();
    assert_eq!((partial.len(), partial[0].2.as_str()), (1, "Partial"));
    assert_eq!([1, 2].map(|shard| peers_of(node, shard).len()), [2, 2]);
    let drop = |key: Value| {
        let body = json!({ "shard_key": key }).to_string();
        post(node, "/collections/docs/shards/delete", &body)
    };
    drop(json!("a")).result();
    assert_eq!(drop(json!("a")).status, 400);
    key(json!({ "shard_key": "d", "shards_number": 1 })).result();
    assert_eq!(peers_of(node, 5).len(), 2, "after the highest, not in the gap");
    let keys = get(node, "/collections/docs/shards").result()["shard_keys"].clone();
    assert_eq!(keys, json!([{ "key": 7 }, { "key": "c" }, { "key": "d" }]));
    for refused in [
        json!({ "shard_key": "d" }),
        json!({ "shard_key": "e", "placement": [] }),
        json!({ "shard_key": "e", "placement": [5] }),
        json!({ "shard_key": "e", "initial_state": "Dead" }),
    ] {
        assert_eq!(key(refused).status, 400);
    }
}

#[test]
fn a_collection_shows_every_setting_that_it_was_made_with() {
    let server = StandIn::start(Setup::empty());
    let body = json!({
        "vectors": { "a": { "size": 4, "distance": "Dot" } }, "sparse_vectors": { "s": {} }, "shard_number": 2,
        "sharding_method": "auto", "replication_factor": 3, "write_consistency_factor": 2,
        "on_disk_payload": false, "hnsw_config": { "m": 8 }, "wal_config": { "wal_capacity_mb": 1 },
        "optimizers_config": { "indexing_threshold": 7 },
        "quantization_config": { "scalar": { "type": "int8" } },
        "strict_mode_config": { "enabled": false }, "metadata": { "made_by": "us" },
        "uuid": "0b6b8f4c-3b2a-4d6f-9a60-2d2f9f3d3c11", "read_fan_out_factor": 2, "nonsense": true,
    });
    put(&server, "/collections/docs", &body).result();
    let config = || get(&server, "/collections/docs").result()["config"].clone();
    let made = config();
    for key in [
        "vectors",
        "sparse_vectors",
        "shard_number",
        "sharding_method",
        "replication_factor",
        "write_consistency_factor",
        "on_disk_payload",
    ] {
        assert_eq!(made["params"][key], body[key], "{key}");
    }
    for key in ["quantization_config", "strict_mode_config", "metadata"] {
        assert_eq!(made[key], body[key], "{key}");
    }
    assert_eq!((&made["hnsw_config"]["m"], &made["hnsw_config"]["ef_construct"]), (&json!(8), &json!(100)));
    assert_eq!(made["optimizer_config"]["indexing_threshold"], json!(7));
    assert_eq!(made["wal_config"]["wal_capacity_mb"], json!(1));
    let absent = ["uuid", "nonsense"].iter().all(|key| made.get(key).is_none());
    assert!(absent && made["params"].get("read_fan_out_factor").is_none());

    let patch = json!({
        "params": { "read_fan_out_factor": 2, "read_fan_out_delay_ms": 5, "shard_number": 9 },
        "optimizers_config": { "indexing_threshold": 9 }, "metadata": { "more": 1 },
        "vectors": { "a": { "on_disk": true } },
    });
    let headers = [("content-type", "application/json")];
    send(&server, "PATCH", "/collections/docs", &headers, patch.to_string().as_bytes()).unwrap().result();
    let patched = config();
    assert_eq!(patched["params"]["read_fan_out_factor"], json!(2));
    assert_eq!(patched["params"]["read_fan_out_delay_ms"], json!(5));
    assert_eq!(patched["params"]["shard_number"], json!(2));
    assert_eq!(patched["params"]["vectors"]["a"]["on_disk"], json!(true));
    assert_eq!(patched["optimizer_config"]["indexing_threshold"], json!(9));
    assert_eq!(patched["metadata"], json!({ "made_by": "us", "more": 1 }));

    for (refused, status) in [
        (json!({ "vectors": {}, "shard_number": 0 }), 422),
        (json!({ "vectors": {}, "sharding_method": "other" }), 400),
    ] {
        assert_eq!(put(&server, "/collections/other", &refused).status, status);
    }
}

#[test]
fn payload_indexes_are_shown_as_they_were_made() {
    let server = StandIn::sample();
    let index = |body: Value| put(&server, "/collections/empty/index?wait=true", &body);
    let made = index(json!({ "field_name": "lang", "field_schema": "keyword" })).result();
    assert_eq!(made["status"], json!("completed"));
    let params = json!({ "type": "text", "tokenizer": "word", "lowercase": true });
    index(json!({ "field_name": "body", "field_schema": params })).result();
    let schema = || get(&server, "/collections/empty").result()["payload_schema"].clone();
    let expected = json!({
        "lang": { "data_type": "keyword", "points": 0 },
        "body": { "data_type": "text", "params": params, "points": 0 },
    });
    for (field, index) in expected.as_object().unwrap() {
        assert_eq!(schema()[field], *index);
    }
    send(&server, "DELETE", "/collections/empty/index/lang", &[], b"").unwrap().result();
    assert!(schema().get("lang").is_none());
    assert_eq!(index(json!({ "field_name": "x" })).status, 400);
    assert_eq!(index(json!({ "field_name": "x", "field_schema": "nonsense" })).status, 400);
    let missing =
        put(&server, "/collections/none/index", &json!({ "field_name": "x", "field_schema": "bool" }));
    assert_eq!(missing.status, 404);
}
