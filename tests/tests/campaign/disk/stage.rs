//! A separate server and place for each case, copied from those of its scenario.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::Place;
use e2e::qdrant_stand_in::{Setup, StandIn, StandInCluster};

/// A server and a place.
pub struct Stage {
    pub servers: Servers,
    pub place: Place,
}

pub enum Servers {
    One(StandIn),
    Cluster(StandInCluster),
}

/// The ids of the good backups of each collection.
pub type Backups = BTreeMap<String, Vec<String>>;

impl Servers {
    fn start(setup: Setup, is_cluster: bool) -> Self {
        if is_cluster {
            Self::Cluster(StandInCluster::start_with(setup))
        } else {
            Self::One(StandIn::start(setup))
        }
    }

    fn url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Cluster(cluster) => cluster.urls()[0].clone(),
        }
    }

    /// The names of all snapshots on the server.
    pub fn snapshots(&self) -> Vec<String> {
        let all = match self {
            Self::One(server) => server.all_snapshots(),
            Self::Cluster(cluster) => cluster.all_snapshots(),
        };
        all.into_iter().filter_map(|entry| Some(entry.rsplit_once(": ")?.1.to_owned())).collect()
    }
}

impl Stage {
    /// A server with `setup`, and an empty place.
    pub fn empty(setup: Setup, is_cluster: bool) -> Self {
        let servers = Servers::start(setup, is_cluster);
        let place = Place::new(&servers.url());
        Self { servers, place }
    }

    /// Copies everything from the place of `other`.
    pub fn copy(&self, other: &Self) {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(other.place.beside(".")).arg(self.place.beside("."));
        assert!(copy.status().expect("cp runs").success(), "the place cannot be copied");
    }

    /// The good backups, each of them proven.
    pub fn backups(&self) -> Backups {
        let proven = self.place.prove();
        let all: Backups = self
            .place
            .catalog()
            .collections
            .iter()
            .map(|(name, backups)| {
                (name.to_string(), backups.iter().map(|backup| backup.backup_id.to_string()).collect())
            })
            .collect();
        assert_eq!(all.values().map(Vec::len).sum::<usize>(), proven);
        all
    }
}
