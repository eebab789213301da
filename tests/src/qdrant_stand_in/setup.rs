//! How a stand-in shall be when it starts.

use super::collection::Collection;
use super::faults::{Fault, Faults};
use super::state::State;
use super::tls::TlsSetup;

/// What a stand-in starts with. Everything but port, prefix and TLS can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What all paths begin with, `/qdrant` for example, as behind a proxy.
    pub path_prefix: String,
    /// How to speak HTTPS; plain HTTP without.
    pub tls: Option<TlsSetup>,
    /// What the server knows.
    pub state: State,
    /// What goes wrong.
    pub faults: Faults,
}

impl Setup {
    /// A server of version 1.18.3 without collections.
    pub fn empty() -> Setup {
        Setup::empty_of("1.18.3")
    }

    /// A server of that version without collections.
    pub fn empty_of(version: &str) -> Setup {
        Setup {
            port: 0,
            path_prefix: String::new(),
            tls: None,
            state: State::new(version),
            faults: Faults::default(),
        }
    }

    /// A server of version 1.18.3 with the genuine collections: `minilm_general` (100 points),
    /// `mixtral_embeddings` (250 points, 2 shards, alias `prod`), `empty` and `named-and-sparse` (30).
    pub fn sample() -> Setup {
        Setup::sample_of("1.18.3")
    }

    /// The same collections from a server of version `1.18.3` or `1.14.1`.
    ///
    /// # Panics
    /// When there are no genuine snapshots of that version.
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

    /// On this port.
    pub fn port(self, port: u16) -> Setup {
        Setup { port, ..self }
    }

    /// Below this path.
    pub fn path_prefix(self, prefix: &str) -> Setup {
        Setup { path_prefix: prefix.trim_end_matches('/').to_owned(), ..self }
    }

    /// With HTTPS and a certificate of a fresh authority.
    pub fn tls(self) -> Setup {
        self.tls_as(TlsSetup::of_authority())
    }

    /// With HTTPS like this.
    pub fn tls_as(self, tls: TlsSetup) -> Setup {
        Setup { tls: Some(tls), ..self }
    }

    /// Every request needs this key (or the read-only one).
    pub fn api_key(mut self, key: &str) -> Setup {
        self.state.api_key = Some(key.to_owned());
        self
    }

    /// A key that may only read.
    pub fn read_only_key(mut self, key: &str) -> Setup {
        self.state.read_only_key = Some(key.to_owned());
        self
    }

    /// Snapshots lie in S3: no checksums, downloads without length, ETag and ranges.
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
