//! The Qdrant client: the few requests that backups need, and how they fail.

mod answers;
mod client;
mod download;
mod error;
mod retry;
mod snapshot_name;
mod transport;

pub use answers::{Alias, CollectionCluster, CollectionInfo, RemoteShard, Shard, Snapshot, SnapshotList};
pub use client::{Client, CreateError};
pub use download::Download;
pub use error::Error;
pub use snapshot_name::{InvalidSnapshotName, SnapshotName};
pub use transport::{ClientOptions, TransportError};
