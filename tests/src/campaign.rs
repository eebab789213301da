//! Counts what a fault campaign tried, for `docs/reliability.md`.
//!
//! A campaign runs many cases and asserts on each. It counts them here and writes the counts to a file, from which
//! `cargo xtask campaign` makes the table of that page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qdrant_backup_shared::atomic;

/// How many cases of a campaign run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// For the tests of every change: the same sample each time, spread over all cases.
    Short,
    /// Every case.
    Full,
}

impl Extent {
    /// `QDRANT_BACKUP_CAMPAIGN=full` asks for every case.
    ///
    /// # Panics
    /// When the variable has another value.
    pub fn asked_for() -> Self {
        match std::env::var("QDRANT_BACKUP_CAMPAIGN").as_deref() {
            Err(_) => Self::Short,
            Ok("full") => Self::Full,
            Ok(other) => panic!("QDRANT_BACKUP_CAMPAIGN is {other:?}; it can be \"full\" or unset"),
        }
    }

    /// Whether to run case number `case`. A short campaign runs every `one_in`th case.
    pub fn tries(self, case: usize, one_in: usize) -> bool {
        self == Self::Full || case.is_multiple_of(one_in)
    }
}

/// The counts of one campaign.
#[derive(Debug)]
pub struct Tally {
    campaign: &'static str,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    /// No counts yet. `name` is the name of the file and of the page's row.
    pub fn of(campaign: &'static str) -> Self {
        Self { campaign, counts: BTreeMap::new() }
    }

    /// Counts one more of `what`, for example "states after a power failure".
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// Adds `number` to the count of `what`.
    pub fn add(&mut self, what: &str, more: u64) {
        *self.counts.entry(what.to_owned()).or_default() += more;
    }

    /// Prints the counts, and writes them to the directory `QDRANT_BACKUP_CAMPAIGN_DIR` if that is set.
    ///
    /// # Panics
    /// When nothing was tried (which proves nothing), or the file cannot be written.
    pub fn done(self) {
        assert!(self.counts.values().sum::<u64>() > 0, "campaign {} tried nothing", self.campaign);
        for (what, count) in &self.counts {
            println!("{}: {count} {what}", self.campaign);
        }
        if let Some(directory) = std::env::var_os("QDRANT_BACKUP_CAMPAIGN_DIR") {
            let file = PathBuf::from(directory).join(format!("{}.json", self.campaign));
            let text = serde_json::to_string_pretty(&self.counts).expect("JSON");
            atomic::write(&file, 0o644, (text + "\n").as_bytes())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}
