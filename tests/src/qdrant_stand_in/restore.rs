//! Restores a snapshot into a collection.

use super::collection::Collection;
use super::content::Content;
use super::origin::Origin;
use super::shard::Shard;

impl Origin {
    /// The restored collection on a single node.
    pub(crate) fn into_collection(self, name: &str, content: Content) -> Collection {
        let counts = (0..self.shard_count()).map(|id| self.local_shards.get(&id).copied().unwrap_or(0));
        let mut collection = Collection::new(name, self.config.clone(), counts.collect(), content);
        if collection.is_custom() {
            // Qdrant does not create shard keys from a snapshot, and therefore no shards.
            collection.shards.clear();
            collection.generate_content();
        }
        collection.payload_indexes = self.payload_indexes;
        collection.points = self.points;
        collection
    }

    /// `shard` after the restore onto `node`. It changes if the file has data for its id. It keeps its key, even if
    /// the file has another one.
    pub(crate) fn shard_on(&self, shard: &Shard, node: usize) -> Option<Shard> {
        let count = self.local_shards.get(&shard.id)?;
        Some(Shard { key: shard.key.clone(), ..Shard::on_node(shard.id, *count, node) })
    }
}
