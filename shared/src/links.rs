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

/// What is wrong with `path`, which was not found, when it is a link.
pub fn leads_nowhere(path: &Path) -> Option<io::Error> {
    let target = fs::read_link(path).ok()?;
    let problem = format!("is a link to {}, which does not exist; is the disk mounted?", target.display());
    Some(io::Error::other(problem))
}
