//! What is wrong with the rules of retention.

use globset::Glob;
use qdrant_backup_shared::config_file::keys::OVERRIDES;

use super::layers::Layers;

/// What is wrong with the globs of the overrides.
pub(super) fn check_overrides(layers: &mut Layers<'_>) {
    for rules in layers.values.get(&OVERRIDES) {
        if let Err(error) = Glob::new(&rules.glob.value) {
            let source = layers.config_source(OVERRIDES.key(), rules.glob.line);
            layers.problems.push(source.problem(format!("match: not a glob: {}", error.kind())));
        }
    }
}
