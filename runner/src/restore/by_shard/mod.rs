//! Restoring a backup shard by shard: the collection is made from the recorded configuration, then each shard's archive goes once to a
//! node that holds that shard.

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
