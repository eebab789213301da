//! Restores a backup shard by shard: creates the collection from the recorded configuration, then uploads each shard's archive
//! once to a node with that shard.

mod keys;
mod make;
mod nodes;
mod obstacles;
mod progress;
mod put;

pub use keys::{Placeholder, Step, steps};
pub use obstacles::{check_begun, obstacles};
pub use progress::{Begun, begun};
pub use put::put;
