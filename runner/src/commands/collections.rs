//! `--collection`: the names that a person gives.

use qdrant_backup_shared::CollectionName;

use super::refusal::Refusal;
use crate::choice::Selection;

/// The collections that are named; all, when none is.
pub fn selection(names: &[String]) -> Result<Selection, Refusal> {
    let names = names.iter().map(|name| collection(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Selection::by_names(names))
}

/// The collection that is named.
pub fn collection(name: &str) -> Result<CollectionName, Refusal> {
    CollectionName::new(name).map_err(|error| Refusal::configuration(format!("--collection: {error}")))
}
