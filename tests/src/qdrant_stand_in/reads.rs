//! The points that a client sees when it queries one node: those of an active replica of each shard.

use std::ops::Range;

use super::collection::Collection;
use super::node::Node;
use super::shard::{Shard, ranges};
use super::state::State;

/// The readable points.
pub(crate) struct Readable {
    /// The result of a count.
    pub(crate) count: u64,
    /// Their indices, ascending and without duplicates.
    ranges: Vec<Range<u64>>,
}

impl Readable {
    /// At most `limit` points from index `from` on, and the next index.
    pub(crate) fn page(&self, from: u64, limit: u64) -> (Vec<u64>, Option<u64>) {
        let mut page: Vec<u64> = Vec::new();
        for range in &self.ranges {
            for index in range.start.max(from)..range.end {
                if page.len() as u64 == limit {
                    return (page, Some(index));
                }
                page.push(index);
            }
        }
        (page, None)
    }

    /// All indices.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(Clone::clone)
    }

    pub(crate) fn has(&self, index: u64) -> bool {
        self.ranges.iter().any(|range| range.contains(&index))
    }
}

/// The points readable at this node, or the server's error if a shard cannot be read.
pub(crate) fn readable(state: &State, collection: &Collection, node: usize) -> Result<Readable, String> {
    let mut ranges = ranges(&collection.shards);
    for (shard, range) in collection.shards.iter().zip(&mut ranges) {
        if let Some(held) = held(state, shard, node)? {
            range.end = range.start + held.min(range.end - range.start);
        }
    }
    let mut count: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    if let Some(most) = collection.hidden_but(count) {
        count = most;
        let mut left = most;
        for range in &mut ranges {
            range.end = range.start + left.min(range.end - range.start);
            left -= range.end - range.start;
        }
    }
    let mut readable = Readable { count, ranges: merged(ranges) };
    if !collection.points.written.is_empty() {
        let more = collection.written_more(|index| readable.has(index));
        readable.count = readable.count.saturating_add_signed(more);
    }
    Ok(readable)
}

/// How many points the answering replica has, if not all.
fn held(state: &State, shard: &Shard, node: usize) -> Result<Option<u64>, String> {
    if !state.cluster_enabled {
        return Ok(None);
    }
    let readable = || shard.replicas.iter().filter(|replica| replica.is_readable());
    let up = |node: usize| state.nodes.get(node).filter(|node| !node.down);
    let near = readable().find(|replica| replica.node == node);
    if let Some(replica) = near.or_else(|| readable().find(|replica| up(replica.node).is_some())) {
        return Ok(replica.holds);
    }
    let peer_id = state.nodes.get(node).map_or(0, |node| node.peer_id);
    let gone: Vec<&Node> = readable().filter_map(|replica| state.nodes.get(replica.node)).collect();
    if gone.is_empty() {
        return Err(format!(
            "Service internal error: The replica set for shard {} on peer {peer_id} does not have enough active replicas",
            shard.id
        ));
    }
    let errors: String = gone
        .iter()
        .map(|node| {
            format!(
                "\n  Service internal error: Failed to connect to {}, error: transport error",
                node.p2p_uri
            )
        })
        .collect();
    Err(format!(
        "Service internal error: {number} of {number} read operations failed:{errors}",
        number = gone.len()
    ))
}

fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
