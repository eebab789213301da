//! The offsite places, with converted values.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use qdrant_backup_shared::config_file::OffsitePlace;
use qdrant_backup_shared::config_file::keys::OFFSITE;

use super::env_file::assignments;
use super::hooks::find_program;
use super::layers::Layers;
use super::schedule::{Schedule, TimeZone};

/// Size limit for a file of variables.
const ENVIRONMENT_MAX_BYTES: u64 = 1 << 20;

/// A place with its configuration.
#[derive(Debug, Clone)]
pub struct PlaceSettings {
    /// Its settings, with the program's path from `PATH`.
    pub place: OffsitePlace,
    /// When to remove unused data there.
    pub prune: Schedule,
}

impl PlaceSettings {
    /// The name of the place.
    pub fn name(&self) -> &str {
        &self.place.name.value
    }

    /// The environment variables for restic.
    ///
    /// # Errors
    /// One line with the file, never with a value.
    pub fn environment(&self) -> Result<BTreeMap<String, String>, String> {
        let Some(path) = &self.place.environment_file else { return Ok(BTreeMap::new()) };
        read_environment(path).map_err(|problem| format!("environment file {}: {problem}", path.display()))
    }
}

fn read_environment(path: &Path) -> Result<BTreeMap<String, String>, String> {
    use qdrant_backup_shared::regular_file::{Links, read_limited};
    let bytes =
        read_limited(path, Links::Follow, ENVIRONMENT_MAX_BYTES).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    assignments(&text)
}

/// Chooses the places.
pub(super) fn choose_places(layers: &mut Layers<'_>, timezone: TimeZone) -> Vec<PlaceSettings> {
    let path = layers.variable("PATH").unwrap_or(OsStr::new("/usr/bin:/bin")).to_owned();
    let mut places = Vec::new();
    for mut place in layers.values.get(&OFFSITE) {
        if let Some(program) = find_program(&place.restic, &path) {
            place.restic = program;
        }
        match Schedule::parse(&place.prune_schedule.value, timezone) {
            Ok(prune) => places.push(PlaceSettings { place, prune }),
            Err(why) => {
                let source = layers.config_source(OFFSITE.key(), place.prune_schedule.line);
                layers.problems.push(source.problem(format!("prune_schedule: {why}")));
            }
        }
    }
    places
}
