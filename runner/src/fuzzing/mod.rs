//! The runner's parsers of untrusted input, for fuzzing: from servers, other programs, people and its own archives.
//! As in the shared crate's module of this name.

mod archives;
mod names;
mod schedules;

use qdrant_backup_shared::fuzzing::Target;

pub use self::archives::{gzip, snapshot, zstd};
pub use self::names::server_name;
pub use self::schedules::cron;
pub use crate::offsite::fuzzing::restic_answer;
pub use crate::points::fuzzing::points;
pub use crate::qdrant::fuzzing::{certificate, qdrant_answer};
pub use crate::settings::fuzzing::{configuration, env_file};

/// All of this crate.
pub const TARGETS: &[Target] = &[
    ("certificate", certificate),
    ("configuration", configuration),
    ("cron", cron),
    ("env_file", env_file),
    ("gzip", gzip),
    ("points", points),
    ("qdrant_answer", qdrant_answer),
    ("restic_answer", restic_answer),
    ("server_name", server_name),
    ("snapshot", snapshot),
    ("zstd", zstd),
];
