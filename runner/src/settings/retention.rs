//! Which backups stay: the rules that the settings give.

use std::num::NonZeroU32;

use globset::Glob;
use qdrant_backup_shared::config_file::Knob;
use qdrant_backup_shared::config_file::keys::{
    KEEP_DAILY, KEEP_DAYS, KEEP_HOURLY, KEEP_LAST, KEEP_MONTHLY, KEEP_WEEKLY, KEEP_YEARLY, OVERRIDES,
};

use super::layers::Layers;
use super::load::Settings;
use super::selection::Globs;
use crate::retention::{NoRule, Policies, Policy};

impl Settings {
    /// The rules of retention for every collection.
    ///
    /// # Errors
    /// When there is no rule at all.
    pub fn policies(&self) -> Result<Policies, NoRule> {
        let overrides = self.get(&OVERRIDES).into_iter().filter_map(|rules| {
            // Every glob was compiled when it was read.
            let globs = Globs::compile(vec![rules.glob.value.clone()]).ok()?;
            Some((globs, policy(|rule| rules.rule(rule))))
        });
        Policies::new(policy(|rule| self.get(rule)), overrides.collect())
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

/// What is wrong with the globs of the overrides.
pub(super) fn check_overrides(layers: &mut Layers<'_>) {
    for rules in layers.values.get(&OVERRIDES) {
        if let Err(error) = Glob::new(&rules.glob.value) {
            let source = layers.config_source(OVERRIDES.key(), rules.glob.line);
            layers.problems.push(source.problem(format!("match: not a glob: {}", error.kind())));
        }
    }
}
