//! An empty directory that belongs to the caller, even if others may write to its parent directory.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Only the caller may enter it.
const MODE: u32 = 0o700;

/// An open directory. Actions through [`EmptyDirectory::inside`] take place in it, even if its name leads elsewhere
/// by then.
#[derive(Debug)]
pub struct EmptyDirectory {
    path: PathBuf,
    open: File,
    was_made: bool,
}

/// A directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryProblem {
    /// Something else has this name, for example a link to a directory.
    #[error("is not a directory; name an empty or a new one")]
    NoDirectory,
    /// It is not empty.
    #[error("is not empty; name an empty or a new directory")]
    NotEmpty,
    /// Its owner could change everything in it.
    #[error("belongs to another user; name a new directory")]
    Strangers,
    /// It does not exist, and the system refuses to create it.
    #[error("cannot be created: {0}")]
    Unmade(io::Error),
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl EmptyDirectory {
    /// Creates the directory, or opens an existing empty one.
    ///
    /// # Errors
    /// When it is something else.
    pub fn open(path: &Path) -> Result<Self, DirectoryProblem> {
        let was_made = match DirBuilder::new().mode(MODE).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(DirectoryProblem::Unmade(error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(open) => File::from(open),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(DirectoryProblem::NoDirectory),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        if open.metadata()?.uid() != rustix::process::geteuid().as_raw() {
            return Err(DirectoryProblem::Strangers);
        }
        let directory = Self { path: path.to_owned(), open, was_made };
        directory.check_empty()?;
        Ok(directory)
    }

    /// Denies access to everyone else from now on.
    ///
    /// # Errors
    /// When another user was faster.
    pub fn close_to_others(&self) -> Result<(), DirectoryProblem> {
        self.open.set_permissions(Permissions::from_mode(MODE))?;
        self.check_empty()
    }

    /// A path that leads into it. See proc(5), `/proc/pid/fd`.
    pub fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.open.as_raw_fd()))
    }

    /// Its name for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it if it was created here, still has its name and is empty.
    ///
    /// # Errors
    /// When it should be removed and cannot be.
    pub fn remove(&self) -> io::Result<()> {
        let (ours, named) = (self.open.metadata()?, fs::symlink_metadata(&self.path)?);
        if !self.was_made || (ours.dev(), ours.ino()) != (named.dev(), named.ino()) {
            return Ok(());
        }
        fs::remove_dir(&self.path)
    }

    fn check_empty(&self) -> Result<(), DirectoryProblem> {
        match fs::read_dir(self.inside())?.next() {
            None => Ok(()),
            Some(_) => Err(DirectoryProblem::NotEmpty),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_put_into_it_is_there_wherever_its_name_leads_by_then() {
        let place = tempfile::tempdir().unwrap();
        let (path, victim) = (place.path().join("new"), place.path().join("victim"));
        fs::create_dir(&victim).unwrap();
        let directory = EmptyDirectory::open(&path).unwrap();
        std::process::Command::new("mv").args([&path, &place.path().join("away")]).status().unwrap();
        symlink(&victim, &path).unwrap();
        File::create(directory.inside().join("file")).unwrap();
        assert!(place.path().join("away/file").exists());
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        fs::remove_file(directory.inside().join("file")).unwrap();
        directory.remove().unwrap();
        assert!(victim.exists() && path.is_symlink(), "what has its name now is somebody else's");
    }

    #[test]
    fn only_an_empty_directory_will_do_and_one_that_was_there_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let problem = |name: &str| EmptyDirectory::open(&path(name)).unwrap_err();
        fs::create_dir(path("there")).unwrap();
        symlink("there", path("link")).unwrap();
        File::create(path("file")).unwrap();
        assert!(matches!(problem("link"), DirectoryProblem::NoDirectory));
        assert!(matches!(problem("file"), DirectoryProblem::NoDirectory));
        assert!(matches!(problem(""), DirectoryProblem::NotEmpty));
        assert!(matches!(problem("no/where"), DirectoryProblem::Unmade(_)));
        EmptyDirectory::open(&path("there")).unwrap().remove().unwrap();
        EmptyDirectory::open(&path("new")).unwrap().remove().unwrap();
        assert!(path("there").exists() && !path("new").exists());
    }
}
