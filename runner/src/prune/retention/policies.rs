//! Assigns policies to collections.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::config_file::Policy;
use qdrant_backup_shared::config_file::keys::{OVERRIDES, RULES};

use crate::choice::Globs;
use crate::settings::Settings;

/// No rule is set. This never means "keep none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no retention rule is set: set retention.keep_days (BACKUP_RETENTION_DAYS), keep_last, keep_hourly, \
     keep_daily, keep_weekly, keep_monthly or keep_yearly"
)]
pub struct NoRule;

/// The rules for every collection: those of the first matching glob, otherwise the general ones.
#[derive(Debug, Clone)]
pub struct Policies {
    general: Policy,
    overrides: Vec<(Globs, Policy)>,
}

impl Policies {
    /// The rules in the settings, for every collection.
    ///
    /// # Errors
    /// When there is no rule at all.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoRule> {
        let mut general = Policy::default();
        for rule in RULES {
            if let Some(number) = general.number_mut(rule.name()) {
                *number = settings.get(rule);
            }
        }
        let overrides = settings.get(&OVERRIDES).into_iter().filter_map(|rules| {
            // Every glob was compiled when it was read.
            let globs = Globs::one(&rules.glob.value).ok()?;
            Some((globs, rules.policy))
        });
        Self::new(general, overrides.collect())
    }

    /// The rules of an offsite place: its own for every collection, otherwise those of the settings. None if there are no rules.
    pub fn of_place(own: Option<&Policy>, settings: &Settings) -> Option<Self> {
        match own {
            Some(policy) => Self::new(policy.clone(), Vec::new()).ok(),
            None => Self::from_settings(settings).ok(),
        }
    }

    /// The general rules, with overrides for names that match globs.
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
