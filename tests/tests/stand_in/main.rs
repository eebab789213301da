//! The stand-in answers as the recorded servers did, and each of its faults does what it says.

mod client;
mod faults;
mod replay;
mod restoring;
mod serving;
mod sharded;
