//! Symbolic links: they are followed, and a dangling link is an error, not a missing file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::layout::Layout;

/// User id of root.
const ROOT: u32 = 0;

/// Handles an `error` of opening `path`, if a missing file is allowed.
///
/// # Errors
/// Unless nothing exists at `path`. A dangling link exists: its disk may not be mounted.
pub fn absent(path: &Path, error: io::Error) -> io::Result<()> {
    if error.kind() != io::ErrorKind::NotFound {
        return Err(error);
    }
    leads_nowhere(path).map_or(Ok(()), Err)
}

/// The problem if `path` is a dangling link.
pub fn leads_nowhere(path: &Path) -> Option<io::Error> {
    let target = fs::read_link(path).ok()?;
    fs::metadata(path).err().filter(|error| error.kind() == io::ErrorKind::NotFound)?;
    let problem = format!("is a link to {}, which does not exist; is the disk mounted?", target.display());
    Some(io::Error::other(problem))
}

/// Checks that `path` in the backup directory is not a link, or that the link and its target belong to root or the owner of the
/// backups. Links of other users could redirect backups.
///
/// # Errors
/// The message contains the owner of the link or its target. Files that cannot be examined cause an error when they are used.
pub fn trusted(layout: &Layout, path: &Path) -> io::Result<()> {
    let Ok(link) = fs::symlink_metadata(path) else { return Ok(()) };
    if !link.is_symlink() {
        return Ok(());
    }
    let owner = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.uid());
    // Both, because one may belong to root while the other belongs to the owner of the backups. The user of this process does not
    // count: the runner and the exporter are different users and must get the same result.
    let owners = [Some(ROOT), owner(layout.root()), owner(&layout.repository_file())];
    let Some((what, uid)) = stranger(&owners, link.uid(), owner(path)) else { return Ok(()) };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{what} that belongs to user {uid}, who is neither root nor the owner of the backup directory, so it is not followed; if it is yours, give it to that owner with chown (the link itself with chown -h), otherwise remove it"
        ),
    ))
}

/// The owner of the link or its target that is not among `owners`.
fn stranger(owners: &[Option<u32>], link: u32, target: Option<u32>) -> Option<(&'static str, u32)> {
    let is_strange = |uid: &u32| !owners.contains(&Some(*uid));
    let link = Some(link).filter(is_strange).map(|uid| ("is a link", uid));
    link.or_else(|| target.filter(is_strange).map(|uid| ("is a link to a place", uid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_that_leads_nowhere_is_something_that_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink(directory.path(), path("good")).unwrap();
        std::os::unix::fs::symlink("void", path("bad")).unwrap();
        assert!(leads_nowhere(&path("good")).is_none());
        assert!(leads_nowhere(directory.path()).is_none());
        assert!(leads_nowhere(&path("nothing")).is_none());
        assert!(leads_nowhere(&path("bad")).unwrap().to_string().contains("a link to void"));
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        assert!(absent(&path("nothing"), not_found()).is_ok());
        assert!(absent(&path("bad"), not_found()).is_err());
        assert!(absent(&path("nothing"), io::Error::from(io::ErrorKind::PermissionDenied)).is_err());
    }

    #[test]
    fn a_link_counts_where_root_or_the_owner_of_the_backups_made_it_and_its_target() {
        let (root, owner, other) = (0, 1000, 1001);
        let owners = [Some(root), Some(owner), None];
        for (link, target, strange) in [
            (root, Some(root), None),
            (owner, Some(root), None),
            (root, Some(owner), None),
            (owner, None, None),
            (other, Some(root), Some("is a link")),
            (other, None, Some("is a link")),
            (owner, Some(other), Some("is a link to a place")),
        ] {
            assert_eq!(
                stranger(&owners, link, target),
                strange.map(|what| (what, other)),
                "{link} {target:?}"
            );
        }
    }
}
