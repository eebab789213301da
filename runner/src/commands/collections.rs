//! `--collection`: names from the command line.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::text::shortened;

use super::refusal::Refusal;
use crate::choice::Selection;

/// The collections given by name. All, if there are none.
pub fn selection(names: &[String]) -> Result<Selection, Refusal> {
    let names = names.iter().map(|name| collection(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Selection::by_names(names))
}

/// The collection given by name.
pub fn collection(name: &str) -> Result<CollectionName, Refusal> {
    CollectionName::new(name).map_err(|error| Refusal::configuration(format!("--collection: {error}")))
}

/// The collection of this name, for a command that creates or fills it. `option` gave the name.
///
/// # Errors
/// When Qdrant cannot have it.
pub fn target(option: &str, name: &str) -> Result<CollectionName, String> {
    if let Some(why) = CollectionName::flaw(name) {
        return Err(format!("{option}: Qdrant cannot have a collection \"{}\": {why}", shortened(name, 80)));
    }
    CollectionName::new(name).map_err(|error| format!("{option}: {error}"))
}
