//! `qdrant-backup init`: makes a directory a repository.

use std::fs;
use std::io;
use std::path::Path;

use qdrant_backup_shared::{Repository, atomic, json_file};

use super::{Refusal, repository};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::settings::Settings;
use crate::store::file_system::examine;

/// Makes the backup directory a repository. Does nothing if it already is one.
pub fn init(settings: &Settings, next: &str, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(settings);
    let root = layout.root();
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            atomic::create_directory(root).map_err(|error| {
                let hint = if error.kind() == io::ErrorKind::NotFound {
                    "; create its parent directory first"
                } else {
                    ""
                };
                Refusal::configuration(format!(
                    "backup directory {}: cannot be created: {error}{hint}",
                    root.display()
                ))
            })?;
        }
        Ok(_) | Err(_) => repository::check_directory(settings)?,
    }
    repository::make_state_directory(&layout)?;
    let file = layout.repository_file();
    match json_file::read::<Repository>(&file) {
        Ok(repository) => {
            tracing::info!(
                "{} is already a backup repository, since {}; nothing changed",
                root.display(),
                output::time(repository.created_at)
            );
            return Ok(Exit::Success);
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(Refusal::configuration(error)),
    }
    check_file_system(root)?;
    let repository = Repository::new(uuid::Uuid::new_v4().to_string(), clock.now());
    json_file::write_new(&file, &repository)
        .map_err(|error| Refusal::failed(format!("{}: cannot be written: {error}", file.display())))?;
    tracing::info!("{} is now a backup repository{next}", root.display());
    Ok(Exit::Success)
}

/// Refuses a file system that does not support backups, and logs its other limits.
fn check_file_system(root: &Path) -> Result<(), Refusal> {
    // If nothing can be created, writing the repository's file fails with the reason.
    let Ok(manners) = examine(root) else { return Ok(()) };
    for limit in &manners.limits {
        tracing::warn!("File system of {}: {limit}", root.display());
    }
    if manners.refusals.is_empty() {
        return Ok(());
    }
    Err(Refusal::configuration(format!(
        "file system of {}: {}; use another one",
        root.display(),
        manners.refusals.join("; ")
    )))
}
