//! End-to-end tests of the built programs.

mod backup;
mod client;
mod cluster;
mod creation;
mod download;
mod guards;
mod import;
mod interruptions;
mod options;
mod prune;
mod scene;
mod secrets;
