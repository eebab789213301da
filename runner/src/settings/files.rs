//! Reads the files that settings come from.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::ConfigFile;
pub use qdrant_backup_shared::config_file::DEFAULT_FILES as DEFAULT_CONFIG_FILES;
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::text::one_line;

use super::api_key::ApiKey;
use super::env_file::EnvFile;
use super::layers::Layers;
use super::opts::Keys;
use super::setting::Source;
use crate::host::user::refused;

/// Size limit for configuration and keys.
const MAX_BYTES: u64 = 1 << 20;

/// The only allowed device: an empty file.
const EMPTY: &str = "/dev/null";

/// A small text file as it was read.
pub(super) struct TextFile {
    /// Contents of the file.
    pub(super) text: String,
    /// Whether users outside the file's group may read it.
    pub(super) readable_by_others: bool,
}

impl TextFile {
    /// Reads a file. The size limit comes before the reading, the permissions from the file that was opened.
    ///
    /// # Errors
    /// When it is missing, unreadable, not a regular file, too large, or not UTF-8.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        if path == Path::new(EMPTY) {
            return Ok(Self { text: String::new(), readable_by_others: false });
        }
        let file = regular_file::open(path, Links::Follow)?;
        let readable_by_others = file.metadata()?.permissions().mode() & 0o004 != 0;
        let mut text = String::new();
        if file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_BYTES {
            let message = format!("larger than {MAX_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(Self { text, readable_by_others })
    }
}

/// Reads the env file into the layers, if there is one.
pub(super) fn read_env_file(layers: &mut Layers<'_>) {
    let Some(path) = layers.opts.env_file.as_deref() else { return };
    let file = match TextFile::read(path) {
        Ok(file) => file,
        Err(error) => return layers.problems.push(unreadable("--env-file", path, &error)),
    };
    let (mut env_file, problems) = EnvFile::parse(path, &file.text);
    layers.warnings.append(&mut env_file.warnings);
    if file.readable_by_others && env_file.has_secret() {
        layers.warnings.push(others_can_read("env file with an API key", path));
    }
    layers.problems.extend(problems);
    layers.env_file = env_file;
    layers.env_file_path = Some(path.to_owned());
}

/// Reads `backup.yaml` into the layers: the one asked for, which must exist, or the first default that does.
pub(super) fn read_config_file(layers: &mut Layers<'_>, defaults: &[PathBuf]) {
    let asked = layers.opts.config.as_deref();
    let paths = match asked {
        Some(path) => vec![path],
        None => defaults.iter().map(PathBuf::as_path).collect(),
    };
    for path in paths {
        match TextFile::read(path) {
            Ok(file) => return take_config(layers, path, &file.text),
            Err(error) if asked.is_none() && is_absent(&error) => {}
            Err(error) => {
                let place = if asked.is_some() { "--config" } else { "configuration" };
                return layers.problems.push(unreadable(place, path, &error));
            }
        }
    }
}

/// Adds the text of a `backup.yaml` to the layers.
pub(super) fn take_config(layers: &mut Layers<'_>, path: &Path, text: &str) {
    layers.config_path = Some(path.to_owned());
    layers.config_text = Some(text.to_owned());
    layers.config = ConfigFile::parse(path, text).unwrap_or_else(|invalid| {
        layers.problems.extend(invalid.problems.iter().map(ToString::to_string));
        *invalid.readable
    });
}

/// Reads the API key from a file, for a command that needs it. Errors are reported for the source that names the
/// file. A command that only shows the settings warns instead.
pub(super) fn read_key(layers: &mut Layers<'_>, path: &Path, source: &Source) -> Option<ApiKey> {
    if layers.opts.keys == Keys::Unneeded {
        return None;
    }
    let read = TextFile::read(path).map_err(|error| refused(path, &error)).and_then(|file| {
        if file.readable_by_others {
            layers.warnings.push(others_can_read("API key file", path));
        }
        ApiKey::from_file_content(&file.text).map_err(|error| error.to_string())
    });
    read.map_err(|error| {
        let message = format!("cannot use the API key file {}: {error}", path.display());
        let said = if layers.opts.keys == Keys::Shown { &mut layers.warnings } else { &mut layers.problems };
        said.push(source.problem(message));
    })
    .ok()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(place: &str, path: &Path, error: &io::Error) -> String {
    one_line(&format!("{place}: cannot read {}: {}", path.display(), refused(path, error)))
}

/// Whether users outside the file's group may read it. If that cannot be determined, reading it will show the
/// problem.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// The warning about a secret that every user can read.
pub(super) fn others_can_read(what: &str, path: &Path) -> String {
    let path = path.display();
    one_line(&format!("the {what} can be read by every user of this machine: {path}; chmod o-r {path}"))
}
