//! Checks the rules of retention.

use qdrant_backup_shared::config_file::keys::OVERRIDES;

use super::layers::Layers;
use crate::choice::Globs;

/// The problems of the globs in the overrides.
pub(super) fn check_overrides(layers: &mut Layers<'_>) {
    for rules in layers.values.get(&OVERRIDES) {
        if let Err(why) = Globs::one(&rules.glob.value) {
            let source = layers.config_source(OVERRIDES.key(), rules.glob.line);
            layers.problems.push(source.problem(format!("match: {why}")));
        }
    }
}
