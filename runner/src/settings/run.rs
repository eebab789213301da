//! The settings about scheduled runs.

use qdrant_backup_shared::config_file::ConfigFile;

use super::layers::{Layers, as_is};
use super::setting::Setting;

/// What `run` does besides backing up.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Whether it verifies.
    pub verify: Setting<bool>,
    /// Whether it prunes.
    pub prune: Setting<bool>,
}

impl RunSettings {
    /// Chooses each value.
    pub(super) fn choose(layers: &mut Layers<'_>, config: &ConfigFile) -> Self {
        let file = &config.run;
        Self {
            verify: layers.choose_or([layers.config("run.verify", &file.verify, as_is)], true),
            prune: layers.choose_or([layers.config("run.prune", &file.prune, as_is)], true),
        }
    }
}
