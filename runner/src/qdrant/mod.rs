//! The Qdrant client: the few requests that backups and restores need, and how they fail.

mod answers;
mod changes;
mod client;
mod download;
mod error;
mod points;
mod retry;
mod snapshot_name;
mod transport;
mod upload;

pub use answers::{
    Alias, CollectionCluster, CollectionInfo, RemoteShard, Shard, Snapshot, SnapshotList, UpdateQueue,
};
pub use changes::AliasChange;
pub use client::{Client, CreateError};
pub use download::{Download, NoRest};
pub use error::Error;
pub use snapshot_name::{InvalidSnapshotName, SnapshotName};
pub use transport::{ClientOptions, TransportError, http_client, root_cause};
pub use upload::{Upload, UploadError, UploadProgress};
