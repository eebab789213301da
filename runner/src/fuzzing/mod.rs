//! Fuzz targets for the runner's parsers of untrusted input: from servers, other programs, users and its own
//! archives. See the module with the same name in the shared crate.

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

/// All targets of this crate.
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
