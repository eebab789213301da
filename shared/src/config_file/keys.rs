//! Every key of `backup.yaml`: one line each, with its type and the function that reads it.
//!
//! A new key is a new line here; whoever uses it then finds it as a field. A new section is a new block. A key within a
//! mapping of its own has its dotted name in brackets.

use std::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use super::hook::{self, HookCommand};
use super::overrides::{self, RetentionOverride};
use super::tree::Node;
use super::types::{Compression, LogFormat, LogLevel, PingStyle, UrlText};
use super::values::{self, Located, Reading};

macro_rules! name {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $name:literal) => {
        $name
    };
}

macro_rules! sections {
    ($(
        $(#[$section_doc:meta])*
        $section:ident: $type:ident {
            $( $(#[$key_doc:meta])* $key:ident $([$name:literal])?: $value:ty = $read:path, )*
        }
    )*) => {
        /// What a `backup.yaml` says. A key that the file does not mention is `None`.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct ConfigFile {
            $( $(#[$section_doc])* pub $section: $type, )*
        }

        $(
            $(#[$section_doc])*
            #[derive(Debug, Clone, Default, PartialEq, Eq)]
            pub struct $type {
                $( $(#[$key_doc])* pub $key: Option<Located<$value>>, )*
            }
        )*

        /// Every section with its keys, in the order of the documentation.
        pub const KEYS: &[(&str, &[&str])] = &[
            $( (stringify!($section), &[$( name!($key $($name)?) ),*]), )*
        ];

        impl ConfigFile {
            /// Reads one value into its field. False when there is no such key.
            pub(super) fn read(&mut self, section: &str, key: &str, node: &Node, reading: &mut Reading<'_>) -> bool {
                $( $(
                    if section == stringify!($section) && key == name!($key $($name)?) {
                        let line = reading.line;
                        self.$section.$key = $read(node, reading).map(|value| Located { value, line });
                        return true;
                    }
                )* )*
                false
            }
        }
    };
}

sections! {
    /// `qdrant`: the server and how patient to be with it.
    qdrant: QdrantSection {
        /// Where Qdrant answers; may have a path prefix and, for a proxy's basic auth, `user:password@`.
        url: UrlText = values::url,
        /// File that holds the API key and nothing else.
        api_key_file: PathBuf = values::path,
        /// PEM file with certificate authorities to trust besides the system's.
        ca_file: PathBuf = values::path,
        /// PEM file with the certificate that a server is shown which wants one.
        tls_cert_file ["tls.cert_file"]: PathBuf = values::path,
        /// PEM file with that certificate's private key.
        tls_key_file ["tls.key_file"]: PathBuf = values::path,
        /// HTTP proxy to reach Qdrant through.
        proxy: UrlText = values::url,
        /// How long a connection may take to be made.
        connect_timeout: Duration = values::timeout,
        /// How long a transfer may stand still.
        stall_timeout: Duration = values::timeout,
        /// How long a small request (anything but creation, recovery and transfers) may take.
        request_timeout: Duration = values::timeout,
        /// How long Qdrant may take to create a snapshot.
        create_timeout: Duration = values::timeout,
        /// How long counting the points of a collection may take.
        count_timeout: Duration = values::timeout,
        /// How long a scheduled run waits for a server that is not there yet; zero for not at all.
        wait_for_server: Duration = values::duration,
        /// How often a failed request that changes nothing is tried again.
        retries: u32 = values::retries,
    }
    /// `backup`: where backups go and what they contain.
    backup: BackupSection {
        /// The backup directory.
        path: PathBuf = values::path,
        /// Where the lock and the status file are, if not in the backup directory.
        state_dir: PathBuf = values::path,
        /// How archives are stored.
        compression: Compression = values::compression,
        /// Globs of the collections to back up, each with its line.
        include: Vec<Located<String>> = values::texts,
        /// Globs of the collections to leave out, each with its line.
        exclude: Vec<Located<String>> = values::texts,
        /// Globs of files to back up besides the collections, absolute, each with its line.
        include_files: Vec<Located<String>> = values::texts,
        /// Whether the server's own snapshot stays there after it was downloaded.
        keep_server_snapshots: bool = values::boolean,
        /// How many collections are backed up at a time.
        jobs: NonZeroU8 = values::jobs,
        /// How many bytes a second downloads may take.
        limit_rate: NonZeroU64 = values::rate,
        /// How long to wait for another run to finish.
        lock_wait: Duration = values::duration,
    }
    /// `schedule`: when backups are expected. Cron or a timer starts them; this only says what "late" means.
    schedule: ScheduleSection {
        /// Cron expression of five fields.
        cron: String = values::text,
        /// `local` or an IANA name such as `Europe/Berlin`.
        timezone: String = values::text,
    }
    /// `retention`: which backups stay. One that any rule keeps is kept.
    retention: RetentionSection {
        /// Keep what is at most this many days older than the newest good backup.
        keep_days: NonZeroU32 = values::positive,
        /// Keep this many of the newest.
        keep_last: NonZeroU32 = values::positive,
        /// Keep the last of each of this many hours.
        keep_hourly: NonZeroU32 = values::positive,
        /// Keep the last of each of this many days (UTC).
        keep_daily: NonZeroU32 = values::positive,
        /// Keep the last of each of this many ISO weeks.
        keep_weekly: NonZeroU32 = values::positive,
        /// Keep the last of each of this many months.
        keep_monthly: NonZeroU32 = values::positive,
        /// Keep the last of each of this many years.
        keep_yearly: NonZeroU32 = values::positive,
        /// For how many days a collection has to be gone until its backups expire.
        gone_after_days: NonZeroU32 = values::positive,
        /// Other rules for the collections that a glob matches; the first that matches counts, wholly.
        overrides: Vec<RetentionOverride> = overrides::overrides,
    }
    /// `verify`: how stored backups are checked.
    verify: VerifySection {
        /// Within how many days scheduled runs read every stored backup again.
        reread_within_days: NonZeroU32 = values::positive,
    }
    /// `restore`: how restores are made.
    restore: RestoreSection {
        /// How long a restored collection may take until it serves.
        settle_timeout: Duration = values::timeout,
    }
    /// `drill`: test restores into a scratch collection.
    drill: DrillSection {
        /// The server to drill on.
        url: UrlText = values::url,
        /// File that holds that server's API key and nothing else.
        api_key_file: PathBuf = values::path,
        /// Cron expression of five fields: how often `run` drills.
        cron: String = values::text,
        /// The largest snapshot that is drilled on the server that is backed up.
        max_size: u64 = values::size,
    }
    /// `run`: what a scheduled run does besides backing up.
    run: RunSection {
        /// Whether it verifies.
        verify: bool = values::boolean,
        /// Whether it prunes.
        prune: bool = values::boolean,
    }
    /// `hooks`: who is told how a scheduled run ended.
    hooks: HooksSection {
        /// Command for a run that succeeded.
        on_success: HookCommand = hook::hook,
        /// Command for a run that failed.
        on_failure: HookCommand = hook::hook,
        /// Command for a run in which only some collections failed.
        on_partial: HookCommand = hook::hook,
        /// Command for a run that found the lock held.
        on_skipped: HookCommand = hook::hook,
        /// How long a command may take.
        timeout: Duration = values::timeout,
        /// Address of a dead man's service.
        ping_url: UrlText = values::url,
        /// How it wants to be called.
        ping_style: PingStyle = values::ping_style,
    }
    /// `log`: what goes to stderr.
    log: LogSection {
        /// How much is logged.
        level: LogLevel = values::log_level,
        /// For whom lines are written.
        format: LogFormat = values::log_format,
    }
}
