//! Commands that root runs in the backup directory of another user: they switch to that user.
//!
//! Otherwise, the scheduled user could not read or change files written by root, and later runs would fail.

use std::fs;
use std::os::unix::fs::MetadataExt;

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::text::one_line;

use super::repository::PACKAGE_USER;
use super::{Refusal, repository};
use crate::commands::cli::{Command, Doer};
use crate::host::user::{ROOT, User};
use crate::settings::Settings;
use crate::settings::trust;

/// As root: refuses files that others can change. If the backup directory belongs to another user, restarts the command as that
/// user.
///
/// # Errors
/// When the files cannot be trusted, or root cannot switch to the owner.
pub fn go_on_as_owner(command: &Command, settings: &Settings) -> Result<(), Refusal> {
    let doer = command.manner().doer;
    if uzers::get_effective_uid() != ROOT || doer == Doer::Reader {
        return Ok(());
    }
    let layout = repository::layout(settings);
    let owner = owner(&layout);
    let needs_none = command.is_without_directory();
    let heir = if needs_none { heir(&layout) } else { None };
    let trusted = [ROOT, owner.as_ref().or(heir.as_ref()).map_or(ROOT, |owner| owner.uid)];
    let is_check = matches!(command, Command::Config(_));
    if let Some(problem) = trust::problems(settings, &trusted).into_iter().next().filter(|_| !is_check) {
        if owner.is_none() && doer == Doer::Owner && !needs_none {
            // Without a backup directory, its owner is unknown, and so are the allowed owners of these files.
            repository::open(settings)?;
        }
        return Err(Refusal::configuration(format!("refused as root: {problem}")));
    }
    let Some(owner) = owner.filter(|_| doer == Doer::Owner) else { return Ok(()) };
    let root = layout.root().display();
    tracing::info!("Running as {owner}, the owner of {root}");
    let error = owner.start_again();
    Err(Refusal::configuration(one_line(&format!(
        "{root} belongs to {owner}, who could not use files that root writes there; switching to {owner} failed ({error}); {}",
        owner.to_type()
    ))))
}

/// The owner of a new repository created by root: the owner of the state directory, otherwise the user of the package.
pub fn heir(layout: &Layout) -> Option<User> {
    let of_state = fs::metadata(layout.state()).ok().filter(|found| found.uid() != ROOT);
    let of_state = of_state.map(|found| User::of(found.uid(), found.gid()));
    of_state.or_else(|| User::named(PACKAGE_USER))
}

/// The owner of the backups, if it is not root. If the directory belongs to root, the owner of `repository.json` counts.
pub fn owner(layout: &Layout) -> Option<User> {
    let directory = fs::metadata(layout.root()).ok()?;
    let found = if directory.uid() == ROOT {
        fs::symlink_metadata(layout.repository_file()).ok()?
    } else {
        directory
    };
    (found.uid() != ROOT).then(|| User::of(found.uid(), found.gid()))
}
