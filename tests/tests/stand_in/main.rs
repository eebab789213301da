//! The stand-in answers like the recorded servers, and each of its faults works as documented.

mod changes;
mod client;
mod clusters;
mod faults;
mod replay;
mod restoring;
mod serving;
mod shard_snapshots;
mod sharded;
