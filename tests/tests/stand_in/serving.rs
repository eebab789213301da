//! The stand-in's answers without faults.

use std::io::Read;

use e2e::qdrant_stand_in::{
    Collection, Content, FillKind, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn,
};
use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use crate::client::{get, post, send};

#[test]
fn genuine_snapshots_of_both_versions_are_served_with_the_recorded_digest() {
    let mut served = 0;
    for version in ["1.18.3", "1.14.1"] {
        let stand_in = StandIn::start(Setup::sample_of(version));
        assert_eq!(get(&stand_in, "/").json()["version"], json!(version));
        for (collection, points) in
            [("minilm_general", 100), ("mixtral_embeddings", 250), ("empty", 0), ("named-and-sparse", 30)]
        {
            let genuine = GenuineSnapshot::find(version, &format!("{collection}.snapshot")).unwrap();
            let created = post(&stand_in, &format!("/collections/{collection}/snapshots"), "").result();
            assert_eq!(created["checksum"], json!(genuine.sha256));
            let name = created["name"].as_str().unwrap();
            let response = get(&stand_in, &format!("/collections/{collection}/snapshots/{name}"));
            assert_eq!(hex::encode(Sha256::digest(&response.body)), genuine.sha256);
            let info = get(&stand_in, &format!("/collections/{collection}")).result();
            assert_eq!(info["points_count"], json!(points));
            served += 1;
        }
    }
    assert_eq!(served, 8);
}

#[test]
fn generated_snapshots_are_whole_archives_of_the_size_asked_for() {
    for (size, shards, kind) in [
        (64 << 20, 1, FillKind::Random),
        (40_000_000, 3, FillKind::Random),
        (3 << 20, 2, FillKind::Text),
        (5 << 20, 1, FillKind::Unit),
        (5 << 20, 1, FillKind::Embeddings),
        (40_000_000, 2, FillKind::Sparse),
        (100_000, 1, FillKind::Random),
    ] {
        let snapshot = GeneratedSnapshot::new(size).kind(kind).shards(shards).points_count(1001);
        let content = Content::generated(&snapshot);
        assert_eq!(content.size_bytes(), size.next_multiple_of(512));
        let bytes = read_all(&content);
        assert_eq!(bytes.len() as u64, content.size_bytes());
        assert_eq!(hex::encode(Sha256::digest(&bytes)), content.sha256());
        let (members, vector_bytes) = walk(&bytes);
        for shard in 0..shards {
            for member in ["wal/open-1", "replica_state.json", "shard_config.json"] {
                assert!(members.contains(&format!("{shard}/{member}")), "{members:?}");
            }
        }
        for member in ["version.info", "config.json", "shard_key_mapping.json", "payload_index.json"] {
            assert!(members.contains(&member.to_owned()), "{members:?}");
        }
        assert!(vector_bytes > size / 2, "{vector_bytes} of {size}");
    }
}

#[test]
fn generated_snapshots_are_the_same_for_the_same_seed_and_compress_as_their_kind_says() {
    let digest =
        |seed, kind| Content::generated(&GeneratedSnapshot::new(3 << 20).seed(seed).kind(kind)).sha256();
    assert_eq!(digest(1, FillKind::Random), digest(1, FillKind::Random));
    assert_ne!(digest(1, FillKind::Random), digest(2, FillKind::Random));
    let compressed = |kind| {
        // Long enough to contain all alternating parts.
        let bytes = read_all(&Content::generated(&GeneratedSnapshot::new(8 << 20).kind(kind)));
        let mut compressed = Vec::new();
        GzEncoder::new(bytes.as_slice(), Compression::fast()).read_to_end(&mut compressed).unwrap();
        compressed.len() as f64 / bytes.len() as f64
    };
    assert!(compressed(FillKind::Random) > 0.75);
    assert!(compressed(FillKind::Text) < 0.1);
    assert!(compressed(FillKind::Unit) > 0.85);
    assert!((0.5..0.95).contains(&compressed(FillKind::Embeddings)));
    assert!(compressed(FillKind::Sparse) < 0.2);
}

#[test]
fn a_range_gives_the_very_bytes_and_a_suffix_range_the_last_ones() {
    let content: Vec<u8> = (0..100_u8).collect();
    let stand_in = StandIn::start(Setup::empty().collection(Collection::with_bytes("c", 1, content.clone())));
    stand_in.add_snapshot("c", "c.snapshot", Content::bytes(content.clone()));
    let ranged = |range: &str| {
        send(&stand_in, "GET", "/collections/c/snapshots/c.snapshot", &[("range", range)], b"").unwrap()
    };
    assert_eq!(ranged("bytes=10-19").body, content[10..20]);
    assert_eq!(ranged("bytes=90-").body, content[90..]);
    assert_eq!(ranged("bytes=-5").header("content-range"), Some("bytes 95-99/100"));
    assert_eq!(ranged("bytes=100-").status, 416);
    assert_eq!(ranged("nonsense").status, 200);
}

#[test]
fn two_creations_in_one_second_get_the_same_name() {
    let stand_in = StandIn::sample();
    stand_in.state(|state| state.clock.freeze_at("2026-11-23T12:00:00Z".parse().unwrap()));
    let create = || post(&stand_in, "/collections/empty/snapshots", "").result()["name"].clone();
    assert_eq!(create(), json!("empty-8372720498335175-2026-11-23-12-00-00.snapshot"));
    assert_eq!(create(), json!("empty-8372720498335175-2026-11-23-12-00-00.snapshot"));
    assert_eq!(stand_in.snapshots("empty").len(), 1);
}

#[test]
fn snapshots_outlive_their_collection_and_come_back_with_it() {
    let stand_in = StandIn::sample();
    let path = "/collections/empty";
    post(&stand_in, "/collections/empty/snapshots", "").result();
    assert_eq!(send(&stand_in, "DELETE", path, &[], b"").unwrap().result(), json!(true));
    assert_eq!(get(&stand_in, "/collections/empty/snapshots").status, 404);
    assert_eq!(stand_in.snapshots("empty").len(), 1);
    let body = br#"{"vectors":{"size":4,"distance":"Dot"}}"#;
    assert_eq!(send(&stand_in, "PUT", path, &[], body).unwrap().result(), json!(true));
    assert_eq!(get(&stand_in, "/collections/empty/snapshots").result().as_array().unwrap().len(), 1);
    let config = get(&stand_in, path).result()["config"].clone();
    assert_eq!(config["params"]["vectors"], json!({ "size": 4, "distance": "Dot" }));
    assert_eq!(send(&stand_in, "PUT", path, &[], body).unwrap().status, 409);
}

#[test]
fn scrolling_passes_every_point_once_and_retrieving_gives_the_same_points() {
    let stand_in = StandIn::sample();
    stand_in.state(|state| state.collection_mut("named-and-sparse").points.uuid_ids = true);
    for (collection, expected) in [("minilm_general", 100), ("named-and-sparse", 30), ("empty", 0)] {
        let mut offset = Value::Null;
        let mut points: Vec<Value> = Vec::new();
        loop {
            let body = json!({ "limit": 7, "offset": offset, "with_vector": true });
            let path = format!("/collections/{collection}/points/scroll");
            let page = post(&stand_in, &path, &body.to_string()).result();
            points.extend(page["points"].as_array().unwrap().iter().cloned());
            offset = page["next_page_offset"].clone();
            if offset.is_null() {
                break;
            }
        }
        assert_eq!(points.len(), expected);
        let ids: Vec<&Value> = points.iter().map(|point| &point["id"]).collect();
        let body = json!({ "ids": ids, "with_payload": true, "with_vector": true });
        let path = format!("/collections/{collection}/points");
        assert_eq!(post(&stand_in, &path, &body.to_string()).result(), json!(points));
    }
    let body = r#"{"ids":[3],"with_vector":["text"]}"#;
    stand_in.state(|state| state.collection_mut("named-and-sparse").points.uuid_ids = false);
    let point = post(&stand_in, "/collections/named-and-sparse/points", body).result()[0].clone();
    assert_eq!(point["vector"].as_object().unwrap().len(), 1);
    assert_eq!(point["vector"]["text"].as_array().unwrap().len(), 4);
}

#[test]
fn a_path_prefix_is_needed_where_there_is_one() {
    let stand_in = StandIn::start(Setup::sample().path_prefix("/qdrant"));
    assert!(stand_in.url().ends_with("/qdrant"));
    assert_eq!(get(&stand_in, "/qdrant/collections").status, 200);
    assert_eq!(get(&stand_in, "/collections").status, 404);
    let logged = stand_in.requests_matching("GET", "/qdrant/collections");
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].header("host"), Some("localhost"));
}

#[test]
fn bodies_are_logged_and_reads_are_told_from_changes() {
    let stand_in = StandIn::sample();
    post(&stand_in, "/collections/empty/points/count", r#"{"exact":true}"#);
    post(&stand_in, "/collections/empty/snapshots", "");
    let requests = stand_in.requests();
    assert_eq!(requests[0].json, json!({ "exact": true }));
    assert_eq!(requests[0].body_len, 14);
    let changes: Vec<bool> = requests.iter().map(|request| request.changes_something()).collect();
    assert_eq!(changes, [false, true]);
    stand_in.clear_requests();
    assert!(stand_in.requests().is_empty());
}

#[tokio::test]
async fn https_is_trusted_with_the_authority_and_refused_without() {
    let provider = rustls::crypto::ring::default_provider();
    // Another test of this process may have installed it before.
    provider.install_default().ok();
    let stand_in = StandIn::start(Setup::sample().tls());
    let url = format!("{}/collections", stand_in.url());
    let pem = stand_in.authority_pem().unwrap();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .build()
        .unwrap();
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    let other = StandIn::start(Setup::empty().tls());
    let distrusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(other.authority_pem().unwrap().as_bytes()).unwrap()])
        .build()
        .unwrap();
    assert!(distrusting.get(&url).send().await.is_err());
}

fn read_all(content: &Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < content.size_bytes() {
        bytes.extend_from_slice(&content.read_at(bytes.len() as u64, 777_777).unwrap());
    }
    bytes
}

/// The members' paths, and the number of bytes of vectors in the segments.
fn walk(tar: &[u8]) -> (Vec<String>, u64) {
    let mut members = Vec::new();
    let mut vector_bytes = 0;
    for entry in Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        if path.ends_with("/wal/open-1") {
            assert_eq!(entry.header().entry_type(), EntryType::GNUSparse);
            assert_eq!(entry.size(), 1 << 20, "the size of a sparse file is that of the file");
            assert_eq!(std::io::copy(&mut entry, &mut std::io::sink()).unwrap(), 1 << 20);
        } else if path.ends_with(".tar") {
            for nested in Archive::new(&mut entry).entries().unwrap() {
                let nested = nested.unwrap();
                let nested_path = String::from_utf8(nested.path_bytes().into_owned()).unwrap();
                assert!(nested_path.starts_with("snapshot/"), "{nested_path}");
                if nested_path.contains("/vectors/chunk_") {
                    vector_bytes += nested.size();
                }
            }
        }
        members.push(path);
    }
    (members, vector_bytes)
}
