//! Chooses the nodes for the shards of a new collection or key: evenly like Qdrant, but not randomly.

/// The nodes of the replicas, for each shard. A node has at most one, so there may be fewer replicas than requested.
pub(crate) fn spread(shards: u32, replication_factor: u32, nodes: &[usize]) -> Vec<Vec<usize>> {
    let replicas = (replication_factor as usize).clamp(1, nodes.len().max(1));
    let mut around = nodes.iter().copied().cycle();
    (0..shards).map(|_| around.by_ref().take(replicas).collect()).collect()
}
