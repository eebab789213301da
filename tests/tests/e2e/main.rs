//! End-to-end tests of the built programs.

mod backup;
mod client;
mod cluster;
mod command_line;
mod creation;
mod directory;
mod disks;
mod download;
mod drill;
mod export;
mod guards;
mod import;
mod interruptions;
mod kills;
mod locking;
mod memory;
mod modes;
mod options;
mod prune;
mod recovery;
mod restore;
mod running;
mod scene;
mod secrets;
mod status_file;
mod verify;
