//! The stand-in answers as the recorded servers did, and each of its faults does what it says.

mod changes;
mod client;
mod clusters;
mod faults;
mod replay;
mod restoring;
mod serving;
mod shard_snapshots;
mod sharded;
