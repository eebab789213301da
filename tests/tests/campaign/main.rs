//! Campaigns: the promises of docs/architecture.md, held against every fault that can be made.
//!
//! Each goes through a list of cases that it counts itself, so that a new operation of the program is a new case without
//! anybody thinking of it. See docs/reliability.md for what is tried and how to repeat it.

mod crash;
mod disk;
mod foreign_text;
mod network;
mod races;
mod soak;
