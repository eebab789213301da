//! Finds files in the backup directory that this user cannot access, before a run fails on them.

use std::fs;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::Layout;
use rustix::fs::Access;

use crate::host::user::{User, is_denied, mend};

/// Maximum number of listed problems.
const NAMED_MAX: usize = 5;

/// Problems, one line each, with the command to fix it: directories that cannot be written, and files that cannot be read.
pub fn problems(layout: &Layout) -> Vec<String> {
    let mut found: Vec<String> =
        [layout.root(), layout.state()].into_iter().filter_map(directory_problem).collect();
    found.dedup();
    let files = [layout.repository_file(), layout.lock_file(), layout.readers_file(), layout.waiting_file()];
    found.extend(
        files
            .iter()
            .filter(|path| is_denied(path, Access::READ_OK))
            .filter_map(|path| Some(format!("{} cannot be read: {}", path.display(), mend(path)?))),
    );
    found.extend(directory_problem(&layout.collections()));
    let collections = entries(&layout.collections()).chain([layout.files()]);
    found.extend(
        collections
            .filter(|path| path.is_dir())
            .filter_map(|path| directory_problem(&path).or_else(|| files_problem(&path))),
    );
    if found.len() > NAMED_MAX {
        let more = found.len() - NAMED_MAX;
        found.truncate(NAMED_MAX);
        let (me, root) = (User::current().for_chown(), layout.root().display());
        found.push(format!("{more} more like these; to fix all as root: chown -R {me} {root}"));
    }
    found
}

fn directory_problem(path: &Path) -> Option<String> {
    if !is_denied(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return None;
    }
    Some(format!("{} cannot be read and written: {}", path.display(), mend(path)?))
}

fn files_problem(directory: &Path) -> Option<String> {
    let denied: Vec<PathBuf> = entries(directory).filter(|path| is_denied(path, Access::READ_OK)).collect();
    let first = denied.first()?;
    let (me, count, shown) = (User::current().for_chown(), denied.len(), first.display());
    Some(format!(
        "{count} files in {} cannot be read, the first is {shown}: {}; to fix all of them: chown -R {me} {}",
        directory.display(),
        mend(first)?,
        directory.display()
    ))
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    // A directory that cannot be listed was already reported.
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}
