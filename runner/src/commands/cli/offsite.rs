//! The command line of copies in other places.

use clap::{Args, Subcommand};

/// Where backups are read from.
#[derive(Args)]
pub struct FromArgs {
    /// Read the copies in this place (offsite) instead of the backup directory, which need not be there
    #[arg(long, value_name = "PLACE")]
    pub from: Option<String>,
    /// With --from: copies of this backup directory, by its id, where there are those of several
    #[arg(long, value_name = "ID", requires = "from")]
    pub repository: Option<String>,
}

/// What to do with copies in other places.
#[derive(Subcommand)]
pub enum OffsiteCommand {
    /// Make a place a restic repository; changes nothing if it is one
    Init {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: String,
    },
    /// Copy every good backup that is not there yet, to one place or all
    Copy {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: Option<String>,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// List the copies that are there, in one place or all
    List {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read back everything in a place
    Check {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: String,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// Apply retention in a place, and remove the data that no copy needs
    Prune {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: String,
        /// Delete also more than half of a collection's copies
        #[arg(long)]
        yes: bool,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// Make the backup directory anew, knowing the backups that this place has copies of
    Recover {
        /// The place, as the configuration calls it
        #[arg(value_name = "PLACE")]
        place: String,
        /// Those of this backup directory, by its id, where there are copies of several
        #[arg(long, value_name = "ID")]
        repository: Option<String>,
    },
}
