//! The simplest collection: its configuration, and the distribution of its points over shards.

use serde_json::{Value, json};

pub(crate) const DEFAULT_PEER_ID: u64 = 8_372_720_498_335_175;

/// Distributes points over shards as evenly as possible.
pub(crate) fn split(points_count: u64, shards: u32) -> Vec<u64> {
    let shards = u64::from(shards.max(1));
    (0..shards).map(|shard| points_count / shards + u64::from(shard < points_count % shards)).collect()
}

/// The recorded configuration with this vector size.
pub(crate) fn plain_config(dimensions: u64, shards: u32) -> Value {
    json!({
        "params": {
            "vectors": { "size": dimensions, "distance": "Cosine" }, "shard_number": shards,
            "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": true,
        },
        "hnsw_config": {
            "m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0,
            "on_disk": false,
        },
        "optimizer_config": {
            "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 2,
            "max_segment_size": null, "memmap_threshold": null, "indexing_threshold": 10000,
            "flush_interval_sec": 5, "max_optimization_threads": null, "prevent_unoptimized": null,
        },
        "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1 },
        "quantization_config": null,
    })
}
