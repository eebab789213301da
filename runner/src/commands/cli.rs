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

/// Backs up Qdrant collections through the snapshot API. Runs once per call, for cron or a systemd timer.
#[derive(Parser)]
#[command(name = PROGRAM, version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 success, 1 failed, 2 usage, 3 some collections failed (compare: points differ), 4 bad \
    backup found, 5 backup too old (status), 75 another run holds the lock, 78 configuration, 130/143 \
    interrupted.\n\
    Settings can also come from backup.yaml, an env file or the environment; `qdrant-backup config show` \
    prints them."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: /etc/qdrant-backup/backup.yaml, otherwise /opt/qdrant/config/backup.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of KEY=VALUE lines; overrides the configuration file, is overridden by the environment
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Log only warnings and errors, and hide progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Ask for the settings, test them, write backup.yaml and create the backup repository
    Setup(SetupArgs),
    /// Make the backup directory a repository; does nothing if it is one
    Init,
    /// Back up all collections or selected ones
    Backup(BackupArgs),
    /// Delete expired backups; or orphans, bad backups, leftovers on the server, retired collections
    Prune(PruneArgs),
    /// Protect a backup from retention
    Hold(HoldArgs),
    /// Release a backup from hold
    Unhold(UnholdArgs),
    /// Import snapshots made by other tools, or archives without a manifest
    Import(ImportArgs),
    /// Check stored backups: checksums and contents
    Verify(VerifyArgs),
    /// Write the snapshot of a backup to a file or to stdout, in Qdrant's format
    Export(ExportArgs),
    /// Restore collections from backups
    Restore(RestoreArgs),
    /// Compare a backup with the live collection or another backup; exit code 3 if points differ
    Compare(CompareArgs),
    /// Test backups: restore each into a scratch collection, compare it, delete it
    Drill(DrillArgs),
    /// Back up, verify, copy offsite and prune: the command for cron or a timer
    Run(RunArgs),
    /// List backups
    List(ListArgs),
    /// Show the last run and the newest backup of each collection; exit code 5 if one is too old
    Status(StatusArgs),
    /// Manage offsite copies: create, list, check, prune, recover
    #[command(subcommand)]
    Offsite(OffsiteCommand),
    /// Confirm the current server as this repository's source, after a move or a rebuild
    AcceptSource,
    /// Print or install the cron or systemd entry that starts `run`
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Options of `setup`. `--config` is the file to write.
#[derive(Args)]
pub struct SetupArgs {
    /// Backup schedule, as a cron expression [default: 0 2 * * *]
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,
    /// Time zone of the schedule: local, or a name such as Europe/Berlin [default: local]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Number of days to keep backups [default: 7]
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<std::num::NonZeroU32>,
    /// Owner of the backup directory; root only [default: qdrant-backup, if this user exists]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Do not ask questions
    #[arg(long, short)]
    pub yes: bool,
    /// Skip the trial backup of the smallest collection
    #[arg(long)]
    pub no_trial: bool,
    /// Replace an existing backup.yaml, and keep it as backup.yaml.old
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
    /// Show what would be kept or deleted, and why; change nothing
    #[arg(long, conflicts_with_all = ["orphans", "bad", "server_leftovers", "retire"])]
    pub dry_run: bool,
    /// Prune only this collection, or with --bad list only its backups; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME", conflicts_with_all = ["orphans", "server_leftovers", "retire"])]
    pub collections: Vec<String>,
    /// Delete what is only listed without this option; also allow deleting more than half of a collection's good backups
    #[arg(long)]
    pub yes: bool,
    /// List orphans (archives without a manifest) instead; delete them with --yes
    #[arg(long, conflicts_with_all = ["bad", "server_leftovers", "retire"])]
    pub orphans: bool,
    /// List bad backups (incomplete or failed verification) instead; delete them with --yes
    #[arg(long, conflicts_with_all = ["server_leftovers", "retire"])]
    pub bad: bool,
    /// With --bad --yes: also delete bad backups of collections without a good one, which may be their only copies
    #[arg(long, requires_all = ["bad", "yes"])]
    pub even_the_last: bool,
    /// List leftover snapshots of this program on the server instead; delete them with --yes
    #[arg(long, conflicts_with = "retire")]
    pub server_leftovers: bool,
    /// Retire collections that are gone from the server (names or globs): no new backups are expected; delete all their backups
    /// with --yes
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
    /// Collection of the backup
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: String,
    /// Reason, which `list` shows
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Options of `unhold`.
#[derive(Args)]
pub struct UnholdArgs {
    /// The backup's id, as `list` shows it
    #[arg(value_name = "ID")]
    pub backup: String,
    /// Collection of the backup
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: String,
}

/// Options of `import`.
#[derive(Args)]
#[command(mut_arg("to", |arg| arg.help("With --points: create the collection on the Qdrant at this URL instead")))]
pub struct ImportArgs {
    /// Snapshots of collections (plain, gzip or zstd), or directories that `export` wrote for backups by shards. Files outside
    /// the backup directory are copied. With --points: one file that `export --points` wrote
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Collection of the snapshots, if the file names do not contain it
    #[arg(long, short = 'c', value_name = "NAME")]
    pub collection: Option<String>,
    /// Time of the snapshots, such as 2025-07-15T14:30:00Z, if the file names do not contain it [default: the time when the file
    /// was written]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Create the collection --into NAME on the server from a file that `export --points` wrote; `-` is stdin
    #[arg(long, requires = "into", conflicts_with_all = ["collection", "at"])]
    pub points: bool,
    /// With --points: name of the new collection
    #[arg(long, value_name = "NAME", requires = "points")]
    pub into: Option<String>,
    /// With --points: change the collection's configuration, using keys of Qdrant's create request, such as shard_number=6 or
    /// hnsw_config.m=32
    #[arg(long, value_name = "KEY=VALUE", requires = "points")]
    pub set: Vec<String>,
    /// With --points: continue an interrupted import into --into
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
    /// Backups to check in each collection: an id, `latest` or `all`
    #[arg(long, value_name = "ID", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::All]))]
    pub backup: Which,
    /// Depth: `checksum` reads the stored bytes, `archive` also decompresses and checks the contents
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
#[command(mut_arg("to", |arg| arg.help("With --points: use the Qdrant at this URL for the temporary restore, not drill.url")))]
pub struct ExportArgs {
    /// Collection to export
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// Backup to export: an id, or `latest` for the newest good one
    #[arg(long, value_name = "ID", default_value = "latest", value_parser = |text: &str| Which::read(text, &[]))]
    pub backup: Which,
    /// Output file; `-` is stdout. For a backup by shards: an empty or new directory
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub from: FromArgs,
    /// Write the points as JSON lines instead, for a server that cannot read the snapshot; .gz and .zst are compressed
    #[arg(long, conflicts_with = "from")]
    pub points: bool,
    /// With --points: use the server that is backed up for the temporary restore (limited to drill.max_size), not --to or
    /// drill.url
    #[arg(long, requires = "points", conflicts_with = "to")]
    pub on_source: bool,
    /// With --points: maximum number of points read per second
    #[arg(long, value_name = "POINTS", requires = "points")]
    pub rate: Option<std::num::NonZeroU32>,
    /// With --points: skip the version check
    #[arg(long, requires = "points")]
    pub allow_version_skew: bool,
    #[command(flatten)]
    to: ToArgs,
}

/// Options of `restore`.
#[derive(Args)]
#[command(after_help = "`restore --dry-run` alone means `restore --all --backup latest --dry-run`.")]
#[command(mut_arg("to", |arg| arg.help(
    "Restore to the Qdrant at this URL instead. With --points: only the temporary restore is made there; the points are still \
     written to the server that is backed up"
)))]
pub struct RestoreArgs {
    /// Restore this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    /// Restore every collection that has backups and is not retired; without --force, existing collections are skipped
    #[arg(long, conflicts_with = "collections")]
    pub all: bool,
    /// With --all: also restore retired collections
    #[arg(long, conflicts_with_all = ["collections", "files"])]
    pub include_retired: bool,
    /// Restore the configuration files (backup.include_files) into --into
    #[arg(long, requires = "into", conflicts_with_all = ["collections", "all", "target", "force", "with_aliases", "dry_run", "json"], group = "parts")]
    pub files: bool,
    /// Restore single points into an existing collection: select them with --missing, --changed, --ids or --filter
    #[arg(long, conflicts_with_all = ["all", "target", "with_aliases", "no_safety_backup", "replication_factor", "from"], group = "parts")]
    pub points: bool,
    /// With --points: points that the collection lacks [default with --ids and --filter, unless --changed is given]
    #[arg(long, requires = "points")]
    pub missing: bool,
    /// With --points: overwrite points that differ
    #[arg(long, requires = "points")]
    pub changed: bool,
    /// With --points: only these points: ids, or files with one id per line as `compare --ids` writes them
    #[arg(long, value_name = "ID|FILE", num_args = 1.., requires = "points", conflicts_with = "filter")]
    pub ids: Vec<String>,
    /// With --points: only points in the backup that match this Qdrant filter, such as '{"must": [{"key": "lang", "match":
    /// {"value": "en"}}]}'
    #[arg(long, value_name = "JSON", requires = "points")]
    pub filter: Option<String>,
    /// With --points: use the server that is backed up for the temporary restore (limited to drill.max_size), not --to or
    /// drill.url
    #[arg(long, requires = "points", conflicts_with = "to")]
    pub on_source: bool,
    /// With --points: maximum number of points read per second from each side
    #[arg(long, value_name = "POINTS", requires = "points")]
    pub rate: Option<std::num::NonZeroU32>,
    /// With --files: an empty or new directory, never the original location of the files. With --points: another collection to
    /// write to
    #[arg(long, value_name = "DIR|NAME", requires = "parts")]
    pub into: Option<std::path::PathBuf>,
    /// Backup to use: latest (the newest good one), latest-verified, or an id as `list` shows it
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    backup: Which,
    /// Use the newest good backup completed before this time: RFC 3339, or `2025-07-15 14:30` in UTC
    #[arg(long, value_name = "TIME", conflicts_with = "backup", value_parser = Which::read_before)]
    before: Option<Which>,
    /// Restore as a collection with this name instead
    #[arg(long = "as", value_name = "NAME", conflicts_with = "all")]
    pub target: Option<String>,
    #[command(flatten)]
    pub from: FromArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Overwrite existing collections, move aliases of other collections, use a backup that failed verification
    #[arg(long)]
    pub force: bool,
    /// Also restore the aliases of the collection
    #[arg(long)]
    pub with_aliases: bool,
    /// With --force: do not back up the collection before it is overwritten
    #[arg(long, requires = "force")]
    pub no_safety_backup: bool,
    /// Skip the version check
    #[arg(long)]
    pub allow_version_skew: bool,
    /// Copies of each shard in a cluster, for backups made shard by shard [default: as in the backup]
    #[arg(long, value_name = "N")]
    pub replication_factor: Option<std::num::NonZeroU32>,
    /// Check everything that can be checked, but change nothing
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
#[command(mut_arg("to", |arg| arg.help(
    "Use the Qdrant at this URL for the temporary restore, not drill.url; the live collection is still that of the server that is \
     backed up"
)))]
#[command(after_help = "Exit codes: 0 no difference, 3 points differ; the others as for every command.")]
pub struct CompareArgs {
    /// Collection to compare
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// Backup to use: latest (the newest good one), latest-verified, or an id as `list` shows it
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    backup: Which,
    /// Use the newest good backup completed before this time: RFC 3339, or `2025-07-15 14:30` in UTC
    #[arg(long, value_name = "TIME", conflicts_with = "backup", value_parser = Which::read_before)]
    before: Option<Which>,
    /// Compare with this other backup instead of the live collection
    #[arg(long, value_name = "WHICH", value_parser = |text: &str| Which::read(text, &[Which::LatestVerified]))]
    pub with: Option<Which>,
    /// Write the kind and id of every point that differs to this file, one per line; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,
    /// Write every point that differs, as JSON lines, to this file; .gz and .zst are compressed
    #[arg(long, value_name = "FILE")]
    pub points: Option<PathBuf>,
    #[command(flatten)]
    pub scratch: ScratchArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Skip the version check
    #[arg(long)]
    pub allow_version_skew: bool,
    /// Print the result as JSON
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
    /// Use the server that is backed up for the temporary restore; limited to drill.max_size
    #[arg(long, conflicts_with = "to")]
    pub on_source: bool,
    /// Maximum number of points read per second from each side
    #[arg(long, value_name = "POINTS")]
    pub rate: Option<std::num::NonZeroU32>,
}

/// Options of `drill`.
#[derive(Args)]
pub struct DrillArgs {
    /// Drill only backups of this collection; may be repeated
    #[arg(long = "collection", short = 'c', value_name = "NAME")]
    pub collections: Vec<String>,
    /// Backups to test: latest (the newest good one of each collection), least-recent (the one whose last drill is longest ago),
    /// or an id
    #[arg(long, value_name = "WHICH", default_value = "latest", value_parser = |text: &str| Which::read(text, &[Which::LeastRecent]))]
    pub backup: Which,
    #[command(flatten)]
    pub from: FromArgs,
    #[command(flatten)]
    to: ToArgs,
    /// Drill on the server that is backed up; limited to drill.max_size
    #[arg(long, conflicts_with = "to")]
    pub on_source: bool,
    /// Skip the version check
    #[arg(long)]
    pub allow_version_skew: bool,
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
    /// File with the API key of that Qdrant; the key of the server that is backed up is not sent there
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

/// Program that starts the runs.
#[derive(Subcommand)]
pub enum ScheduleCommand {
    /// A file for /etc/cron.d, which mails the output of failed runs
    Cron {
        #[command(flatten)]
        entry: EntryArgs,
        /// Set the time zone with CRON_TZ, which cronie supports and Debian's cron does not
        #[arg(long)]
        cron_tz: bool,
    },
    /// A systemd service and timer
    Systemd {
        #[command(flatten)]
        entry: EntryArgs,
    },
}

/// Options of both kinds of entry.
#[derive(Args)]
pub struct EntryArgs {
    /// Install the entry instead of printing it
    #[arg(long)]
    pub write: bool,
    /// User that runs the backups [default: the owner of the backup directory]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Install below this directory, for example to build an image
    #[arg(long, value_name = "DIR", default_value = "/", requires = "write")]
    pub root: PathBuf,
    /// Replace a file that was not written by this command
    #[arg(long, requires = "write")]
    pub force: bool,
}

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration, the connection to Qdrant and the backup directory
    Check(CheckArgs),
    /// Print every setting with its value and source; secrets are masked
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `config check`.
#[derive(Args)]
pub struct CheckArgs {
    /// Also back up the smallest collection, to test whether the API key may create and delete snapshots
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
