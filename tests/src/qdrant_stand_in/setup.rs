//! The initial state of a stand-in.

use std::net::Ipv4Addr;

use super::aftermath::Aftermath;
use super::collection::Collection;
use super::faults::{Fault, Faults};
use super::node::Node;
use super::placement::spread;
use super::shard::Replica;
use super::state::State;
use super::tls::TlsSetup;

/// What a stand-in starts with. Everything except port, prefix and TLS can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The port on 127.0.0.1; 0 selects a free one.
    pub port: u16,
    /// The prefix of all paths, for example `/qdrant`, as behind a proxy.
    pub path_prefix: String,
    /// TLS settings. None for plain HTTP.
    pub tls: Option<TlsSetup>,
    /// The server's state.
    pub state: State,
    /// The faults.
    pub faults: Faults,
}

impl Setup {
    /// A server of version 1.18.3 without collections.
    pub fn empty() -> Setup {
        Setup::empty_of("1.18.3")
    }

    /// A server of this version without collections.
    pub fn empty_of(version: &str) -> Setup {
        Setup {
            port: 0,
            path_prefix: String::new(),
            tls: None,
            state: State::new(version),
            faults: Faults::default(),
        }
    }

    /// A cluster of this many nodes without collections, all with the same port: the first at 127.0.0.1, the second
    /// at 127.0.0.2, …. Their p2p URIs are `http://127.0.0.N:6335/`. For [`super::StandInCluster::start_with`].
    pub fn cluster(nodes: u8) -> Setup {
        Setup::empty().in_cluster(nodes)
    }

    /// A cluster of this many nodes without collections, all at 127.0.0.1 with different, unrelated ports. Their p2p
    /// URIs are `http://127.0.0.1:6335/`, `…:6345/`, ….
    pub fn cluster_on_ports(nodes: u8) -> Setup {
        let node = |node: u8| {
            let port = 6325 + 10 * u32::from(node);
            Node::new(peer_id(node), &format!("http://127.0.0.1:{port}/"))
        };
        Setup::empty().nodes((1..=nodes).map(node))
    }

    /// With as many nodes as [`Setup::cluster`]. The shards of existing collections stay on the first.
    pub fn in_cluster(self, nodes: u8) -> Setup {
        self.nodes((1..=nodes).map(|node| {
            let host = Ipv4Addr::new(127, 0, 0, node);
            Node::new(peer_id(node), &format!("http://{host}:6335/")).at(host)
        }))
    }

    /// With these nodes, in cluster mode.
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = Node>) -> Setup {
        self.state.cluster_enabled = true;
        self.state.nodes = nodes.into_iter().collect();
        self
    }

    /// With this collection, its shards distributed over the nodes with this many replicas each.
    pub fn spread(self, collection: Collection, replication_factor: u32) -> Setup {
        let mut collection = collection;
        let nodes: Vec<usize> = (0..self.state.nodes.len()).collect();
        let placed = spread(collection.shards.len() as u32, replication_factor, &nodes);
        for (shard, nodes) in collection.shards.iter_mut().zip(placed) {
            shard.replicas = nodes.into_iter().map(Replica::active).collect();
        }
        if self.state.cluster_enabled {
            collection.config["params"]["replication_factor"] = replication_factor.into();
        }
        self.collection(collection)
    }

    /// With a peer that `GET /cluster` lists and that does not exist.
    pub fn stranger(mut self, peer_id: u64, p2p_uri: &str) -> Setup {
        self.state.strangers.push((peer_id, p2p_uri.to_owned()));
        self
    }

    /// What happens after an upload into a shard with several replicas.
    pub fn after_shard_upload(mut self, aftermath: Aftermath) -> Setup {
        self.state.after_shard_upload = aftermath;
        self
    }

    /// A server of version 1.18.3 with the genuine collections: `minilm_general` (100 points),
    /// `mixtral_embeddings` (250 points, 2 shards, alias `prod`), `empty` and `named-and-sparse` (30).
    pub fn sample() -> Setup {
        Setup::sample_of("1.18.3")
    }

    /// The same collections from a server of version `1.18.3` or `1.14.1`.
    ///
    /// # Panics
    /// When there are no genuine snapshots of this version.
    pub fn sample_of(version: &str) -> Setup {
        let mut setup = Setup::empty_of(version).alias("prod", "mixtral_embeddings");
        for name in ["minilm_general", "mixtral_embeddings", "empty", "named-and-sparse"] {
            match Collection::genuine(version, name) {
                Ok(collection) => setup = setup.collection(collection),
                Err(error) => panic!("no sample of {version}: {error}"),
            }
        }
        setup
    }

    /// With this collection.
    pub fn collection(mut self, collection: Collection) -> Setup {
        self.state.add_collection(collection);
        self
    }

    /// With this alias.
    pub fn alias(mut self, alias: &str, collection: &str) -> Setup {
        self.state.aliases.insert(alias.to_owned(), collection.to_owned());
        self
    }

    /// With this fault.
    pub fn fault(mut self, fault: Fault) -> Setup {
        self.faults.add(fault);
        self
    }

    /// With this port.
    pub fn port(self, port: u16) -> Setup {
        Setup { port, ..self }
    }

    /// With this path prefix.
    pub fn path_prefix(self, prefix: &str) -> Setup {
        Setup { path_prefix: prefix.trim_end_matches('/').to_owned(), ..self }
    }

    /// With HTTPS and a certificate from a new authority.
    pub fn tls(self) -> Setup {
        self.tls_as(TlsSetup::of_authority())
    }

    /// With these TLS settings.
    pub fn tls_as(self, tls: TlsSetup) -> Setup {
        Setup { tls: Some(tls), ..self }
    }

    /// Every request needs this key (or the read-only key).
    pub fn api_key(mut self, key: &str) -> Setup {
        self.state.api_key = Some(key.to_owned());
        self
    }

    /// A key that may only read.
    pub fn read_only_key(mut self, key: &str) -> Setup {
        self.state.read_only_key = Some(key.to_owned());
        self
    }

    /// Snapshots are stored in S3: no checksums, and downloads without length, ETag and ranges.
    pub fn s3(mut self) -> Setup {
        self.state.s3 = true;
        self
    }

    /// With this peer id.
    pub fn peer_id(mut self, peer_id: u64) -> Setup {
        self.state.nodes.iter_mut().take(1).for_each(|node| node.peer_id = peer_id);
        self
    }
}

/// As long as genuine ids.
fn peer_id(node: u8) -> u64 {
    1_000_000_000_000_000 * u64::from(node) + 8_372_720_498_335
}
