//! Whom the backup directory belongs to: root sets up for the user of the schedule.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::super::{Refusal, place, place::PACKAGE_USER, trial};
use crate::settings::Settings;

/// The user of the schedule, where it is not whoever calls.
#[derive(Debug)]
pub struct Owner {
    user: Option<uzers::User>,
}

impl Owner {
    /// The user called `named`, else the package's if there is one. Whoever is not root sets up for themselves.
    ///
    /// # Errors
    /// When there is no such user, or the caller may not give things to others.
    pub fn find(named: Option<&str>) -> Result<Self, Refusal> {
        let is_root = uzers::get_effective_uid() == 0;
        let user = match named {
            Some(_) if !is_root => {
                return Err(Refusal::configuration("--user: only root can set up for somebody else (sudo)"));
            }
            Some(name) => Some(uzers::get_user_by_name(name).ok_or_else(|| {
                Refusal::configuration(format!("--user: there is no user {name} on this machine"))
            })?),
            None if is_root => uzers::get_user_by_name(PACKAGE_USER),
            None => None,
        };
        Ok(Self { user: user.filter(|user| user.uid() != uzers::get_effective_uid()) })
    }

    /// The user, for the trial.
    pub fn trial_as(&self) -> Option<trial::As> {
        self.user.as_ref().map(|user| trial::As { uid: user.uid(), gid: user.primary_group_id() })
    }

    /// Gives the user what root has just made: the directories and `repository.json`. What belongs to somebody else already stays
    /// theirs.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take(&self, settings: &Settings) -> Result<(), Refusal> {
        let Some(user) = &self.user else { return Ok(()) };
        let layout = place::layout(settings);
        for path in [layout.root(), layout.state(), &layout.repository_file()] {
            let given = fs::metadata(path).and_then(|metadata| {
                if metadata.uid() != 0 {
                    return Ok(());
                }
                chown(path, Some(user.uid()), Some(user.primary_group_id()))?;
                // A change of owner takes the set-group-id bit away.
                fs::set_permissions(path, metadata.permissions())
            });
            given.map_err(|error| refuse(path, user, &error))?;
        }
        Ok(())
    }

    /// Lets the user's group read a file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn let_read(&self, path: &Path) -> Result<(), Refusal> {
        let Some(user) = &self.user else { return Ok(()) };
        chown(path, None, Some(user.primary_group_id())).map_err(|error| refuse(path, user, &error))
    }
}

fn refuse(path: &Path, user: &uzers::User, error: &io::Error) -> Refusal {
    Refusal::failed(format!("{}: cannot be given to {}: {error}", path.display(), user.name().display()))
}
