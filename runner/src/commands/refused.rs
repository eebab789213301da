//! Records refused commands for monitoring, because they have no session.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::{Layout, json_file};

use crate::host::clock::Clock;

/// Records that `command` was refused for `reason`, in the repository or the configured state directory. Creates no directories.
/// A failure to write is not logged, because the refusal itself is.
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

/// Whether root ran this in another user's directory: this was not a schedule, and the file would belong to root.
fn is_roots_mistake(directory: &Path) -> bool {
    rustix::process::geteuid().is_root() && fs::metadata(directory).is_ok_and(|found| found.uid() != 0)
}
