//! `cargo xtask soak`: runs, faults, kills, restores and scrapes all at once, for any length of time, followed by a
//! complete check.

use crate::{sh::Result, workspace};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// How long to run, without the check at the end
    #[arg(long, value_name = "N")]
    minutes: std::num::NonZeroU32,
    /// Repeat a run with this seed [default: random; it is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked", "--all-features"]).run()?;
    let mut test = workspace::cargo()
        .args(["test", "--workspace", "--locked", "--all-features", "--test", "campaign"])
        .args(["nothing_is_lost_in_a_long_time_either", "--", "--ignored", "--nocapture"])
        .env("QDRANT_BACKUP_SOAK_MINUTES", opts.minutes.to_string())
        .env("QDRANT_BACKUP_BIN_DIR", workspace::bin_dir("debug")?);
    if let Some(seed) = opts.seed {
        test = test.env("QDRANT_BACKUP_TEST_SEED", seed.to_string());
    }
    test.run()
}
