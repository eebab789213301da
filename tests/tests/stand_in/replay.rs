//! Replays every recorded exchange with a stand-in in the state of the recorded server.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use e2e::qdrant_stand_in::{
    Collection, Content, Effect, Fault, GeneratedSnapshot, GenuineSnapshot, Recording, Setup, StandIn,
    StandInCluster,
};
use serde_json::{Value, json};
use tar::Archive;

use crate::client::{self, Response, get, multipart, post};

/// The digest of a file that is not in the test data. The stand-in's file has another.
const RECORDED_DIGEST: &str = "4a662571f540febbe81196daa8eaef9b4e5b1dca327ffdf1c6c9e5416b43f304";
/// Values that differ between two servers with the same data.
const VARYING: [&str; 7] =
    ["time", "checksum", "size", "creation_time", "last_update", "leader", "operation_id"];

#[test]
fn every_recorded_request_is_answered_as_recorded() {
    let mut replayed = 0;
    let mut without_request = Vec::new();
    for recording in Recording::all().unwrap() {
        if recording.request_line.is_none() {
            without_request.push(recording.name);
            continue;
        }
        if of_the_sharded_cluster(&recording.name) {
            // They depend on their order; `sharded` replays them.
            continue;
        }
        let stand_in = StandIn::start(setup_for(&recording));
        prepare(&stand_in, &recording);
        let response = replay(&stand_in, &recording);
        compare(&recording, &response);
        replayed += 1;
    }
    assert_eq!(replayed, 53, "a recording was not replayed");
    // These have their own tests below, except for full snapshots, which the stand-in does not create.
    assert_eq!(
        without_request,
        [
            "cluster-enabled",
            "cluster-full-snapshot",
            "cluster-node-1-collection-cluster",
            "cluster-node-2-collection-cluster",
            "cluster-node-3-collection-cluster",
            "snapshot-create-no-space",
            "upload-no-space",
        ]
    );
}

#[test]
fn a_full_disk_fails_the_creation_as_recorded() {
    let setup = Setup::empty()
        .peer_id(6_730_115_963_378_057)
        .collection(Collection::generated("a", GeneratedSnapshot::new(0)))
        .fault(Fault::new(Effect::CreationNoSpace));
    let stand_in = StandIn::start(setup);
    stand_in.state(|state| state.clock.freeze_at(time("2026-11-23T01:22:52Z")));
    let response = post(&stand_in, "/collections/a/snapshots", "");
    compare(&Recording::read("snapshot-create-no-space").unwrap(), &response);
    assert!(stand_in.snapshots("a").is_empty());
}

#[test]
fn a_full_disk_fails_the_upload_as_recorded() {
    let stand_in = StandIn::start(Setup::sample().fault(Fault::new(Effect::UploadNoSpace)));
    let content = GenuineSnapshot::find("1.18.3", "empty.snapshot").unwrap().read().unwrap();
    let response = client::upload(&stand_in, "/collections/new/snapshots/upload", "e.snapshot", &content);
    compare(&Recording::read("upload-no-space").unwrap(), &response);
    assert!(stand_in.snapshots("new").is_empty());
}

#[test]
fn the_nodes_of_a_cluster_answer_as_recorded() {
    let cluster = StandInCluster::start();
    for (node, number) in cluster.nodes().iter().zip(1..) {
        let response = get(node, "/collections/spread/cluster");
        compare(&Recording::read(&format!("cluster-node-{number}-collection-cluster")).unwrap(), &response);

        let created = post(node, "/collections/spread/snapshots", "").result();
        let file = format!("cluster-node-{number}.spread.snapshot");
        let genuine = GenuineSnapshot::find("1.18.3", &file).unwrap();
        assert_eq!(created["checksum"], json!(genuine.sha256));
        assert_eq!(node.snapshots("spread").len(), 1, "a snapshot is only on the node that created it");
        let count = post(node, "/collections/spread/points/count", r#"{"exact":true}"#).result();
        assert_eq!(count["count"], json!(300), "every node counts the whole collection");
    }
    compare(&Recording::read("cluster-enabled").unwrap(), &get(&cluster.nodes()[0], "/cluster"));
}

/// Whether it was recorded on the cluster with replicas and keys.
pub fn of_the_sharded_cluster(name: &str) -> bool {
    let alone = ["shard-snapshot-stream", "shard-key-create-not-a-cluster"];
    name == "cluster-three-nodes"
        || name.starts_with("cluster-collection-")
        || (name.starts_with("shard-") && !alone.contains(&name))
}

fn setup_for(recording: &Recording) -> Setup {
    if recording.name.starts_with("auth-") {
        let setup = Setup::empty().api_key("sekret").read_only_key("readonly");
        let has_a = recording.request_line.as_deref().is_some_and(|line| line.contains("/a/"));
        let a = Collection::generated("a", GeneratedSnapshot::new(0));
        return if has_a { setup.collection(a) } else { setup };
    }
    let mut setup = Setup::empty();
    if recording.name == "root" {
        return setup;
    }
    let sized = |size, points| GeneratedSnapshot::new(size).points_count(points);
    let mut minilm = Collection::generated("minilm_general", sized(38_086_144, 4000));
    minilm.points.overrides.insert(0, recorded_point());
    let mut mixtral = Collection::generated("mixtral_embeddings", sized(0, 4000));
    let mut empty = Collection::generated("empty_collection", sized(65_024, 0));
    empty.config["params"]["vectors"]["size"] = json!(8);
    for collection in [&mut mixtral, &mut empty] {
        collection.payload_indexes = BTreeMap::from([("source".to_owned(), "keyword".to_owned())]);
    }
    setup =
        setup.collection(minilm).collection(mixtral).collection(empty).alias("prod", "mixtral_embeddings");
    if ["collection-delete", "upload-leftover-list", "upload-leftover-delete"].contains(&&*recording.name) {
        setup = setup.collection(Collection::generated("scratch", sized(0, 0)));
    }
    if recording.name.starts_with("points-") {
        let mut docs = Collection::generated("docs", sized(0, 0));
        docs.config["params"]["vectors"]["size"] = json!(2);
        if recording.name == "points-upsert-strict" {
            docs.config["strict_mode_config"] = json!({ "enabled": true, "upsert_max_batchsize": 1 });
        }
        setup = setup.collection(docs);
    }
    if recording.name == "alias-delete" {
        setup = setup.alias("search-live", "minilm_general");
    }
    setup
}

/// Adds the snapshots of the recorded server.
fn prepare(stand_in: &StandIn, recording: &Recording) {
    let generated = |size, seed| Content::generated(&GeneratedSnapshot::new(size).seed(seed));
    stand_in.state(|state| state.clock.freeze_at(time("2026-11-23T00:53:53Z")));
    let minilm = |stamp: &str| format!("minilm_general-8372720498335175-2026-11-23-{stamp}.snapshot");
    if recording.name.starts_with("snapshot-download") {
        stand_in.add_snapshot("minilm_general", &minilm("00-53-53"), generated(38_086_144, 1));
    } else {
        // The same list with smaller files, which are faster to hash.
        let small = generated(0, 1);
        for stamp in ["00-53-52", "00-51-13", "00-53-53"] {
            stand_in.add_snapshot("minilm_general", &minilm(stamp), small.clone());
        }
    }
    let name = "empty_collection-8372720498335175-2026-11-23-00-51-13.snapshot";
    stand_in.add_snapshot("empty_collection", name, generated(65_024, 2));
    if recording.name.starts_with("upload-leftover") {
        let content = generated(65_024, 2);
        stand_in.state(|state| state.store(0, "scratch", "e.snapshot", content, None));
    }
}

fn replay(stand_in: &StandIn, recording: &Recording) -> Response {
    let line = recording.request_line.clone().unwrap();
    let (method, path) = line.split_once(' ').unwrap();
    let mut path = path.to_owned();
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut body = Vec::new();
    for rest in &recording.request_rest {
        if rest.starts_with('{') {
            body = rest.clone().into_bytes();
        } else if let Some(file) = rest.strip_prefix("body: snapshot=@") {
            let content = upload_content(file);
            let (content_type, multipart) = multipart(file, &content);
            headers.push(("content-type".to_owned(), content_type));
            path = path.replace(RECORDED_DIGEST, &Content::bytes(content).sha256());
            body = multipart;
        } else {
            let (name, value) = rest.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client::send(stand_in, method, &path, &headers, &body).unwrap()
}

fn upload_content(file: &str) -> Vec<u8> {
    let empty = GenuineSnapshot::find("1.18.3", "empty.snapshot").unwrap().read().unwrap();
    match file {
        "e.snapshot" => empty,
        "garb.snapshot" => (0..20_000_u32).map(|number| (number * 7 % 251) as u8 + 1).collect(),
        "trunc.snapshot" => {
            let mut archive = Archive::new(empty.as_slice());
            let mut wal = archive.entries().unwrap().map(Result::unwrap);
            let wal = wal.find(|entry| entry.path_bytes().as_ref() == b"0/wal/open-1").unwrap();
            let cut = wal.raw_file_position() as usize + 10;
            empty[..cut].to_vec()
        }
        other => panic!("no content for {other}"),
    }
}

pub fn compare(recording: &Recording, response: &Response) {
    let name = &recording.name;
    assert_eq!(response.status, recording.status, "{name}: {}", response.text());
    let is_json = response.header("content-type") == Some("application/json");
    let comparable = |headers: &[(String, String)]| -> BTreeMap<String, String> {
        let mut comparable: BTreeMap<String, String> = headers.iter().cloned().collect();
        for varying in ["date", "etag"] {
            if let Some(value) = comparable.get_mut(varying) {
                value.clear();
            }
        }
        // The duration has a varying number of digits.
        if is_json && let Some(value) = comparable.get_mut("content-length") {
            value.clear();
        }
        // The name of the shard's stream contains the time of its creation.
        if name == "shard-snapshot-stream"
            && let Some(value) = comparable.get_mut("content-disposition")
        {
            *value = value.replace("00-53-53", "00-53-55");
        }
        comparable
    };
    assert_eq!(comparable(&response.headers), comparable(&recording.headers), "{name}");
    assert!(response.complete, "{name}");
    if is_json {
        let recorded: Value = serde_json::from_str(&recording.body).unwrap();
        assert_alike(name, &response.json(), &recorded);
    } else if !recording.body.starts_with("<body:") {
        assert_eq!(response.text(), recording.body, "{name}");
    } else {
        assert!(!response.body.is_empty(), "{name}");
    }
}

/// The same keys, types and values, except for those that differ between servers.
fn assert_alike(place: &str, ours: &Value, recorded: &Value) {
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(ours), keys(recorded), "{place}");
            for (key, value) in recorded {
                let place = format!("{place}.{key}");
                if VARYING.contains(&key.as_str()) {
                    let kind = |value: &Value| std::mem::discriminant(value);
                    assert_eq!(kind(&ours[key]), kind(value), "{place}");
                } else {
                    assert_alike(&place, &ours[key], value);
                }
            }
        }
        (Value::Array(ours), Value::Array(recorded)) => {
            assert_eq!(ours.len(), recorded.len(), "{place}: {ours:?}");
            // Lists have no defined order.
            let sorted = |list: &[Value]| {
                let mut sorted = list.to_vec();
                let text = |value: &Value, key: &str| value.get(key).map(Value::to_string);
                sorted.sort_by_key(|value| ["name", "shard_id", "peer_id"].map(|key| text(value, key)));
                sorted
            };
            for (ours, recorded) in sorted(ours).iter().zip(&sorted(recorded)) {
                assert_alike(&format!("{place}[]"), ours, recorded);
            }
        }
        (Value::String(ours), Value::String(recorded)) if ours.starts_with("Checksum mismatch") => {
            let empty = GenuineSnapshot::find("1.18.3", "empty.snapshot").unwrap();
            assert_eq!(*ours, recorded.replace(RECORDED_DIGEST, &empty.sha256), "{place}");
        }
        (Value::String(ours), Value::String(recorded)) if place.starts_with("snapshot-create.") => {
            // The recorded clock was a second earlier.
            assert_eq!(*ours, recorded.replace("00-53-52", "00-53-53"), "{place}");
        }
        (ours, recorded) => assert_eq!(ours, recorded, "{place}"),
    }
}

fn recorded_point() -> Value {
    let recording = Recording::read("scroll-one").unwrap();
    let body: Value = serde_json::from_str(&recording.body).unwrap();
    body["result"]["points"][0].clone()
}

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
