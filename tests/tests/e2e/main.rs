//! End-to-end tests of the built programs.

#![cfg_attr(
    not(feature = "outside"),
    allow(dead_code, unused_imports, reason = "the tests that need other programs or root use the rest")
)]

#[cfg(feature = "outside")]
mod as_root;
mod backup;
mod by_shard;
mod client;
mod cluster;
mod cluster_by_hand;
mod command_line;
mod containers;
mod corruption;
mod counts;
mod creation;
mod custom_sharding;
mod directory;
mod documents;
mod download;
mod drill;
mod dropped;
mod economy;
mod examples;
mod export;
mod guards;
mod hooks;
mod hostile_names;
mod import;
mod interruptions;
mod jobs;
mod kills;
#[cfg(feature = "outside")]
mod kubernetes;
mod late;
mod locking;
mod looking;
mod lost_answers;
mod lost_uploads;
mod memory;
mod modes;
#[cfg(feature = "outside")]
mod odd_disks;
#[cfg(feature = "outside")]
mod offsite;
#[cfg(feature = "outside")]
mod offsite_faults;
mod options;
mod pipes;
mod points;
mod prune;
mod recovery;
mod refused;
mod restore;
mod resume;
mod run;

mod schedule;
mod scripts;
mod secrets;
mod setup;
mod status_file;
mod strict_mode;
mod tls;
mod traces;
mod typed;
mod unknown;
mod upgrade;
mod verify;
