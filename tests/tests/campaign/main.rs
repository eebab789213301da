//! Campaigns test the promises of docs/architecture.md with every fault that can be injected.
//!
//! Each campaign generates its own list of cases, so that a new operation of the program becomes a new case
//! automatically. See docs/reliability.md for what is tested and how to repeat a case.

mod crash;
mod disk;
mod foreign_text;
mod network;
mod races;
mod soak;
