//! The command line. Options that are settings are declared with them, in `shared::config_file::keys`.

mod given;
mod manner;
mod offsite;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::given::{Given, PROGRAM};
pub use self::manner::Doer;
pub use self::offsite::{FromArgs, OffsiteCommand};
use crate::choice::Which;
use crate::settings::Opts;

/// Backs up Qdrant collections through the snapshot API: one shot, for cron or a systemd timer.
#[derive(Parser)]
#[command(name = PROGRAM, version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 success, 1 failed, 2 usage, 3 some collections failed, or (compare) different, \
    4 a backup was found bad, 5 too old (status), \
    75 another run holds the lock, 78 configuration, 130/143 interrupted.\n\
    Every option can also be set in backup.yaml, in an env file or in the environment: `qdrant-backup config show`."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// Configuration file [default: /etc/qdrant-backup/backup.yaml, else /opt/qdrant/config/backup.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of KEY=VALUE lines, read below the environment and above the configuration file
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Log only warnings and errors, and show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Ask for what is needed, try it, write backup.yaml and make the backup directory a repository
    Setup(SetupArgs),
    /// Make a directory a repository of backups; changes nothing if it is one
    Init,
    /// Back up all collections, or some
    Backup(BackupArgs),
    /// Delete backups that have expired, or what else is not needed any more
    Prune(PruneArgs),
    /// Keep a backup whatever retention says
    Hold(HoldArgs),
    /// Let retention decide again about a backup that is on hold
    Unhold(UnholdArgs),
    /// Make backups of snapshots that other tools downloaded, or of archives that have lost their manifest
    Import(ImportArgs),
    /// Check stored backups: every byte against its digest, and what is inside
    Verify(VerifyArgs),
    /// Write a backup's snapshot to a file or to stdout, as Qdrant takes it
    Export(ExportArgs),
    /// Restore collections from backups
    Restore(RestoreArgs),
    /// Say which points differ between a backup and the live collection, or another backup; exit 3 if some do
    Compare(CompareArgs),
    /// Restore backups into a scratch collection, compare them, and remove it again
    Drill(DrillArgs),
    /// Back up, verify, copy elsewhere and prune in one go: what cron or a timer calls
    Run(RunArgs),
    /// List the backups in the directory
    List(ListArgs),
    /// Show the last run and each collection's newest backup; exit 5 if one is too old
    Status(StatusArgs),
    /// Copies in other places: make, list, check and prune them, and begin anew from them
    #[command(subcommand)]
    Offsite(OffsiteCommand),
    /// Say that the server that is backed up now is the right one, after a move or a rebuild
    AcceptSource,
    /// Print or install the entry by which cron or systemd starts `run` on schedule
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Options of `setup`. Where to write is `--config`.
#[derive(Args)]
pub struct SetupArgs {
    /// When backups are made, as a cron expression [default: 0 2 * * *]
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,
    /// Whose clock that goes by: local, or a name such as Europe/Berlin [default: local]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// For how many days backups are kept [default: 7]
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<std::num::NonZeroU32>,
    /// Whom the backup directory is to belong to; only for root [default: qdrant-backup, if there is such a user]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    pub yes: bool,
    /// Make no trial backup of the smallest collection
    #[arg(long)]
    pub no_trial: bool,
    /// Replace a backup.yaml that has settings; it is kept as backup.yaml.old
    #[arg(long)]
    pub force: bool,
}

/// Options of `backup`.
#[derive(Args)]
pub struct BackupArgs {
    /// Back up only this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    #[command(flatten)]
    given: Given,
    /// Print the run's report as JSON to stdout
    #[arg(long)]
    pub json: bool,
}

/// Options of `prune`.
#[derive(Args)]
pub struct PruneArgs {
    /// Show each backup's fate and the reasons for it, and change nothing
    #[arg(long, conflicts_with_all = ["orphans", "bad", "server_leftovers", "retire"])]
    pub dry_run: bool,
    /// Prune, or look for bad backups of, only this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME", conflicts_with_all = ["orphans", "server_leftovers", "retire"])]
    pub collections: Vec<String>,
    /// Delete what is listed without this; also more than half of a collection's good backups
    #[arg(long)]
    pub yes: bool,
    /// List archives without a manifest instead; delete them with --yes
    #[arg(long, conflicts_with_all = ["bad", "server_leftovers", "retire"])]
    pub orphans: bool,
    /// List backups that are incomplete or failed verification instead; delete them with --yes
    #[arg(long, conflicts_with_all = ["server_leftovers", "retire"])]
    pub bad: bool,
    /// With --bad --yes: also those of collections that have no good backup, which may be all that is left
    #[arg(long, requires_all = ["bad", "yes"])]
    pub even_the_last: bool,
    /// List our snapshots that are left on the server instead; delete them with --yes
    #[arg(long, conflicts_with = "retire")]
    pub server_leftovers: bool,
    /// Expect no more backups of collections that are gone from the server, by names or globs; delete all their backups with --yes
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub retire: Vec<String>,
    #[command(flatten)]
    given: Given,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["orphans", "bad", "server_leftovers", "retire"])]
    pub json: bool,
}

/// Options of `hold`.
#[derive(Args)]
pub struct HoldArgs {
    /// The backup's id, as `list` shows it
    #[arg(value_name = "ID")]
    pub backup: String,
    /// Its collection
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: String,
    /// Why, for those who see it in the list
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Options of `unhold`.
#[derive(Args)]
pub struct UnholdArgs {
    /// The backup's id, as `list` shows it
    #[arg(value_name = "ID")]
    pub backup: String,
    /// Its collection
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: String,
}

/// Options of `import`.
#[derive(Args)]
pub struct ImportArgs {
    /// Snapshots of collections, plain, gzip or zstd (with --points: one file that `export --points` wrote); they are copied, but for archives that lie in the backup directory already. Or
    /// directories that `export` made of backups by shards
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The collection that they are of, where the files' names do not say so
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: Option<String>,
    /// When they were made (as in 2025-07-15T14:30:00Z), where the files' names do not say so [default: when the file was written]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Make a collection on the server, --into NAME, of a file that `export --points` wrote; `-` is stdin
    #[arg(long, requires = "into", conflicts_with_all = ["collection", "at"])]
    pub points: bool,
    /// With --points: the new collection
    #[arg(long, value_name = "NAME", requires = "points")]
    pub into: Option<String>,
    /// With --points: change the collection's configuration, by keys of Qdrant's create request, as in shard_number=6 or hnsw_config.m=32
    #[arg(long, value_name = "KEY=VALUE", requires = "points")]
    pub set: Vec<String>,
    /// With --points: go on with an import into --into that broke off
    #[arg(long, requires = "points")]
    pub resume: bool,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    given: Given,
}

/// Options of `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    /// Check only this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    /// Which backups of each collection: an id, `latest` or `all`
    #[arg(long, value_name = "ID", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::All]))]
    pub backup: Which,
    /// How deep: `checksum` reads the stored bytes, `archive` also decompresses and looks inside
    #[arg(long, value_name = "LEVEL", default_value = "archive", value_parser = ["checksum", "archive"])]
    pub level: String,
    #[command(flatten)]
    pub from: FromArgs,
    #[command(flatten)]
    given: Given,
    /// Print the run's report as JSON to stdout
    #[arg(long)]
    pub json: bool,
}

/// Options of `export`.
#[derive(Args)]
pub struct ExportArgs {
    /// The collection
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// Which backup: an id, or `latest` for the newest good one
    #[arg(long, value_name = "ID", default_value = "latest", value_parser = |text: &str| Which::read(text, &[]))]
    pub backup: Which,
    /// Where the snapshot goes; `-` is stdout. Of a backup by shards: a directory that is empty or not there
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub from: FromArgs,
    /// Write the points as JSON lines instead, for a server that the snapshot does not fit; .gz and .zst are compressed
    #[arg(long, conflicts_with = "from")]
    pub points: bool,
    /// With --points: restore the backup for a while to the server that is backed up (snapshots of at most drill.max_size), not to
    /// --to or drill.url
    #[arg(long, requires = "points", conflicts_with = "to")]
    pub on_source: bool,
    /// With --points: read at most so many points a second
    #[arg(long, value_name = "POINTS", requires = "points")]
    pub rate: Option<std::num::NonZeroU32>,
    /// With --points: restore the backup whatever versions of Qdrant it and the server are of
    #[arg(long, requires = "points")]
    pub allow_version_skew: bool,
    #[command(flatten)]
    to: ToArgs,
}

/// Options of `restore`.
#[derive(Args)]
#[command(after_help = "`restore --dry-run` alone means `restore --all --backup latest --dry-run`.")]
pub struct RestoreArgs {
    /// Restore this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME", required_unless_present_any = ["all", "dry_run", "files"])]
    pub collections: Vec<String>,
    /// Restore every collection that has backups and is not retired; what is there already is skipped, but for --force
    #[arg(long, conflicts_with = "collections")]
    pub all: bool,
    /// With --all: also the collections that `prune --retire` has set aside
    #[arg(long, conflicts_with_all = ["collections", "files"])]
    pub include_retired: bool,
    /// Restore the configuration files that backup.include_files named, into --into
    #[arg(long, requires = "into", conflicts_with_all = ["collections", "all", "target", "force", "with_aliases", "dry_run", "json"], group = "parts")]
    pub files: bool,
    /// Bring back single points into a collection that is there, and touch nothing else: say which with --missing, --changed, --ids or
    /// --filter
    #[arg(long, conflicts_with_all = ["all", "target", "with_aliases", "no_safety_backup", "replication_factor", "from"], group = "parts")]
    pub points: bool,
    /// With --points: those that the collection lacks [default with --ids and --filter, unless --changed is given]
    #[arg(long, requires = "points")]
    pub missing: bool,
    /// With --points: overwrite those that differ
    #[arg(long, requires = "points")]
    pub changed: bool,
    /// With --points: only these, ids or files with one a line, as `compare --ids` writes them
    #[arg(long, value_name = "ID|FILE", num_args = 1.., requires = "points", conflicts_with = "filter")]
    pub ids: Vec<String>,
    /// With --points: only those that Qdrant finds in the backup by this filter, as in '{"must": [{"key": "lang", "match": {"value": "en"}}]}'
    #[arg(long, value_name = "JSON", requires = "points")]
    pub filter: Option<String>,
    /// With --points: restore the backup for a while to the server that is backed up (snapshots of at most drill.max_size), not to
    /// --to or drill.url
    #[arg(long, requires = "points", conflicts_with = "to")]
    pub on_source: bool,
    /// With --points: read at most so many points a second of each side
    #[arg(long, value_name = "POINTS", requires = "points")]
    pub rate: Option<std::num::NonZeroU32>,
    /// With --files, a directory that is empty or does not exist; never where the files came from. With --points, another collection
    #[arg(long, value_name = "DIR|NAME", requires = "parts")]
    pub into: Option<std::path::PathBuf>,
    /// Which backup: latest (the newest good one), latest-verified, or an id as `list` shows it
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    backup: Which,
    /// The newest good backup that was complete by then: RFC 3339, or `2025-07-15 14:30` in UTC
    #[arg(long, value_name = "TIME", conflicts_with = "backup", value_parser = Which::read_before)]
    before: Option<Which>,
    /// Restore into a collection of this name instead
    #[arg(long = "as", value_name = "NAME", conflicts_with = "all")]
    pub target: Option<String>,
    #[command(flatten)]
    pub from: FromArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Overwrite a collection that exists, move aliases that stand for others, use a backup that failed verification
    #[arg(long)]
    pub force: bool,
    /// Set the aliases that the collection had
    #[arg(long)]
    pub with_aliases: bool,
    /// With --force: do not back up what is overwritten first
    #[arg(long, requires = "force")]
    pub no_safety_backup: bool,
    /// Restore whatever versions of Qdrant the backup and the server are of
    #[arg(long)]
    pub allow_version_skew: bool,
    /// Copies of each shard in a cluster, if not as many as there were; for backups made shard by shard
    #[arg(long, value_name = "N")]
    pub replication_factor: Option<std::num::NonZeroU32>,
    /// Check everything that can be checked, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the run's report, or with --dry-run the plans, as JSON to stdout
    #[arg(long)]
    pub json: bool,
}

impl RestoreArgs {
    /// Which backup is meant.
    pub fn which(&self) -> Which {
        self.before.unwrap_or(self.backup)
    }
}

/// Options of `compare`.
#[derive(Args)]
#[command(after_help = "Exit codes as diff's: 0 equal, 3 different; 1 and others as always.")]
pub struct CompareArgs {
    /// The collection
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// Which backup: latest (the newest good one), latest-verified, or an id as `list` shows it
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    backup: Which,
    /// The newest good backup that was complete by then: RFC 3339, or `2025-07-15 14:30` in UTC
    #[arg(long, value_name = "TIME", conflicts_with = "backup", value_parser = Which::read_before)]
    before: Option<Which>,
    /// Compare with this backup instead of the live collection
    #[arg(long, value_name = "WHICH", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    pub with: Option<Which>,
    /// Write kind and id of every point that differs, one a line, to this file; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,
    /// Write every point that differs, as JSON lines, to this file; .gz and .zst are compressed
    #[arg(long, value_name = "FILE")]
    pub points: Option<PathBuf>,
    #[command(flatten)]
    pub scratch: ScratchArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Restore the backup whatever versions of Qdrant it and the server are of
    #[arg(long)]
    pub allow_version_skew: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

impl CompareArgs {
    /// Which backup is meant.
    pub fn which(&self) -> Which {
        self.before.unwrap_or(self.backup)
    }
}

/// Where a backup's points are read from, and how fast.
#[derive(Args)]
pub struct ScratchArgs {
    /// Restore the backup for a while to the server that is backed up; snapshots of at most drill.max_size
    #[arg(long, conflicts_with = "to")]
    pub on_source: bool,
    /// Read at most so many points a second of each side
    #[arg(long, value_name = "POINTS")]
    pub rate: Option<std::num::NonZeroU32>,
}

/// Options of `drill`.
#[derive(Args)]
pub struct DrillArgs {
    /// Drill only backups of this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    /// Which backups: latest (each collection's newest good one), least-recent (the one of all whose last drill is longest
    /// ago), or an id
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LeastRecent]))]
    pub backup: Which,
    #[command(flatten)]
    pub from: FromArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Drill on the server that is backed up, snapshots of at most drill.max_size
    #[arg(long, conflicts_with = "to")]
    pub on_source: bool,
    /// Print the run's report as JSON to stdout
    #[arg(long)]
    pub json: bool,
}

/// Another server to restore to.
#[derive(Args)]
pub struct ToArgs {
    /// Restore to the Qdrant at this URL instead
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// File that holds the API key of that Qdrant; the key of the one that is backed up is not sent there
    #[arg(long, value_name = "FILE", requires = "to")]
    to_api_key_file: Option<PathBuf>,
}

/// Options of `run`.
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    given: Given,
    /// Print the run's report as JSON to stdout
    #[arg(long)]
    pub json: bool,
}

/// Options of `list`.
#[derive(Args)]
pub struct ListArgs {
    /// List only this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    #[command(flatten)]
    pub from: FromArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `status`.
#[derive(Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whose entry.
#[derive(Subcommand)]
pub enum ScheduleCommand {
    /// A table for /etc/cron.d, which mails what a run said when it failed
    Cron {
        #[command(flatten)]
        entry: EntryArgs,
        /// Tell cron the time zone by CRON_TZ, which cronie knows and Debian's cron does not
        #[arg(long)]
        cron_tz: bool,
    },
    /// A service and a timer
    Systemd {
        #[command(flatten)]
        entry: EntryArgs,
    },
}

/// Options of both kinds of entry.
#[derive(Args)]
pub struct EntryArgs {
    /// Install it instead of printing it
    #[arg(long)]
    pub write: bool,
    /// The user that runs are made as [default: the owner of the backup directory]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Install it below this directory, as for an image
    #[arg(long, value_name = "DIR", default_value = "/", requires = "write")]
    pub root: PathBuf,
    /// Replace a file that somebody else wrote
    #[arg(long, requires = "write")]
    pub force: bool,
}

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration, the way to Qdrant and the backup directory
    Check(CheckArgs),
    /// Print every setting, its value and where it came from; secrets are masked
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `config check`.
#[derive(Args)]
pub struct CheckArgs {
    /// Also back up the smallest collection, which shows whether the key may make snapshots and delete them
    #[arg(long)]
    pub trial: bool,
}

impl Cli {
    /// `--config`; for `setup` only where it exists, because there it is where to write.
    fn config_to_read(&self) -> Option<PathBuf> {
        let named = self.global.config.clone();
        let is_new =
            matches!(self.command, Command::Setup(_)) && named.as_ref().is_some_and(|path| !path.exists());
        // An empty file, so that no other is read instead.
        if is_new { Some(PathBuf::from("/dev/null")) } else { named }
    }

    /// `--config` as it was given.
    pub fn named_config(&self) -> Option<&PathBuf> {
        self.global.config.as_ref()
    }

    /// The settings that the command line overrides.
    pub fn opts(&self) -> Opts {
        let mut opts = Opts {
            config: self.config_to_read(),
            env_file: self.global.env_file.clone(),
            given: self.global.given.0.clone(),
            keys: self.command.manner().keys,
            ..Opts::default()
        };
        if let Command::Backup(BackupArgs { given, .. })
        | Command::Run(RunArgs { given, .. })
        | Command::Prune(PruneArgs { given, .. })
        | Command::Import(ImportArgs { given, .. })
        | Command::Verify(VerifyArgs { given, .. }) = &self.command
        {
            opts.given.extend(given.0.clone());
        }
        if let Command::Restore(RestoreArgs { to, .. })
        | Command::Compare(CompareArgs { to, .. })
        | Command::Export(ExportArgs { to, .. })
        | Command::Import(ImportArgs { to, .. })
        | Command::Drill(DrillArgs { to, .. }) = &self.command
        {
            opts.to = to.to.clone();
            opts.to_api_key_file = to.to_api_key_file.clone();
        }
        opts
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
