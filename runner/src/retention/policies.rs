//! Which policy is for which collection.

use qdrant_backup_shared::CollectionName;

use super::policy::{NoRule, Policy};
use crate::settings::Globs;

/// The rules for every collection: those of the first glob that matches its name, wholly, else the general ones.
#[derive(Debug, Clone)]
pub struct Policies {
    general: Policy,
    overrides: Vec<(Globs, Policy)>,
}

impl Policies {
    /// The general rules and, for the names that a glob matches, others.
    ///
    /// # Errors
    /// When there is no rule at all.
    pub fn new(general: Policy, overrides: Vec<(Globs, Policy)>) -> Result<Self, NoRule> {
        let some = general.has_rule() || overrides.iter().any(|(_, policy)| policy.has_rule());
        if some { Ok(Self { general, overrides }) } else { Err(NoRule) }
    }

    /// The rules for `collection`. They may be none, which [`super::decide()`] refuses.
    pub fn of(&self, collection: &CollectionName) -> &Policy {
        let matching = self.overrides.iter().find(|(globs, _)| globs.matches(collection.as_str()));
        matching.map_or(&self.general, |(_, policy)| policy)
    }
}
