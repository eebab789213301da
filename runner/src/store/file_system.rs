//! Tests the features of a directory's file system, for `init` and `config check`.
//!
//! All operations of a run are tested in a temporary directory, so that problems are found before the first backup.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use qdrant_backup_shared::atomic::{
    self, ARCHIVE_MODE, AtomicFile, DIRECTORY_MODE, JSON_MODE, TEMPORARY_SUFFIX,
};
use qdrant_backup_shared::file_system::{Taken, rename_new, room, syncs_directories};

use crate::host::user::ROOT;

/// Properties of a file system.
#[derive(Debug, Default)]
pub struct Manners {
    /// Why backups are not possible there, one line each.
    pub refusals: Vec<String>,
    /// Its limits and their effects, one line each.
    pub limits: Vec<String>,
    /// Whether names that differ only by case are one name.
    pub folds_case: bool,
}

/// Tests the file system of `directory`.
///
/// # Errors
/// When a directory cannot be created there. Also for root in another user's directory, because that user could redirect root's
/// writes.
pub fn examine(directory: &Path) -> io::Result<Manners> {
    if uzers::get_effective_uid() == ROOT && fs::metadata(directory)?.uid() != ROOT {
        return Err(io::Error::other("it belongs to another user, and root does not test it"));
    }
    let place = tempfile::Builder::new().prefix(".probe.").suffix(TEMPORARY_SUFFIX).tempdir_in(directory)?;
    let place = place.path();
    let mut manners = Manners::default();
    let refusals = [
        ("it cannot write and replace files", replaces(place)),
        ("it cannot keep a new file from replacing another", spares(place)),
        ("it has no locks (flock), so two runs could collide (NFS: mount it without `nolock`)", locks(place)),
    ];
    for (what, tried) in refusals {
        if let Err(error) = tried {
            manners.refusals.push(format!("{what}: {error}"));
        }
    }
    if manners.refusals.is_empty() {
        look(place, &mut manners)
            .unwrap_or_else(|error| manners.refusals.push(format!("it cannot be tested: {error}")));
    }
    Ok(manners)
}

fn replaces(place: &Path) -> io::Result<()> {
    let path = place.join("replaced");
    atomic::write(&path, JSON_MODE, b"one")?;
    atomic::write(&path, JSON_MODE, b"other")?;
    expect(fs::read(&path)? == b"other", "the data written last is missing")
}

fn spares(place: &Path) -> io::Result<()> {
    let path = place.join("spared");
    let begin = |text: &[u8]| -> io::Result<AtomicFile> {
        let mut file = AtomicFile::create(&path, ARCHIVE_MODE)?;
        file.file().write_all(text)?;
        Ok(file)
    };
    begin(b"first")?.commit_new()?;
    let second = begin(b"second")?.commit_new();
    expect(second.is_err() && fs::read(&path)? == b"first", "an existing file was replaced")
}

fn locks(place: &Path) -> io::Result<()> {
    let path = place.join("locked");
    let held = File::create_new(&path)?;
    held.lock()?;
    match File::open(&path)?.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Err(io::Error::other("a second lock was granted")),
    }
}

fn expect(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.to_owned())) }
}

/// Checks for missing optional features.
fn look(place: &Path, manners: &mut Manners) -> io::Result<()> {
    let limits = &mut manners.limits;
    if !syncs_directories(place)? {
        limits.push(
            "it cannot sync directories: after a power failure the newest backups may be gone".to_owned(),
        );
    }
    let mode = |name: &str| Ok::<_, io::Error>(fs::metadata(place.join(name))?.permissions().mode() & 0o7777);
    atomic::create_directory(&place.join("directory"))?;
    let (archive, json, directory) = (mode("spared")?, mode("replaced")?, mode("directory")?);
    let differs = [(archive, ARCHIVE_MODE), (json, JSON_MODE)].into_iter().find(|(is, should)| is != should);
    if let Some((is, should)) = differs {
        limits.push(format!(
            "it does not keep file modes (a file has {is:04o}, not {should:04o}): its mount options decide who can read the backups"
        ));
    } else if directory != DIRECTORY_MODE {
        limits.push(format!(
            "its directories do not pass on their group (a directory has {directory:04o}, not \
             {DIRECTORY_MODE:04o}): make sure that the exporter's user can read them"
        ));
    }
    if rename_new(&place.join("replaced"), &place.join("renamed"))? == Taken::Looked {
        limits.push(
            "it has neither renames without replacement nor hard links: names are checked before they are \
             used, so nothing else should write there"
                .to_owned(),
        );
    }
    if room(place)?.is_none() {
        limits.push(
            "it does not report its free space: a full disk is noticed only when a write fails".to_owned(),
        );
    }
    manners.folds_case = place.join("SPARED").try_exists()?;
    if manners.folds_case {
        limits.push(
            "it does not distinguish upper and lower case: of collections whose names differ only in case, only one can be backed up"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_system_has_nothing_to_be_said_against_it_and_nothing_stays_there() {
        let directory = tempfile::tempdir().unwrap();
        let manners = examine(directory.path()).unwrap();
        assert!(manners.refusals.is_empty(), "{manners:?}");
        assert!(!manners.folds_case);
        assert!(!manners.limits.iter().any(|limit| limit.contains("cannot sync directories")), "{manners:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_where_nothing_can_be_made_is_an_error() {
        assert!(examine(Path::new("/proc")).is_err());
    }
}
