//! What becomes of a snapshot that is restored.

use super::collection::Collection;
use super::content::Content;
use super::origin::Origin;
use super::shard::Shard;

impl Origin {
    /// The collection on a single node.
    pub(crate) fn into_collection(self, name: &str, content: Content) -> Collection {
        let counts = (0..self.shard_count()).map(|id| self.local_shards.get(&id).copied().unwrap_or(0));
        let mut collection = Collection::new(name, self.config.clone(), counts.collect(), content);
        if collection.is_custom() {
            // Qdrant makes no shard key from a snapshot, and so no shard.
            collection.shards.clear();
            collection.generate_content();
        }
        collection.payload_indexes = self.payload_indexes;
        collection.points = self.points;
        collection
    }

    /// `shard` as it is after restoring onto `node`: another if the file has data for that id. Its key stays, whatever the
    /// file's is.
    pub(crate) fn shard_on(&self, shard: &Shard, node: usize) -> Option<Shard> {
        let count = self.local_shards.get(&shard.id)?;
        Some(Shard { key: shard.key.clone(), ..Shard::on_node(shard.id, *count, node) })
    }
}
