//! Restores stored archives to collections on a server.
//!
//! A plan is made before any change; `--dry-run` ends there. The snapshot is decoded during the upload and never stored on disk;
//! the request is only completed if its digests are right.

mod again;
mod aliases;
mod by_shard;
mod check;
mod compatibility;
mod corruption;
mod count;
mod describe;
mod differences;
pub mod drill;
mod error;
mod order;
mod params;
mod plan;
mod put;
mod read;
mod run;
pub mod scratch;
mod settle;
mod shard_keys;
mod target;
mod upload;

pub use again::Again;
pub use by_shard::{Placeholder, Step, steps};
pub use check::check_archive;
pub use compatibility::check_version;
pub use corruption::{Recorded, advice, is_corrupt, note, record};
pub use count::Counted;
pub use describe::{as_json, as_text};
pub use differences::{Difference, differences};
pub use error::RestoreError;
pub use order::Destination;
pub use plan::{ByShard, Facts, Plan, PlanOptions, died, plan_all};
pub use read::read_whole;
pub use run::{Announce, NOTHING, RestoreContext, Safety, every, restore};
pub use target::TargetState;
