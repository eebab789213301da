//! Records a corrupt backup that was found by a command without the lock, as a restore does.

use std::time::Duration;

use qdrant_backup_shared::BackupId;
use qdrant_backup_shared::Layout;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::text::one_line;

use super::{as_owner, itself};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::user::{ROOT, User};
use crate::restore::{self, Recorded};
use crate::store::lock::ReadersLock;

/// Records that the backup is corrupt because of `problem`. Returns advice; `by` describes how to use another backup.
pub fn on_record(
    layout: &Layout,
    catalog: &Catalog,
    manifest: &Manifest,
    problem: &str,
    took: Duration,
    clock: Clock,
    by: impl FnOnce(BackupId) -> String,
) -> String {
    let owner = as_owner::owner(layout).filter(|_| uzers::get_effective_uid() == ROOT);
    let recorded = match owner {
        Some(owner) => by_verification(layout, manifest, &owner),
        None => here(layout, manifest, problem, took, clock),
    };
    if let Some(warning) = recorded.warning {
        tracing::warn!("{}", one_line(&warning));
    }
    restore::advice(catalog, manifest, recorded.is_done, by)
}

/// Without the lock of writers, which a backup may hold for hours: only a verification of the same bytes also writes this record.
/// Nothing can be deleted in the meantime.
fn here(layout: &Layout, manifest: &Manifest, problem: &str, took: Duration, clock: Clock) -> Recorded {
    let _readers = match ReadersLock::share(&layout.readers_file()) {
        Ok(lock) => lock,
        Err(error) => return Recorded { is_done: false, warning: Some(error.to_string()) },
    };
    let path = layout.manifest(&manifest.collection, manifest.backup_id);
    if !path.exists() {
        let warning = format!("backup {} was deleted in the meantime", manifest.backup_id);
        return Recorded { is_done: false, warning: Some(warning) };
    }
    restore::record(layout, manifest, problem, took, clock.now())
}

/// Root must not write in the owner's directory, so a verification is started as the owner.
fn by_verification(layout: &Layout, manifest: &Manifest, owner: &User) -> Recorded {
    let failed = |why: String| Recorded { is_done: false, warning: Some(why) };
    let mut command = match itself::command() {
        Ok(command) => command,
        Err(why) => return failed(why),
    };
    tracing::info!("Verifying backup {} as its owner {owner}", manifest.backup_id);
    command
        .args(["verify", "--quiet", "--config", "/dev/null", "--collection", manifest.collection.as_str()])
        .args(["--backup", &manifest.backup_id.to_string()])
        .arg("--backup-path")
        .arg(layout.root())
        .arg("--state-dir")
        .arg(layout.state())
        .current_dir("/");
    itself::without_settings(&mut command);
    match owner.run(command) {
        Ok(output) if output.status.code() == Some(i32::from(Exit::VerificationFailed.code())) => {
            Recorded { is_done: true, warning: None }
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            failed(format!("verifying it as {owner} ended with {}: {}", output.status, said.trim()))
        }
        Err(error) => failed(format!("verifying it as {owner}: {error}")),
    }
}
