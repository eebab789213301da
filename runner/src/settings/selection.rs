//! The collections to back up.

use qdrant_backup_shared::config_file::keys::{EXCLUDE, INCLUDE, INCLUDE_FILES};
use qdrant_backup_shared::config_file::{Knob, Located};
use serde_json::json;

use super::layers::Layers;
use crate::choice::{Globs, Selection};

/// Compiles the globs. An invalid one is reported on its own line.
pub(super) fn choose_selection(layers: &mut Layers<'_>) -> Selection {
    if let Some(include) = layers.config.get(&INCLUDE).filter(|include| include.value.is_empty()) {
        let source = layers.config_source(INCLUDE.key(), include.line);
        layers
            .problems
            .push(source.problem("an empty list includes nothing; remove the line to include everything"));
    }
    let include = choose_globs(layers, &INCLUDE);
    if include.is_none() {
        layers.values.show(INCLUDE.key(), json!(["*"]));
    }
    let exclude = choose_globs(layers, &EXCLUDE).unwrap_or_default();
    Selection::by_globs(include, exclude)
}

fn choose_globs(layers: &mut Layers<'_>, knob: &Knob<Vec<Located<String>>>) -> Option<Globs> {
    let located = layers.config.get(knob)?;
    match Globs::compile(located.value.iter().map(|pattern| pattern.value.clone()).collect()) {
        Ok(globs) => Some(globs),
        Err(refused) => {
            for (position, reason) in refused {
                let line = located.value.get(position).map_or(located.line, |pattern| pattern.line);
                let source = layers.config_source(knob.key(), line);
                layers.problems.push(source.problem(reason));
            }
            None
        }
    }
}

/// Problems of the globs of configuration files, each on its line.
pub(super) fn check_include_files(layers: &mut Layers<'_>) {
    for pattern in layers.values.get(&INCLUDE_FILES) {
        let problem = if !pattern.value.starts_with('/') {
            Some("not an absolute path".to_owned())
        } else {
            glob::Pattern::new(&pattern.value).err().map(|error| format!("not a glob: {}", error.msg))
        };
        if let Some(problem) = problem {
            let source = layers.config_source(INCLUDE_FILES.key(), pattern.line);
            layers.problems.push(source.problem(problem));
        }
    }
}
