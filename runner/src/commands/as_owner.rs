//! Commands that root types in the backup directory of somebody else: they go on as that somebody.
//!
//! What root writes there the user of the schedule can neither read nor change, and the runs after it fail.

use std::fs;
use std::os::unix::fs::MetadataExt;

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::text::one_line;

use super::{Refusal, place};
use crate::cli::{Command, ConfigCommand, ScheduleCommand};
use crate::settings::Settings;
use crate::trust;
use crate::user::{ROOT, User};

/// Who does a command's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doer {
    /// The owner of the backup directory.
    Owner,
    /// Whoever calls, since it writes where they say, or makes what is then given away.
    Caller,
    /// Whoever calls, since it writes nothing.
    Reader,
}

fn doer(command: &Command) -> Doer {
    match command {
        Command::Restore(args) if args.files => Doer::Caller,
        Command::Init
        | Command::Backup(_)
        | Command::Run(_)
        | Command::Prune(_)
        | Command::Hold(_)
        | Command::Unhold(_)
        | Command::Import(_)
        | Command::Verify(_)
        | Command::Restore(_)
        | Command::Drill(_)
        | Command::AcceptSource
        // It tries what the owner's runs will need.
        | Command::Config(ConfigCommand::Check(_)) => Doer::Owner,
        Command::Export(_) => Doer::Caller,
        Command::Schedule(
            ScheduleCommand::Cron { entry, .. } | ScheduleCommand::Systemd { entry },
        ) if entry.write => Doer::Caller,
        // What it reads are suggestions, and the trial that it makes is looked at here.
        Command::Setup(_)
        | Command::List(_)
        | Command::Status(_)
        | Command::Schedule(_)
        | Command::Config(ConfigCommand::Show { .. }) => Doer::Reader,
    }
}

/// As root: refuses to go by files that others may change, and where the backup directory is somebody else's, begins the
/// command again as them.
///
/// # Errors
/// When the files are not to be trusted, or root may not become the owner.
pub fn go_on_as_owner(command: &Command, settings: &Settings) -> Result<(), Refusal> {
    let doer = doer(command);
    if uzers::get_effective_uid() != ROOT || doer == Doer::Reader {
        return Ok(());
    }
    let layout = place::layout(settings);
    let owner = owner(&layout);
    let trusted = [ROOT, owner.as_ref().map_or(ROOT, |owner| owner.uid)];
    let is_check = matches!(command, Command::Config(_));
    if let Some(problem) = trust::problems(settings, &trusted).into_iter().next().filter(|_| !is_check) {
        return Err(Refusal::configuration(format!("refused, because this is root: {problem}")));
    }
    let Some(owner) = owner.filter(|_| doer == Doer::Owner) else { return Ok(()) };
    let root = layout.root().display();
    tracing::info!("Running as {owner}, the owner of {root}");
    let error = owner.start_again();
    Err(Refusal::configuration(one_line(&format!(
        "{root} belongs to {owner}, and what root writes there {owner} cannot use; becoming {owner} failed ({error}); type: sudo -u {} {}",
        owner.for_sudo(),
        as_typed()
    ))))
}

/// Whose the backups are, where they are not root's. Where the directory is root's, `repository.json` says it.
pub fn owner(layout: &Layout) -> Option<User> {
    let directory = fs::metadata(layout.root()).ok()?;
    let found = if directory.uid() == ROOT {
        fs::symlink_metadata(layout.repository_file()).ok()?
    } else {
        directory
    };
    (found.uid() != ROOT).then(|| User::of(found.uid(), found.gid()))
}

/// This call as it has to be typed.
fn as_typed() -> String {
    let quoted = std::env::args_os().map(|argument| {
        let argument = argument.to_string_lossy().into_owned();
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
