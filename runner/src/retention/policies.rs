//! Which policy is for which collection.

use qdrant_backup_shared::CollectionName;

use super::policy::{NoRule, Policy};
use crate::settings::{Globs, RetentionSettings};

/// The rules for every collection: those of the first glob that matches its name, wholly, else the general ones.
#[derive(Debug, Clone)]
pub struct Policies {
    general: Policy,
    overrides: Vec<(Globs, Policy)>,
}

impl Policies {
    /// The rules that the settings give for every collection.
    ///
    /// # Errors
    /// When there is no rule at all.
    pub fn from_settings(settings: &RetentionSettings) -> Result<Self, NoRule> {
        let general = Policy {
            keep_days: *settings.keep_days,
            keep_last: *settings.keep_last,
            keep_hourly: *settings.keep_hourly,
            keep_daily: *settings.keep_daily,
            keep_weekly: *settings.keep_weekly,
            keep_monthly: *settings.keep_monthly,
            keep_yearly: *settings.keep_yearly,
        };
        let overrides = settings.overrides.iter().filter_map(|rules| {
            let policy = Policy {
                keep_days: rules.keep_days,
                keep_last: rules.keep_last,
                keep_hourly: rules.keep_hourly,
                keep_daily: rules.keep_daily,
                keep_weekly: rules.keep_weekly,
                keep_monthly: rules.keep_monthly,
                keep_yearly: rules.keep_yearly,
            };
            // Every glob was compiled when it was read.
            Some((Globs::compile(vec![rules.glob.value.clone()]).ok()?, policy))
        });
        Self::new(general, overrides.collect())
    }

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
