//! The settings about checking stored backups.

use std::num::NonZeroU32;

use qdrant_backup_shared::config_file::ConfigFile;

use super::layers::{Layers, as_is};
use super::setting::Setting;

/// A month: long enough to be light, short enough to find rot while there are other backups.
const DEFAULT_REREAD_WITHIN_DAYS: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);

/// How stored backups are checked.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// Within how many days scheduled runs read every stored backup again.
    pub reread_within_days: Setting<NonZeroU32>,
}

impl VerifySettings {
    /// Chooses each value.
    pub(super) fn choose(layers: &mut Layers<'_>, config: &ConfigFile) -> Self {
        let located = &config.verify.reread_within_days;
        let reread_within_days = layers.choose_or(
            [layers.config("verify.reread_within_days", located, as_is)],
            DEFAULT_REREAD_WITHIN_DAYS,
        );
        Self { reread_within_days }
    }
}
