//! The `backup.yaml` that setup writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic;
use qdrant_backup_shared::config_file::{Choice, ConfigFile};
use qdrant_backup_shared::regular_file::{self, Links};
use serde_json::json;

use super::super::Refusal;
use super::answers::Answers;
use super::owner::Owner;

/// The scheduled user can read it through its group.
const MODE: u32 = 0o640;

/// A larger file is not a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// The unchanged file of the package.
const SHIPPED: &str = include_str!("../../../../deploy/etc/backup.yaml");

/// Checks whether `target` may be written. Returns whether the existing file must be kept under another name.
///
/// # Errors
/// When it has settings and `force` is not set.
pub fn check(target: &Path, force: bool) -> Result<bool, Refusal> {
    let text = match regular_file::read_text(target, Links::Follow, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Refusal::configuration(format!("{}: {error}", target.display()))),
    };
    let has_settings = text != SHIPPED && ConfigFile::parse(target, &text) != Ok(ConfigFile::default());
    if has_settings && !force {
        return Err(Refusal::configuration(format!(
            "{} already has settings; edit it and run `qdrant-backup config check --trial`, or replace it with --force",
            target.display()
        )));
    }
    Ok(has_settings)
}

/// The text. Values have JSON quotes, which are valid in YAML.
pub fn text(answers: &Answers) -> String {
    let quoted = |value: &str| json!(value).to_string();
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut text = String::from(
        "# Settings of qdrant-backup, written by `qdrant-backup setup`. All keys: docs/configuration.md.\n\
         # `qdrant-backup config show` prints the settings in effect, `config check --trial` tests them.\n",
    );
    let mut section = |name: &str, keys: &[(&str, Option<String>)]| {
        text.push_str(&format!("{name}:\n"));
        for (key, value) in keys {
            if let Some(value) = value {
                text.push_str(&format!("  {key}: {value}\n"));
            }
        }
    };
    let tls = answers.identity.as_ref().map(|identity| {
        format!("{{cert_file: {}, key_file: {}}}", path(&identity.cert_file), path(&identity.key_file))
    });
    section(
        "qdrant",
        &[
            ("url", Some(quoted(&answers.url))),
            ("api_key_file", answers.api_key_file.as_deref().map(path)),
            ("ca_file", answers.ca_file.as_deref().map(path)),
            ("tls", tls),
        ],
    );
    section(
        "backup",
        &[
            ("path", Some(path(&answers.path))),
            ("state_dir", answers.state_dir.as_deref().map(path)),
            ("compression", answers.compression.map(|compression| compression.word().to_owned())),
        ],
    );
    section(
        "schedule",
        &[("cron", Some(quoted(&answers.cron))), ("timezone", answers.timezone.as_deref().map(quoted))],
    );
    section("retention", &[("keep_days", Some(answers.keep_days.to_string()))]);
    text
}

/// Writes the text. An existing file with settings is kept beside it.
pub fn write(target: &Path, text: &str, keep_old: bool, owner: &Owner) -> Result<(), Refusal> {
    let refuse = |what: &Path, error: io::Error| {
        Refusal::configuration(format!("{}: cannot be written: {error}", what.display()))
    };
    if keep_old {
        let old = old_name(target);
        let before = regular_file::read_limited(target, Links::Follow, MAX_BYTES)
            .map_err(|error| refuse(target, error))?;
        atomic::write(&old, MODE, &before).map_err(|error| refuse(&old, error))?;
        tracing::info!("Kept the old settings as {}", old.display());
    }
    if let Some(directory) = target.parent() {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refuse(directory, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    atomic::write(target, MODE, text.as_bytes()).map_err(|error| refuse(target, error))?;
    owner.let_read(target)
}

fn old_name(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".old");
    PathBuf::from(name)
}
