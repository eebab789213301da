//! The recorded clusters, with the genuine snapshots of their nodes and shards.

use std::io;

use serde_json::json;

use super::collection::Collection;
use super::content::Content;
use super::data::GenuineSnapshot;
use super::node::Node;
use super::plain::plain_config;
use super::setup::Setup;
use super::shard::{Replica, Shard};

const VERSION: &str = "1.18.3";
/// Peer ids and p2p ports of the nodes with `spread`.
const SPREAD: [(u64, u16); 3] =
    [(5_269_863_909_012_892, 7015), (6_399_145_023_181_557, 7025), (5_657_630_203_459_650, 7035)];
/// Peer ids and p2p ports of the nodes with `auto` and `custom`.
const SHARDED: [(u64, u16); 3] =
    [(8_179_168_769_462_515, 6361), (5_023_857_323_839_849, 6362), (6_604_486_580_146_123, 6363)];

fn cluster(nodes: [(u64, u16); 3]) -> Setup {
    let node = |(peer_id, port): (u64, u16)| Node::new(peer_id, &format!("http://127.0.0.1:{port}/"));
    Setup::empty_of(VERSION).nodes(nodes.map(node))
}

/// `spread`, with a genuine snapshot for each node.
pub(crate) fn spread() -> io::Result<Setup> {
    let mut spread: Option<Collection> = None;
    for node in 0..SPREAD.len() {
        let file = format!("cluster-node-{}.spread.snapshot", node + 1);
        let snapshot = GenuineSnapshot::find(VERSION, &file)?;
        let content = Content::bytes(snapshot.read()?);
        let collection = match &mut spread {
            Some(collection) => collection,
            none => none.insert(Collection::from_snapshot("spread", content.clone())?),
        };
        for id in snapshot.local_shard_ids {
            if let Some(shard) = collection.shards.iter_mut().find(|shard| shard.id == id) {
                *shard = Shard::on_node(id, snapshot.points_count, node);
            }
        }
        collection.content_on_node.insert(node, content);
    }
    let spread = spread.ok_or_else(|| io::Error::other("the cluster has no nodes"))?;
    Ok(cluster(SPREAD).collection(spread))
}

/// `auto` and `custom`, with a genuine snapshot for each shard.
pub(crate) fn sharded() -> io::Result<Setup> {
    let mut setup = cluster(SHARDED);
    setup.state.commit = 88;
    let auto = collection("auto", &[&[0, 2], &[0, 1], &[1, 2]])?;
    let custom = collection("custom", &[&[0], &[2], &[1]])?;
    Ok(setup.collection(auto).collection(custom))
}

/// A collection of these genuine shards, each on these nodes.
fn collection(name: &str, nodes: &[&[usize]]) -> io::Result<Collection> {
    let files: Vec<GenuineSnapshot> = GenuineSnapshot::all()?
        .into_iter()
        .filter(|file| file.is_shard && file.version == VERSION && file.collection == name)
        .collect();
    let keyed = files.iter().any(|file| file.shard_key.is_some());
    let mut config = plain_config(8, if keyed { 1 } else { files.len() as u32 });
    config["params"]["vectors"]["distance"] = json!("Dot");
    if keyed {
        config["params"]["sharding_method"] = json!("custom");
    }
    let replicas = nodes.iter().map(|nodes| nodes.len()).max().unwrap_or(1);
    config["params"]["replication_factor"] = json!(replicas);
    let mut collection = Collection::empty(name, config);
    collection.shards.clear();
    for (file, nodes) in files.iter().zip(nodes) {
        let id = file.local_shard_ids.first().copied().unwrap_or(0);
        collection.shard_snapshots.insert(id, Content::bytes(file.read()?));
        collection.shards.push(Shard {
            key: file.shard_key.clone(),
            replicas: nodes.iter().map(|node| Replica::active(*node)).collect(),
            ..Shard::on_node(id, file.points_count, 0)
        });
    }
    Ok(collection)
}
