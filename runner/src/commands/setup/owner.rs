//! The owner of the backup directory: root sets up for the scheduled user.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::{Layout, Repository, json_file};
use rustix::fs::{Mode, OFlags};

use super::super::as_owner::heir;
use super::super::{Refusal, init, itself, repository, repository::PACKAGE_USER};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::user::{ROOT, User};
use crate::settings::Settings;
use crate::settings::trust::is_way_of_root;
use crate::store::remove_temporary_files;

/// No `repository.json` is larger.
const MARKER_MAX_BYTES: u64 = 1 << 20;

/// The scheduled user, if it is not the caller.
#[derive(Debug)]
pub struct Owner {
    user: Option<User>,
}

impl Owner {
    /// The user `named`, otherwise the package's user if it exists. Without root, the caller.
    ///
    /// # Errors
    /// When there is no such user, or the caller is not root.
    pub fn find(named: Option<&str>) -> Result<Self, Refusal> {
        let is_root = uzers::get_effective_uid() == 0;
        let user = match named {
            Some(_) if !is_root => {
                return Err(Refusal::configuration("--user: only root can set up for another user (sudo)"));
            }
            Some(name) => Some(User::named(name).ok_or_else(|| {
                Refusal::configuration(format!("--user: there is no user {name} on this machine"))
            })?),
            None if is_root => User::named(PACKAGE_USER),
            None => None,
        };
        Ok(Self { user: user.filter(|user| user.uid != uzers::get_effective_uid()) })
    }

    /// The user, if it is not the caller.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Changes the owner of everything that root has just created: the directories and `repository.json`. Files of other users
    /// are not changed.
    ///
    /// # Errors
    /// When the system refuses, or one of them was replaced.
    pub fn take(&self, settings: &Settings) -> Result<(), Refusal> {
        let Some(user) = &self.user else { return Ok(()) };
        let layout = repository::layout(settings);
        let (marker, root, state) = (layout.repository_file(), layout.root(), layout.state());
        // All are opened before the first change of owner, and the directory is changed last, because its owner could replace the
        // others with links.
        let marker = open_marker(&marker).map_err(|error| refuse(&marker, user, &error))?;
        // In a directory of another user, only that user's own files belong to that user.
        let marker = marker.filter(|_| is_way_of_root(root));
        let directories = [state, root].into_iter().filter(|path| *path == root || state != root);
        let directories = directories.filter(|path| is_way_of_root(path));
        let directories = directories
            .map(|path| Ok((path, open_directory(path).map_err(|error| refuse(path, user, &error))?)));
        let directories = directories.collect::<Result<Vec<_>, Refusal>>()?;
        if let Some(marker) = marker {
            give(&marker, user).map_err(|error| refuse(&layout.repository_file(), user, &error))?;
        }
        for (path, directory) in directories {
            give(&directory, user).map_err(|error| refuse(path, user, &error))?;
        }
        Ok(())
    }

    /// Makes a file that root has just written readable for the user's group.
    ///
    /// # Errors
    /// When the system refuses, or the file was replaced.
    pub fn let_read(&self, path: &Path) -> Result<(), Refusal> {
        let Some(user) = &self.user else { return Ok(()) };
        let give = || {
            let file = regular_file::open(path, Links::Refuse)?;
            regular_file::check_alone(&file)?;
            if file.metadata()?.uid() != ROOT {
                return Err(io::Error::other("it is not the file that was written"));
            }
            fchown(&file, None, Some(user.gid))
        };
        give().map_err(|error| refuse(path, user, &error))
    }
}

/// `qdrant-backup init`: makes the backup directory a repository, and changes its owner if root created it for another user.
pub fn init_and_give(settings: &Settings, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(settings);
    let is_for_giving = is_for_giving(layout.root());
    let next = format!("; next: `qdrant-backup backup{}`", settings.shown_options());
    let exit = init::init(settings, &next, clock)?;
    if let Some(heir) = heir(&layout).filter(|_| is_for_giving) {
        let owner = Owner { user: Some(heir.clone()) };
        owner.take(settings)?;
        tracing::info!("{} now belongs to {heir}, for the scheduled runs", layout.root().display());
    }
    Ok(exit)
}

/// Makes the backup directory a repository. If root runs this in (or below) another user's directory, who could redirect root's
/// files, `init` runs as that user.
///
/// # Errors
/// As for `init`, and when root's own directory, whose owner is to be changed, contains other files.
pub fn make_repository(settings: &Settings, owner: &Owner, clock: Clock) -> Result<(), Refusal> {
    let layout = repository::layout(settings);
    let root = layout.root();
    if fs::symlink_metadata(layout.repository_file()).is_ok() || uzers::get_effective_uid() != ROOT {
        return init::init(settings, "", clock).map(drop);
    }
    let is_way_of_root = is_way_of_root(root);
    let is_theirs = fs::metadata(root).is_ok_and(|found| found.is_dir() && found.uid() != ROOT);
    if is_way_of_root && !is_theirs {
        if owner.user.is_some() && !is_for_giving(root) {
            return Err(Refusal::configuration(format!(
                "{} contains other files, whose owner would change too; give an empty or a new directory",
                root.display()
            )));
        }
        return init::init(settings, "", clock).map(drop);
    }
    if is_way_of_root {
        repository::make_state_directory(&layout)?;
    }
    let failed =
        |why: String| Refusal::configuration(format!("cannot make {} a repository: {why}", root.display()));
    let mut command = itself::command().map_err(failed)?;
    command.args(["init", "--quiet", "--config", "/dev/null", "--backup-path"]).arg(root);
    command.arg("--state-dir").arg(layout.state()).current_dir("/");
    itself::without_settings(&mut command);
    let ended = itself::run(command, owner.user());
    let ended = ended.map_err(|error| failed(format!("`init` cannot be started: {error}")))?;
    if ended.status.success() {
        return Ok(());
    }
    Err(failed(itself::reason(&ended).unwrap_or_else(|| format!("`init` failed ({})", ended.status))))
}

/// Whether this is root, and the directory, whose name only root controls, either does not exist or is an empty one
/// of root. Leftovers of a killed `init` in it are removed.
fn is_for_giving(path: &Path) -> bool {
    if uzers::get_effective_uid() != ROOT || !is_way_of_root(path) {
        return false;
    }
    match fs::metadata(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(found) if found.uid() != ROOT => false,
        Ok(_) => {
            // If it cannot be removed, the check below fails.
            drop(remove_temporary_files(&Layout::new(path.to_owned(), path.to_owned()), &[]));
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
        }
    }
}

/// `repository.json`, if it belongs to root. The owner of the directory could have moved another file of root there,
/// so its contents are checked.
fn open_marker(path: &Path) -> io::Result<Option<File>> {
    let mut file = regular_file::open(path, Links::Refuse)?;
    regular_file::check_alone(&file)?;
    if file.metadata()?.uid() != ROOT {
        return Ok(None);
    }
    let mut text = Vec::new();
    (&mut file).take(MARKER_MAX_BYTES).read_to_end(&mut text)?;
    json_file::parse::<Repository>(path, &text).map_err(io::Error::other)?;
    Ok(Some(file))
}

/// A directory that setup created or found. The backup directory itself may be a link.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn give(file: &File, user: &User) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.uid() != ROOT {
        return Ok(());
    }
    fchown(file, Some(user.uid), Some(user.gid))?;
    // Changing the owner clears the set-group-id bit.
    file.set_permissions(metadata.permissions())
}

fn refuse(path: &Path, user: &User, error: &io::Error) -> Refusal {
    Refusal::failed(format!("{}: cannot change the owner to {user}: {error}", path.display()))
}
