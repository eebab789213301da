//! The nodes for the shards of a new collection or key: evenly spread as in Qdrant, but not at random.

/// For each shard the nodes of its replicas: never two on one node, so with fewer nodes than replicas there are fewer replicas.
pub(crate) fn spread(shards: u32, replication_factor: u32, nodes: &[usize]) -> Vec<Vec<usize>> {
    let replicas = (replication_factor as usize).clamp(1, nodes.len().max(1));
    let mut around = nodes.iter().copied().cycle();
    (0..shards).map(|_| around.by_ref().take(replicas).collect()).collect()
}
