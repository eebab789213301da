//! A start that is refused comes to no session, so it leaves a note of its own for monitoring.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::{Layout, json_file};

use crate::host::clock::Clock;

/// Notes that `command` was refused for `reason`, where that is seen: in a repository, or in the state directory that is set.
/// Nothing is made for it. That it cannot be written is not worth a line: the refusal itself is logged.
pub fn note(layout: &Layout, command: &str, reason: &str, clock: Clock) {
    let has_state = layout.state() != layout.root() && layout.state().is_dir();
    if !(has_state || layout.repository_file().is_file()) || is_roots_mistake(layout.state()) {
        return;
    }
    let path = layout.last_refused_file();
    if let Err(error) = json_file::write(&path, &LastRefused::new(clock.now(), command, reason)) {
        tracing::debug!("{}: cannot be written: {error}", path.display());
    }
}

/// Whether root tried something in somebody else's directory: no schedule did that, and the file would be root's.
fn is_roots_mistake(directory: &Path) -> bool {
    rustix::process::geteuid().is_root() && fs::metadata(directory).is_ok_and(|found| found.uid() != 0)
}
