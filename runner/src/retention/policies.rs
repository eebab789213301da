//! Which policy is for which collection.

use std::num::NonZeroU32;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::config_file::Knob;
use qdrant_backup_shared::config_file::keys::{
    KEEP_DAILY, KEEP_DAYS, KEEP_HOURLY, KEEP_LAST, KEEP_MONTHLY, KEEP_WEEKLY, KEEP_YEARLY, OVERRIDES,
};

use super::policy::{NoRule, Policy};
use crate::choice::Globs;
use crate::settings::Settings;

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
    pub fn from_settings(settings: &Settings) -> Result<Self, NoRule> {
        let overrides = settings.get(&OVERRIDES).into_iter().filter_map(|rules| {
            // Every glob was compiled when it was read.
            let globs = Globs::one(&rules.glob.value).ok()?;
            Some((globs, policy(|rule| rules.rule(rule))))
        });
        Self::new(policy(|rule| settings.get(rule)), overrides.collect())
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

fn policy(of: impl Fn(&Knob<Option<NonZeroU32>>) -> Option<NonZeroU32>) -> Policy {
    Policy {
        keep_days: of(&KEEP_DAYS),
        keep_last: of(&KEEP_LAST),
        keep_hourly: of(&KEEP_HOURLY),
        keep_daily: of(&KEEP_DAILY),
        keep_weekly: of(&KEEP_WEEKLY),
        keep_monthly: of(&KEEP_MONTHLY),
        keep_yearly: of(&KEEP_YEARLY),
    }
}
