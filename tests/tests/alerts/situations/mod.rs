//! What can happen to a machine's backups: the alert, its receiver, and how it resolves.

mod backups;
mod exporter;

use crate::chain::Chain;
use crate::site::{CRON, Site};

/// A situation and its test.
pub struct Situation {
    /// The machine's name.
    pub name: &'static str,
    /// The machine's schedule.
    pub cron: &'static str,
    pub run: fn(&mut Site, &Chain),
}

const fn situation(name: &'static str, run: fn(&mut Site, &Chain)) -> Situation {
    Situation { name, cron: CRON, run }
}

/// Every situation.
pub const SITUATIONS: &[Situation] = &[
    situation("good", backups::a_good_run),
    situation("failing", backups::a_failing_qdrant),
    situation("corrupted", backups::a_corrupted_archive),
    situation("deleted", backups::a_deleted_archive),
    situation("killed", backups::a_killed_run),
    situation("changed", backups::another_server),
    situation("undrilled", backups::no_drill_that_passes),
    situation("dead", exporter::a_dead_exporter),
    situation("fresh", exporter::a_repository_before_its_first_run),
    situation("misconfigured", exporter::a_web_configuration_that_turned_bad),
    situation("uninitialised", exporter::no_repository),
    // A backup is too old after ten seconds.
    Situation { name: "late", cron: "*/10 * * * *", run: backups::no_run_any_more },
];
