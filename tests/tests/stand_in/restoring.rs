//! Uploads: what they restore and what they leave behind.

use e2e::qdrant_stand_in::{
    Collection, Content, Effect, Fault, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn, StandInCluster,
};
use serde_json::{Value, json};

use crate::client::{Response, get, post, send, upload};

#[test]
fn every_genuine_snapshot_restores_its_points_and_configuration() {
    let mut restored = 0;
    for version in ["1.18.3", "1.14.1"] {
        let source = StandIn::start(Setup::sample_of(version));
        for collection in ["minilm_general", "mixtral_embeddings", "empty", "named-and-sparse"] {
            let target = StandIn::start(Setup::empty_of(version));
            let genuine = GenuineSnapshot::find(version, &format!("{collection}.snapshot")).unwrap();
            let path =
                format!("/collections/new/snapshots/upload?priority=snapshot&checksum={}", genuine.sha256);
            let response = upload(&target, &path, "mine.snapshot", &genuine.read().unwrap());
            assert_eq!(response.result(), json!(true));
            assert_eq!(info(&target, "new"), info(&source, collection));
            assert_eq!(points(&target, "new"), points(&source, collection));
            assert_eq!(target.snapshot_names("new"), ["mine.snapshot"], "the file is kept");
            assert!(target.snapshots("new")[0].checksum.is_none());
            restored += 1;
        }
    }
    assert_eq!(restored, 8);
}

#[test]
fn a_generated_snapshot_restores_on_another_server_with_the_same_points() {
    let snapshot = GeneratedSnapshot::new(5_000_000).shards(2).points_count(77);
    let source = StandIn::start(Setup::empty().collection(Collection::generated("big", snapshot)));
    let name = post(&source, "/collections/big/snapshots", "").result()["name"].clone();
    let bytes = get(&source, &format!("/collections/big/snapshots/{}", name.as_str().unwrap())).body;
    let target = StandIn::start(Setup::empty());
    assert_eq!(upload(&target, UPLOAD, "big.snapshot", &bytes).result(), json!(true));
    assert_eq!(count(&target, "new"), json!(77));
    assert_eq!(points(&target, "new"), points(&source, "big"));
    assert_eq!(info(&target, "new")["config"], info(&source, "big")["config"]);
}

#[test]
fn flipped_bytes_inside_a_vector_file_are_not_noticed() {
    let genuine = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap();
    let mut bytes = genuine.read().unwrap();
    // In the first member of the segment that has content, the vectors.
    bytes[8_000] ^= 0xff;
    assert_ne!(Content::bytes(bytes.clone()).sha256(), genuine.sha256);
    let target = StandIn::start(Setup::empty());
    assert_eq!(upload(&target, UPLOAD, "flipped.snapshot", &bytes).result(), json!(true));
    assert_eq!(count(&target, "new"), json!(100));
}

#[test]
fn what_a_failed_upload_leaves_can_be_deleted_only_while_the_collection_exists() {
    let stand_in = StandIn::start(Setup::empty());
    let response = upload(&stand_in, UPLOAD, "garbage.snapshot", &[7; 5000]);
    assert_eq!(response.status, 500);
    assert_eq!(stand_in.snapshot_names("new"), ["garbage.snapshot"]);
    let delete =
        || send(&stand_in, "DELETE", "/collections/new/snapshots/garbage.snapshot", &[], b"").unwrap();
    assert_eq!(delete().status, 404);
    let body = br#"{"vectors":{"size":4,"distance":"Dot"}}"#;
    send(&stand_in, "PUT", "/collections/new", &[], body).unwrap().result();
    assert_eq!(delete().result(), json!(true));
    assert!(stand_in.snapshots("new").is_empty());
}

#[test]
fn a_refused_checksum_leaves_nothing_behind() {
    let stand_in = StandIn::start(Setup::empty());
    let path = format!("{UPLOAD}?checksum={}", "0".repeat(64));
    assert_eq!(upload(&stand_in, &path, "x.snapshot", &[7; 5000]).status, 400);
    let malformed = format!("{UPLOAD}?checksum=xyz");
    assert_eq!(upload(&stand_in, &malformed, "x.snapshot", &[7; 5000]).status, 422);
    assert!(stand_in.snapshots("new").is_empty());
    assert_eq!(get(&stand_in, "/collections/new/exists").result(), json!({ "exists": false }));
}

#[test]
fn restoring_into_an_alias_overwrites_the_collection_behind_it() {
    let stand_in = StandIn::sample();
    let genuine = GenuineSnapshot::find("1.18.3", "mixtral_embeddings.snapshot").unwrap();
    stand_in.state(|state| state.collection_mut("mixtral_embeddings").set_points_count(3));
    assert_eq!(count(&stand_in, "mixtral_embeddings"), json!(3));
    let path = "/collections/prod/snapshots/upload";
    upload(&stand_in, path, "x.snapshot", &genuine.read().unwrap()).result();
    assert_eq!(count(&stand_in, "mixtral_embeddings"), json!(250));
    assert_eq!(stand_in.snapshot_names("mixtral_embeddings"), ["x.snapshot"]);
}

#[test]
fn a_snapshot_with_other_vectors_is_refused_by_an_existing_collection() {
    let stand_in = StandIn::sample();
    let genuine = GenuineSnapshot::find("1.18.3", "mixtral_embeddings.snapshot").unwrap();
    let path = "/collections/minilm_general/snapshots/upload";
    assert_eq!(upload(&stand_in, path, "x.snapshot", &genuine.read().unwrap()).status, 400);
    assert_eq!(count(&stand_in, "minilm_general"), json!(100));
}

#[test]
fn restored_points_can_be_lacking_or_different() {
    let genuine = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap();
    let source = StandIn::sample();
    let lacking = restored_with(Effect::RestoredLacksPoints(3), &genuine);
    assert_eq!(count(&lacking, "new"), json!(97));
    let differing = restored_with(Effect::RestoredVectorDiffers(4), &genuine);
    let (ours, theirs) = (points(&differing, "new"), points(&source, "minilm_general"));
    let differing: Vec<usize> = (0..100).filter(|index| ours[index] != theirs[index]).collect();
    assert_eq!(differing, [4]);
    assert_eq!(ours[4]["payload"], theirs[4]["payload"]);
}

#[test]
fn replicas_are_dead_for_as_many_polls_as_asked() {
    let genuine = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap();
    let stand_in = restored_with(Effect::ReplicasDeadForPolls(2), &genuine);
    let state = || {
        let cluster = get(&stand_in, "/collections/new/cluster").result();
        cluster["local_shards"][0]["state"].clone()
    };
    assert_eq!(count(&stand_in, "new"), json!(0));
    assert_eq!([state(), state(), state()], [json!("Dead"), json!("Dead"), json!("Active")]);
    assert_eq!(count(&stand_in, "new"), json!(100));
}

#[test]
fn a_cluster_is_whole_again_when_every_node_has_its_snapshot() {
    let cluster = StandInCluster::start();
    let nodes = cluster.nodes();
    send(&nodes[0], "DELETE", "/collections/spread", &[], b"").unwrap().result();
    assert_eq!(get(&nodes[2], "/collections/spread").status, 404);
    let mut counts: Vec<Value> = Vec::new();
    for (node, number) in nodes.iter().zip(1..) {
        let file = format!("cluster-node-{number}.spread.snapshot");
        let bytes = GenuineSnapshot::find("1.18.3", &file).unwrap().read().unwrap();
        upload(node, "/collections/spread/snapshots/upload?priority=snapshot", &file, &bytes).result();
        counts.push(count(&nodes[0], "spread"));
    }
    assert_eq!(counts, [json!(161), json!(161), json!(300)]);
    let local = get(&nodes[2], "/collections/spread/cluster").result()["local_shards"].clone();
    assert_eq!(local, json!([{ "shard_id": 1, "points_count": 139, "state": "Active" }]));
}

const UPLOAD: &str = "/collections/new/snapshots/upload";

fn restored_with(effect: Effect, genuine: &GenuineSnapshot) -> StandIn {
    let stand_in = StandIn::start(Setup::empty().fault(Fault::new(effect)));
    upload(&stand_in, UPLOAD, "x.snapshot", &genuine.read().unwrap()).result();
    assert_eq!(stand_in.faults(|faults| faults.hits()), 1);
    stand_in
}

fn info(stand_in: &StandIn, collection: &str) -> Value {
    get(stand_in, &format!("/collections/{collection}")).result()
}

fn count(stand_in: &StandIn, collection: &str) -> Value {
    let response: Response = post(stand_in, &format!("/collections/{collection}/points/count"), "{}");
    response.result()["count"].clone()
}

fn points(stand_in: &StandIn, collection: &str) -> Value {
    let body = r#"{"limit":1000,"with_vector":true,"with_payload":true}"#;
    let path = format!("/collections/{collection}/points/scroll");
    post(stand_in, &path, body).result()["points"].clone()
}
