//! Maps a request to an endpoint.

use hyper::Method;
use percent_encoding::percent_decode_str;

/// The endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Endpoint {
    Root,
    Readyz,
    Healthz,
    Livez,
    Cluster,
    Telemetry,
    Collections,
    CollectionInfo,
    CollectionExists,
    CreateCollection,
    UpdateCollection,
    DeleteCollection,
    Aliases,
    ChangeAliases,
    CollectionAliases,
    CollectionCluster,
    CountPoints,
    ScrollPoints,
    RetrievePoints,
    UpsertPoints,
    DeletePoints,
    CreateSnapshot,
    ListSnapshots,
    DownloadSnapshot,
    DeleteSnapshot,
    UploadSnapshot,
    RecoverSnapshot,
    ShardSnapshot,
    CreateShardSnapshot,
    ListShardSnapshots,
    DownloadShardSnapshot,
    DeleteShardSnapshot,
    UploadShardSnapshot,
    ChangeCollectionCluster,
    CreateIndex,
    DeleteIndex,
    ShardKeys,
    CreateShardKey,
    DeleteShardKey,
    Unknown,
}

impl Endpoint {
    /// Whether it works without a key.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Endpoint::Root | Endpoint::Readyz | Endpoint::Healthz | Endpoint::Livez)
    }

    /// Whether a read-only key is enough.
    pub(crate) fn only_reads(self) -> bool {
        !matches!(
            self,
            Endpoint::CreateCollection
                | Endpoint::UpdateCollection
                | Endpoint::DeleteCollection
                | Endpoint::CreateShardKey
                | Endpoint::DeleteShardKey
                | Endpoint::ChangeAliases
                | Endpoint::CreateSnapshot
                | Endpoint::DeleteSnapshot
                | Endpoint::UploadSnapshot
                | Endpoint::RecoverSnapshot
                | Endpoint::CreateShardSnapshot
                | Endpoint::DeleteShardSnapshot
                | Endpoint::UploadShardSnapshot
                | Endpoint::ChangeCollectionCluster
                | Endpoint::CreateIndex
                | Endpoint::DeleteIndex
                | Endpoint::UpsertPoints
                | Endpoint::DeletePoints
        )
    }
}

/// The endpoint and the decoded names in the path. Names that the path does not contain are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) collection: String,
    /// The shard's id.
    pub(crate) shard: String,
    /// The name of the snapshot or the field.
    pub(crate) item: String,
}

/// Finds the endpoint of a path, without query and prefix.
pub(crate) fn route(method: &Method, path: &str) -> Route {
    let segments: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // Shard endpoints are mapped like those of collections.
    let shard = match segments.as_slice() {
        ["collections", _, "shards", id, "snapshot" | "snapshots", ..] => *id,
        _ => "",
    };
    if !shard.is_empty() {
        segments.remove(3);
    }
    let (endpoint, collection, item) = match (method.as_str(), segments.as_slice()) {
        ("GET", [""]) => (Endpoint::Root, "", ""),
        ("GET", ["readyz"]) => (Endpoint::Readyz, "", ""),
        ("GET", ["healthz"]) => (Endpoint::Healthz, "", ""),
        ("GET", ["livez"]) => (Endpoint::Livez, "", ""),
        ("GET", ["telemetry"]) => (Endpoint::Telemetry, "", ""),
        ("GET", ["cluster"]) => (Endpoint::Cluster, "", ""),
        ("GET", ["aliases"]) => (Endpoint::Aliases, "", ""),
        ("GET", ["collections"]) => (Endpoint::Collections, "", ""),
        ("POST", ["collections", "aliases"]) => (Endpoint::ChangeAliases, "", ""),
        ("GET", ["collections", name]) => (Endpoint::CollectionInfo, *name, ""),
        ("PUT", ["collections", name]) => (Endpoint::CreateCollection, *name, ""),
        ("PATCH", ["collections", name]) => (Endpoint::UpdateCollection, *name, ""),
        ("DELETE", ["collections", name]) => (Endpoint::DeleteCollection, *name, ""),
        ("GET", ["collections", name, "exists"]) => (Endpoint::CollectionExists, *name, ""),
        ("GET", ["collections", name, "aliases"]) => (Endpoint::CollectionAliases, *name, ""),
        ("GET", ["collections", name, "cluster"]) => (Endpoint::CollectionCluster, *name, ""),
        ("POST", ["collections", name, "points", "count"]) => (Endpoint::CountPoints, *name, ""),
        ("POST", ["collections", name, "points", "scroll"]) => (Endpoint::ScrollPoints, *name, ""),
        ("POST", ["collections", name, "points"]) => (Endpoint::RetrievePoints, *name, ""),
        ("PUT", ["collections", name, "points"]) => (Endpoint::UpsertPoints, *name, ""),
        ("POST", ["collections", name, "points", "delete"]) => (Endpoint::DeletePoints, *name, ""),
        ("POST", ["collections", name, "snapshots"]) => (Endpoint::CreateSnapshot, *name, ""),
        ("GET", ["collections", name, "snapshots"]) => (Endpoint::ListSnapshots, *name, ""),
        ("POST", ["collections", name, "snapshots", "upload"]) => (Endpoint::UploadSnapshot, *name, ""),
        ("PUT", ["collections", name, "snapshots", "recover"]) => (Endpoint::RecoverSnapshot, *name, ""),
        ("GET", ["collections", name, "snapshots", file]) => (Endpoint::DownloadSnapshot, *name, *file),
        ("DELETE", ["collections", name, "snapshots", file]) => (Endpoint::DeleteSnapshot, *name, *file),
        ("GET", ["collections", name, "shards"]) => (Endpoint::ShardKeys, *name, ""),
        ("PUT", ["collections", name, "shards"]) => (Endpoint::CreateShardKey, *name, ""),
        ("POST", ["collections", name, "shards", "delete"]) => (Endpoint::DeleteShardKey, *name, ""),
        ("POST", ["collections", name, "cluster"]) => (Endpoint::ChangeCollectionCluster, *name, ""),
        ("PUT", ["collections", name, "index"]) => (Endpoint::CreateIndex, *name, ""),
        ("DELETE", ["collections", name, "index", field]) => (Endpoint::DeleteIndex, *name, *field),
        ("GET", ["collections", name, "shards", "snapshot"]) => (Endpoint::ShardSnapshot, *name, ""),
        ("POST", ["collections", name, "shards", "snapshots"]) => (Endpoint::CreateShardSnapshot, *name, ""),
        ("GET", ["collections", name, "shards", "snapshots"]) => (Endpoint::ListShardSnapshots, *name, ""),
        ("POST", ["collections", name, "shards", "snapshots", "upload"]) => {
            (Endpoint::UploadShardSnapshot, *name, "")
        }
        ("GET", ["collections", name, "shards", "snapshots", file]) => {
            (Endpoint::DownloadShardSnapshot, *name, *file)
        }
        ("DELETE", ["collections", name, "shards", "snapshots", file]) => {
            (Endpoint::DeleteShardSnapshot, *name, *file)
        }
        _ => (Endpoint::Unknown, "", ""),
    };
    Route { endpoint, collection: collection.to_owned(), shard: shard.to_owned(), item: item.to_owned() }
}
