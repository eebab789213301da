//! The exchanges with the recorded cluster with replicas and keys, in their recorded order.

use e2e::qdrant_stand_in::{
    Aftermath, Collection, GenuineSnapshot, Recording, Replica, Shard, StandIn, StandInCluster,
};
use serde_json::json;
use tar::Archive;

use crate::client::{Response, multipart, send};
use crate::replay::{compare, of_the_sharded_cluster, time};

/// Replays recordings, each at one node, and keeps track of them.
struct Replay {
    cluster: StandInCluster,
    replayed: Vec<String>,
}

impl Replay {
    /// The recorded cluster, plus `auto2`: `auto` with other placements and no points yet.
    fn new() -> Replay {
        let mut setup = StandInCluster::sharded();
        setup.state.clock.freeze_at(time("2026-11-28T15:06:50Z"));
        setup.state.after_shard_upload = Aftermath { as_before: 1, dead: 1, transfers: 1 };
        let body = json!({ "vectors": { "size": 8, "distance": "Dot" }, "shard_number": 3 });
        let mut auto2 = Collection::created("auto2", &body);
        auto2.shards = [(0, [0, 1]), (1, [0, 2]), (2, [1, 2])]
            .map(|(id, nodes)| Shard {
                replicas: nodes.map(Replica::active).to_vec(),
                ..Shard::on_node(id, 0, 0)
            })
            .to_vec();
        Replay { cluster: StandInCluster::start_with(setup.collection(auto2)), replayed: Vec::new() }
    }

    fn node(&self, node: usize) -> &StandIn {
        &self.cluster.nodes()[node]
    }

    /// Sends the recorded request and checks that the answer is the recorded one.
    fn replay(&mut self, name: &str, node: usize, content: &[u8]) {
        let recording = Recording::read(name).unwrap();
        let line = recording.request_line.clone().unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        let (mut headers, mut body) = (Vec::new(), Vec::new());
        for rest in &recording.request_rest {
            let json = rest.strip_prefix("body: ").filter(|body| body.starts_with('{'));
            if let Some(json) = json {
                body = json.as_bytes().to_vec();
            } else if let Some(file) = rest.strip_prefix("body: snapshot=@") {
                let (content_type, multipart) = multipart(file, content);
                headers.push(("content-type".to_owned(), content_type));
                body = multipart;
            } else {
                let (name, value) = rest.split_once(": ").unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let response = send(self.node(node), method, path, &headers, &body).unwrap();
        compare(&recording, &response);
        self.replayed.push(name.to_owned());
    }

    fn asked(&mut self, node: usize, names: &[&str]) {
        for name in names {
            self.replay(name, node, b"");
        }
    }

    /// An upload that was not recorded.
    fn upload(&self, node: usize, shard: u32) -> Response {
        let path = format!("/collections/auto2/shards/{shard}/snapshots/upload?priority=snapshot");
        crate::client::upload(self.node(node), &path, "x.snapshot", &genuine(shard))
    }

    fn poll(&self, times: u32) {
        for _ in 0..times {
            crate::client::get(self.node(0), "/collections/auto2/cluster").result();
        }
    }
}

fn genuine(shard: u32) -> Vec<u8> {
    let file = format!("cluster.auto.shard-{shard}.snapshot");
    GenuineSnapshot::find("1.18.3", &file).unwrap().read().unwrap()
}

/// Truncated in the second segment.
fn truncated() -> Vec<u8> {
    let whole = genuine(0);
    let mut archive = Archive::new(whole.as_slice());
    let second = archive.entries().unwrap().nth(1).unwrap().unwrap();
    whole[..second.raw_file_position() as usize + 5000].to_vec()
}

#[test]
fn every_exchange_with_the_sharded_cluster_is_answered_as_recorded() {
    let mut replay = Replay::new();
    replay.asked(0, &["cluster-three-nodes", "cluster-collection-rf2", "cluster-collection-custom-keys"]);
    replay.asked(0, &["shard-keys", "shard-keys-automatic"]);
    replay.asked(0, &["shard-snapshot-create", "shard-snapshot-list", "shard-snapshot-download"]);
    replay.asked(0, &["shard-snapshot-download-range", "shard-snapshot-create-missing-shard"]);
    replay.asked(0, &["shard-snapshot-create-not-local", "shard-snapshot-list-not-local"]);
    replay.asked(0, &["shard-snapshot-delete", "shard-snapshot-delete-missing"]);
    replay.asked(0, &["shard-key-create", "shard-key-create-again", "shard-key-delete"]);
    assert!(replay.cluster.all_snapshots().is_empty());

    replay.replay("shard-upload-checksum-mismatch", 0, &genuine(0));
    replay.replay("shard-upload-ok", 0, &genuine(0));
    assert_eq!(replay.upload(0, 1).result(), json!(null));
    assert_eq!(replay.upload(1, 2).result(), json!(null));
    replay.asked(0, &["cluster-collection-right-after-shard-upload"]);
    replay.poll(2);
    replay.asked(0, &["cluster-collection-settled-after-shard-upload"]);

    replay.replay("shard-upload-not-local", 0, &genuine(2));
    replay.asked(0, &["cluster-collection-after-upload-to-a-node-that-did-not-hold-it"]);
    replay.replay("shard-upload-missing-collection", 0, &genuine(0));
    replay.replay("shard-upload-truncated", 0, &truncated());
    let garbage: Vec<u8> = (0..20_000_u32).map(|number| (number * 7 % 251) as u8 + 1).collect();
    replay.replay("shard-upload-garbage", 0, &garbage);
    replay.poll(2);
    replay.asked(1, &["cluster-collection-after-truncated-shard-upload"]);
    replay.poll(1);
    replay.asked(1, &["cluster-collection-later-after-truncated-shard-upload"]);
    assert!(replay.cluster.all_snapshots().is_empty(), "an upload leaves no file");

    let all = Recording::all().unwrap().into_iter().map(|recording| recording.name);
    let mut expected: Vec<String> = all.filter(|name| of_the_sharded_cluster(name)).collect();
    expected.sort();
    replay.replayed.sort();
    assert_eq!(replay.replayed, expected);
}
