//! The values of all settings, with their sources.

use std::collections::BTreeMap;
use std::fmt;

use qdrant_backup_shared::config_file::{Knob, Read};
use serde_json::Value;

use super::setting::Source;

/// The values of all settings, by key. `Debug` only shows the sources, because values may contain passwords.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<&'static str, Chosen>);

#[derive(Clone)]
struct Chosen {
    source: Source,
    read: Read,
}

impl Values {
    /// The value of a setting.
    pub(super) fn get<T: Clone + Default + 'static>(&self, knob: &Knob<T>) -> T {
        let chosen = self.0.get(knob.key());
        let value = chosen.and_then(|chosen| chosen.read.value.downcast_ref::<T>());
        // There is one for each setting.
        value.cloned().unwrap_or_else(|| knob.default_value())
    }

    /// Where the value of a setting came from.
    pub(super) fn source(&self, key: &str) -> Source {
        self.0.get(key).map_or(Source::Default, |chosen| chosen.source.clone())
    }

    /// The text of a setting in `config show`.
    pub(super) fn shown(&self, key: &str) -> Value {
        self.0.get(key).map_or(Value::Null, |chosen| chosen.read.shown.clone())
    }

    pub(super) fn put(&mut self, key: &'static str, read: Read, source: Source) {
        self.0.insert(key, Chosen { source, read });
    }

    /// Sets a value that depends on others.
    pub(super) fn set<T: Default + Send + Sync + 'static>(
        &mut self,
        knob: &Knob<T>,
        value: T,
        source: Source,
    ) {
        self.put(knob.key(), knob.of(value), source);
    }

    /// Sets a different text for `config show`: without secrets, or with the effective value.
    pub(super) fn show(&mut self, key: &str, shown: Value) {
        if let Some(chosen) = self.0.get_mut(key) {
            chosen.read.shown = shown;
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, chosen)| (key, &chosen.source))).finish()
    }
}
