//! `cargo xtask soak`: runs, faults, kills, restores and scrapes at once, for as long as one likes; then a full account.

use crate::{sh::Result, workspace};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// For how long, apart from the account at the end
    #[arg(long, value_name = "N")]
    minutes: std::num::NonZeroU32,
    /// Repeat what this seed does [default: another each time; it is printed]
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
