//! Symbolic links: followed wherever they lead somewhere, and never taken for nothing where they do not.

use std::fs;
use std::io;
use std::path::Path;

/// What an `error` of opening `path` means where nothing there would be all right.
///
/// # Errors
/// Unless there is nothing. A link that leads nowhere is something: its disk may not be mounted.
pub fn absent(path: &Path, error: io::Error) -> io::Result<()> {
    if error.kind() != io::ErrorKind::NotFound {
        return Err(error);
    }
    leads_nowhere(path).map_or(Ok(()), Err)
}

/// What is wrong with `path` when it is a link and there is nothing where it leads.
pub fn leads_nowhere(path: &Path) -> Option<io::Error> {
    let target = fs::read_link(path).ok()?;
    fs::metadata(path).err().filter(|error| error.kind() == io::ErrorKind::NotFound)?;
    let problem = format!("is a link to {}, which does not exist; is the disk mounted?", target.display());
    Some(io::Error::other(problem))
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
}
