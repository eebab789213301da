//! The nodes of a cluster: their ids and URLs.
//!
//! `GET /cluster` returns only internal addresses. Unless the URLs are configured, a node's REST URL is that host with the
//! scheme, port and path of the configured URL, as Qdrant does for its own requests. The id of each node is checked before any
//! other request.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Deserialize;
use url::Url;

use super::answers::Envelope;
use super::client::{Client, decode};
use super::error::Error;

/// `GET /cluster`.
#[derive(Debug, Clone, Deserialize)]
pub struct ClusterStatus {
    #[serde(default)]
    status: String,
    /// The asked node. None outside cluster mode.
    #[serde(default)]
    pub peer_id: Option<u64>,
    #[serde(default)]
    peers: BTreeMap<u64, Peer>,
    /// Its position in the consensus log.
    #[serde(default)]
    pub raft_info: Option<RaftInfo>,
}

#[derive(Debug, Clone, Deserialize)]
struct Peer {
    uri: String,
}

/// A node's state of the consensus log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RaftInfo {
    /// Committed entries, as known by this node.
    pub commit: u64,
    /// Entries that it has not applied yet.
    #[serde(default)]
    pub pending_operations: u64,
    /// The leader. Null without a majority of the nodes; absent in answers that do not have it.
    #[serde(default = "unknown")]
    leader: Option<u64>,
}

#[expect(clippy::unnecessary_wraps, reason = "a default that is not null")]
fn unknown() -> Option<u64> {
    Some(0)
}

/// A node that answers.
#[derive(Debug, Clone)]
pub struct ClusterNode {
    /// Peer id, as the node itself gave it.
    pub peer_id: u64,
    /// Sends requests to this node.
    pub client: Client,
}

/// All nodes of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    /// Those that answer, by their ids.
    pub nodes: Vec<ClusterNode>,
    /// Those that do not, each with the reason.
    pub lost: BTreeMap<u64, String>,
    /// Other problems of the configured URLs, one line each.
    pub doubts: Vec<String>,
    /// Whether the asked node has a leader: see [`ClusterStatus::has_leader`].
    pub has_leader: bool,
}

impl ClusterStatus {
    /// Whether the server is in cluster mode.
    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    /// The number of nodes, also of those that are down. At least 1.
    pub fn peers(&self) -> usize {
        self.peers.len().max(1)
    }

    /// Whether the node is connected to a majority of the cluster. Otherwise it does not know whether other nodes have newer data.
    pub fn has_leader(&self) -> bool {
        self.raft_info.as_ref().is_none_or(|raft| raft.leader.is_some())
    }
}

impl Nodes {
    /// The node with this id, if it answers.
    pub fn get(&self, peer_id: u64) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.peer_id == peer_id)
    }

    /// The number of peers in the cluster, including those that do not answer.
    pub fn peers(&self) -> usize {
        self.nodes.len() + self.lost.len()
    }

    /// Warnings, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let lost =
            self.lost.iter().map(|(peer, why)| format!("node {peer} of the cluster is not used: {why}"));
        self.doubts.iter().cloned().chain(lost).collect()
    }

    fn add(&mut self, peer_id: u64, client: Client) {
        match self.get(peer_id) {
            Some(other) => self.doubts.push(format!(
                "{} and {} are the same node, {peer_id}: the first is used",
                other.client.url(),
                client.url()
            )),
            None => self.nodes.push(ClusterNode { peer_id, client }),
        }
    }
}

impl Client {
    /// The node's information about its cluster.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn cluster(&self) -> Result<ClusterStatus, Error> {
        let what = "reading the nodes of the cluster";
        let answer: Envelope<ClusterStatus> = decode(what, &self.get(what, &["cluster"]).await?.body)?;
        Ok(answer.result)
    }

    /// All nodes of this node's cluster, at the `given` URLs if there are any. None outside cluster mode.
    ///
    /// # Errors
    /// When this node cannot be reached, or an interruption. Other unreachable nodes are part of the result.
    pub async fn nodes(&self, given: &[Url]) -> Result<Option<Nodes>, Error> {
        let status = self.cluster().await?;
        let Some(own_id) = status.peer_id.filter(|_| status.is_enabled()) else { return Ok(None) };
        let mut nodes = if given.is_empty() {
            self.by_rule(&status.peers).await?
        } else {
            self.given(given, &status.peers).await?
        };
        // It answers at this URL, even if not at others.
        if nodes.lost.remove(&own_id).is_some() {
            nodes.add(own_id, self.clone());
        }
        nodes.nodes.sort_by_key(|node| node.peer_id);
        nodes.has_leader = status.has_leader();
        Ok(Some(nodes))
    }

    async fn by_rule(&self, peers: &BTreeMap<u64, Peer>) -> Result<Nodes, Error> {
        let asked = peers.iter().map(async |(peer_id, peer)| {
            let client = match self.beside(&peer.uri) {
                Ok(client) => client,
                Err(why) => return Ok((*peer_id, Err(why))),
            };
            let found = match client.identity().await? {
                Ok(found) if found == *peer_id => Ok(client),
                Ok(other) => Err(format!(
                    "{} is node {other}; set qdrant.nodes to the REST URLs of all nodes",
                    client.url()
                )),
                Err(why) => Err(format!("{}: {why}", client.url())),
            };
            Ok((*peer_id, found))
        });
        let mut nodes = Nodes::default();
        for answer in join_all(asked).await {
            match answer? {
                (peer_id, Ok(client)) => nodes.nodes.push(ClusterNode { peer_id, client }),
                (peer_id, Err(why)) => drop(nodes.lost.insert(peer_id, why)),
            }
        }
        Ok(nodes)
    }

    async fn given(&self, given: &[Url], peers: &BTreeMap<u64, Peer>) -> Result<Nodes, Error> {
        let asked = given.iter().map(async |node| {
            let client = self.at(node.clone());
            let found = client.identity().await?;
            Ok((client, found))
        });
        let mut nodes = Nodes::default();
        for answer in join_all(asked).await {
            let (client, found) = answer?;
            match found {
                Ok(peer_id) if peers.contains_key(&peer_id) => nodes.add(peer_id, client),
                Ok(other) => nodes.doubts.push(format!(
                    "qdrant.nodes: {} is node {other}, which is not in the cluster of {}: not used",
                    client.url(),
                    self.url()
                )),
                Err(why) => nodes.doubts.push(format!("qdrant.nodes: {} is not used: {why}", client.url())),
            }
        }
        for (peer_id, peer) in peers {
            if nodes.get(*peer_id).is_none() {
                let why = format!("no answering URL in qdrant.nodes belongs to it ({})", peer.uri);
                nodes.lost.insert(*peer_id, why);
            }
        }
        Ok(nodes)
    }

    /// The client for the node with the internal address `uri`, or the reason why there is none.
    pub(super) fn beside(&self, uri: &str) -> Result<Self, String> {
        let impossible = || format!("its address {uri:?} has no host; set qdrant.nodes");
        let internal = Url::parse(uri).map_err(|_| impossible())?;
        let mut url = self.base().clone();
        url.set_host(internal.host_str()).map_err(|_| impossible())?;
        Ok(self.at(url))
    }

    /// The node at this URL, or the reason why it cannot be used.
    async fn identity(&self) -> Result<Result<u64, String>, Error> {
        match self.asking_once().cluster().await {
            Ok(ClusterStatus { peer_id: Some(peer_id), .. }) => Ok(Ok(peer_id)),
            Ok(_) => Ok(Err("it is not in cluster mode".to_owned())),
            Err(error @ Error::Interrupted) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::*;

    #[test]
    fn a_node_answers_at_the_host_of_its_internal_address_with_the_rest_of_the_url() {
        let client = client("http://qdrant:6333/prefix");
        let at = |uri: &str| client.beside(uri).map(|client| client.url().to_owned());
        assert_eq!(at("http://qdrant-2.headless:6335/").unwrap(), "http://qdrant-2.headless:6333/prefix");
        assert_eq!(at("http://[::1]:6335/").unwrap(), "http://[::1]:6333/prefix");
        assert!(at("nonsense").unwrap_err().contains("set qdrant.nodes"));
    }

    #[test]
    fn what_a_node_says_of_its_cluster_is_read() {
        let recorded = r#"{"status":"enabled","peer_id":8179168769462515,"peers":{"5023857323839849":{"uri":"http://127.0.0.1:6362/"},"8179168769462515":{"uri":"http://127.0.0.1:6361/"}},"raft_info":{"term":1,"commit":88,"pending_operations":0,"leader":8179168769462515,"role":"Leader","is_voter":true}}"#;
        let status: ClusterStatus = serde_json::from_str(recorded).unwrap();
        assert!(status.is_enabled());
        assert_eq!((status.peer_id, status.peers.len()), (Some(8_179_168_769_462_515), 2));
        assert!(status.has_leader() && status.peers() == 2);
        assert_eq!(status.raft_info.unwrap().commit, 88);
        let alone =
            recorded.replace(r#""leader":8179168769462515,"role":"Leader""#, r#""leader":null,"role":null"#);
        assert!(!serde_json::from_str::<ClusterStatus>(&alone).unwrap().has_leader());
        let disabled: ClusterStatus = serde_json::from_str(r#"{"status":"disabled"}"#).unwrap();
        assert!(!disabled.is_enabled() && disabled.has_leader() && disabled.peers() == 1);
    }
}
