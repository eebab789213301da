//! End-to-end tests of the built programs.

mod backup;
mod command_line;
mod directory;
mod disks;
mod kills;
mod locking;
mod memory;
mod modes;
mod running;
mod status_file;
