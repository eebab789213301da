//! The Qdrant client: the few requests that backups and restores need, and how they fail.

mod alive;
mod answers;
mod changes;
mod client;
mod cluster;
mod counting;
mod create;
mod download;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod limit;
mod piece;
mod points;
mod protocol;
mod retry;
pub mod sample;
mod shard_table;
mod snapshot_name;
mod subject;
mod telemetry;
mod tls;
mod transport;
mod transport_error;
mod upload;
mod version;
mod whole_points;

pub use answers::{
    Alias, CollectionCluster, CollectionInfo, RemoteShard, Shard, Snapshot, SnapshotList, UpdateQueue,
};
pub use changes::AliasChange;
pub use client::{Client, CreateError, Listing};
pub use cluster::{ClusterNode, ClusterStatus, Nodes, RaftInfo};
pub use create::{CreateBody, PayloadIndex, create_keys, replication_factor};
pub use download::{Download, NoRest};
pub use error::Error;
pub use limit::Limit;
pub use piece::Piece;
pub use shard_table::{Replicas, ShardTable};
pub use snapshot_name::{InvalidSnapshotName, SnapshotName};
pub use subject::Subject;
pub use telemetry::Telemetry;
pub use tls::{Certificate, Identity, certificates};
pub use transport::{ClientOptions, http_client, without_tls_riddles};
pub use transport_error::TransportError;
pub use upload::{Upload, UploadError, UploadProgress};
pub use version::minor_version;
pub use whole_points::{Existing, Page, PageWanted, WholePoint};
