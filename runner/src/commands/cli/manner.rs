//! The properties of each command, one line per command.

use super::{Command, ConfigCommand, EntryArgs, OffsiteCommand, ScheduleCommand};
use crate::settings::Keys;

/// The user that runs a command when root calls it in another user's backup directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doer {
    /// The owner of the backup directory.
    Owner,
    /// The caller, because it writes to a path of the caller, or creates files whose owner is changed later.
    Caller,
    /// The caller, because it writes nothing.
    Reader,
}

/// The properties of a command.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The user that runs it.
    pub doer: Doer,
    /// Whether it connects to a server, so that it needs the key. Commands that only read stored backups must work
    /// for every user who can read them.
    pub keys: Keys,
    /// The name of a command that a schedule may start. If it is refused, this is recorded for monitoring. Whoever calls another
    /// command sees the error.
    pub scheduled: Option<&'static str>,
}

/// It needs the key.
const KEY: Keys = Keys::Needed;
/// It does not need the key.
const NO_KEY: Keys = Keys::Unneeded;

impl Command {
    /// The properties of this command.
    pub fn manner(&self) -> Manner {
        use Doer::{Caller, Owner, Reader};
        let (doer, keys, scheduled) = match self {
            // What it reads are only defaults, and its trial backup is checked separately.
            Self::Setup(_) => (Reader, KEY, None),
            Self::Init => (Owner, NO_KEY, None),
            Self::Backup(_) => (Owner, KEY, Some("backup")),
            Self::Prune(prune) => {
                let asks = prune.server_leftovers || !prune.retire.is_empty();
                (Owner, if asks { KEY } else { NO_KEY }, (!prune.dry_run).then_some("prune"))
            }
            Self::Hold(_) | Self::Unhold(_) => (Owner, NO_KEY, None),
            // It reads what the caller can read, and writes nothing here.
            Self::Import(import) if import.points => (Reader, KEY, None),
            Self::Import(_) => (Owner, NO_KEY, None),
            Self::Verify(_) => (Owner, NO_KEY, Some("verify")),
            Self::Export(export) if export.points => (Owner, KEY, None),
            Self::Export(_) => (Caller, NO_KEY, None),
            Self::Restore(restore) if restore.files => (Caller, NO_KEY, None),
            Self::Restore(_) => (Owner, KEY, None),
            Self::Compare(_) => (Owner, KEY, None),
            Self::Drill(_) => (Owner, KEY, Some("drill")),
            Self::Run(_) => (Owner, KEY, Some("run")),
            Self::List(_) | Self::Status(_) => (Reader, NO_KEY, None),
            Self::Offsite(OffsiteCommand::Init { .. } | OffsiteCommand::List { .. }) => (Owner, NO_KEY, None),
            Self::Offsite(OffsiteCommand::Copy { .. }) => (Owner, NO_KEY, Some("offsite copy")),
            Self::Offsite(OffsiteCommand::Check { .. }) => (Owner, NO_KEY, Some("offsite check")),
            Self::Offsite(OffsiteCommand::Prune { .. }) => (Owner, NO_KEY, Some("offsite prune")),
            Self::Offsite(OffsiteCommand::Recover { .. }) => (Owner, NO_KEY, None),
            Self::AcceptSource => (Owner, KEY, None),
            Self::Schedule(schedule) if schedule.entry().write => (Caller, KEY, None),
            Self::Schedule(_) => (Reader, KEY, None),
            // It tests what the owner's runs will need.
            Self::Config(ConfigCommand::Check(_)) => (Owner, KEY, None),
            Self::Config(ConfigCommand::Show { .. }) => (Reader, Keys::Shown, None),
        };
        Manner { doer, keys, scheduled }
    }
}

impl Command {
    /// Whether it works without a backup directory.
    pub fn is_without_directory(&self) -> bool {
        match self {
            Self::Init | Self::Offsite(_) => true,
            Self::Export(args) => args.from.from.is_some(),
            Self::Restore(args) => args.from.from.is_some(),
            Self::Verify(args) => args.from.from.is_some(),
            Self::Drill(args) => args.from.from.is_some(),
            Self::List(args) => args.from.from.is_some(),
            Self::Setup(_)
            | Self::Backup(_)
            | Self::Compare(_)
            | Self::Prune(_)
            | Self::Hold(_)
            | Self::Unhold(_)
            | Self::Import(_)
            | Self::Run(_)
            | Self::Status(_)
            | Self::AcceptSource
            | Self::Schedule(_)
            | Self::Config(_) => false,
        }
    }
}

impl ScheduleCommand {
    fn entry(&self) -> &EntryArgs {
        match self {
            Self::Cron { entry, .. } | Self::Systemd { entry } => entry,
        }
    }
}
