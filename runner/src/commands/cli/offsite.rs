//! The command line of copies in other places.

use clap::{Args, Subcommand};

use crate::host::shell::quoted;

/// Where backups are read from.
#[derive(Args)]
pub struct FromArgs {
    /// Read the copies in this offsite place instead of the backup directory, which need not exist
    #[arg(long, value_name = "PLACE")]
    pub from: Option<String>,
    /// With --from: id of the backup directory, if the place has copies of several
    #[arg(long, value_name = "ID", requires = "from")]
    pub repository: Option<String>,
}

impl FromArgs {
    /// These options, to be added to a command that is shown.
    pub fn shown(&self) -> String {
        let given = [("--from", &self.from), ("--repository", &self.repository)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!(" {name} {}", quoted(value))).collect()
    }
}

/// What to do with copies in other places.
#[derive(Subcommand)]
pub enum OffsiteCommand {
    /// Create the restic repository of a place; does nothing if it exists
    Init {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: String,
    },
    /// Copy all good backups that are not there yet, to one place or all
    Copy {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: Option<String>,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// List the copies in one place or all
    List {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read back and check everything in a place
    Check {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: String,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// Apply retention in a place, and remove data that no copy needs
    Prune {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: String,
        /// Allow deleting more than half of a collection's copies
        #[arg(long)]
        yes: bool,
        /// Print the run's report as JSON to stdout
        #[arg(long)]
        json: bool,
    },
    /// Rebuild a lost backup directory, so that it lists the backups in this place
    Recover {
        /// Name of the place in the configuration
        #[arg(value_name = "PLACE")]
        place: String,
        /// Id of the backup directory, if the place has copies of several
        #[arg(long, value_name = "ID")]
        repository: Option<String>,
    },
}
