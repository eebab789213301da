//! The settings about where backups go and what they contain.

use std::num::{NonZeroU8, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use qdrant_backup_shared::config_file::{
    Compression, ConfigFile, DEFAULT_BACKUP_PATH, Located, parse_duration, parse_jobs, parse_rate,
};

use super::layers::{Layers, absolute, as_is, option, optional};
use super::opts::Opts;
use super::selection::{Globs, Selection};
use super::setting::{Setting, Source};

/// Where backups go and what they contain.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The backup directory; absolute.
    pub path: Setting<PathBuf>,
    /// Where lock and status are; absolute, by default the backup directory.
    pub state_dir: Setting<PathBuf>,
    /// How archives are stored.
    pub compression: Setting<Compression>,
    /// Which collections are backed up.
    pub selection: Selection,
    /// Globs of files to back up besides the collections, such as Qdrant's configuration; absolute.
    pub include_files: Setting<Vec<String>>,
    /// Whether the server's own snapshot stays there after it was downloaded.
    pub keep_server_snapshots: Setting<bool>,
    /// How many collections are backed up at a time.
    pub jobs: Setting<NonZeroU8>,
    /// How many bytes a second all downloads together may take.
    pub limit_rate: Setting<Option<NonZeroU64>>,
    /// How long to wait for another run to finish; zero is not at all.
    pub lock_wait: Setting<Duration>,
}

impl BackupSettings {
    /// Chooses each value.
    pub(super) fn choose(layers: &mut Layers<'_>, opts: &Opts, config: &ConfigFile) -> Self {
        let file = &config.backup;
        let path = layers.choose_or(
            [
                option("--backup-path", &opts.backup_path, absolute),
                layers.environment("QDRANT_BACKUP_PATH", |path| absolute(path)),
                layers.env_file("QDRANT_BACKUP_PATH", |path| absolute(path)),
                layers.config("backup.path", &file.path, absolute),
            ],
            PathBuf::from(DEFAULT_BACKUP_PATH),
        );
        let state_dir = layers.choose_or(
            [
                option("--state-dir", &opts.state_dir, absolute),
                layers.environment("QDRANT_BACKUP_STATE_DIR", |path| absolute(path)),
                layers.env_file("QDRANT_BACKUP_STATE_DIR", |path| absolute(path)),
                layers.config("backup.state_dir", &file.state_dir, absolute),
            ],
            path.value.clone(),
        );
        let compression = layers.choose_or(
            [
                option("--compression", &opts.compression, |text| Compression::parse(&text)),
                layers.environment("BACKUP_COMPRESSION", Compression::parse),
                layers.env_file("BACKUP_COMPRESSION", Compression::parse),
                layers.config("backup.compression", &file.compression, as_is),
            ],
            Compression::Gzip,
        );
        let switched_on = opts.keep_server_snapshots.then_some(true);
        let keep_server_snapshots = layers.choose_or(
            [
                option("--keep-server-snapshots", &switched_on, as_is),
                layers.config("backup.keep_server_snapshots", &file.keep_server_snapshots, as_is),
            ],
            false,
        );
        let jobs = layers.choose_or(
            [
                option("--jobs", &opts.jobs, |text| parse_jobs(&text)),
                layers.config("backup.jobs", &file.jobs, as_is),
            ],
            NonZeroU8::MIN,
        );
        let limit_rate = optional(layers.choose([
            option("--limit-rate", &opts.limit_rate, |text| parse_rate(&text)),
            layers.config("backup.limit_rate", &file.limit_rate, as_is),
        ]));
        let lock_wait = layers.choose_or(
            [
                option("--lock-wait", &opts.lock_wait, |text| parse_duration(&text)),
                layers.config("backup.lock_wait", &file.lock_wait, as_is),
            ],
            Duration::ZERO,
        );
        let selection = choose_selection(layers, config);
        let include_files = choose_include_files(layers, config);
        Self {
            path,
            state_dir,
            compression,
            selection,
            include_files,
            keep_server_snapshots,
            jobs,
            limit_rate,
            lock_wait,
        }
    }
}

fn choose_selection(layers: &mut Layers<'_>, config: &ConfigFile) -> Selection {
    if let Some(include) = config.backup.include.as_ref().filter(|include| include.value.is_empty()) {
        let source = layers.config_source("backup.include", include.line);
        layers
            .problems
            .push(source.problem("an empty list includes nothing; remove the line to include everything"));
    }
    let include = choose_globs(layers, "backup.include", config.backup.include.as_ref());
    let exclude = choose_globs(layers, "backup.exclude", config.backup.exclude.as_ref());
    Selection {
        include: optional(include),
        exclude: exclude.unwrap_or_else(|| Setting::default_value(Globs::none())),
    }
}

fn choose_include_files(layers: &mut Layers<'_>, config: &ConfigFile) -> Setting<Vec<String>> {
    let key = "backup.include_files";
    let Some(located) = &config.backup.include_files else { return Setting::default_value(Vec::new()) };
    for pattern in &located.value {
        let problem = if !pattern.value.starts_with('/') {
            Some("not an absolute path".to_owned())
        } else {
            glob::Pattern::new(&pattern.value).err().map(|error| format!("not a glob: {}", error.msg))
        };
        if let Some(problem) = problem {
            let source: Source = layers.config_source(key, pattern.line);
            layers.problems.push(source.problem(problem));
        }
    }
    let value = located.value.iter().map(|pattern| pattern.value.clone()).collect();
    Setting { value, source: layers.config_source(key, located.line) }
}

fn choose_globs(
    layers: &mut Layers<'_>,
    key: &'static str,
    located: Option<&Located<Vec<Located<String>>>>,
) -> Option<Setting<Globs>> {
    let located = located?;
    let patterns = located.value.iter().map(|pattern| pattern.value.clone()).collect();
    match Globs::compile(patterns) {
        Ok(value) => Some(Setting { value, source: layers.config_source(key, located.line) }),
        Err(refused) => {
            for (position, reason) in refused {
                let line = located.value.get(position).map_or(located.line, |pattern| pattern.line);
                let source: Source = layers.config_source(key, line);
                layers.problems.push(source.problem(reason));
            }
            None
        }
    }
}
