//! The settings about which backups stay.

use std::num::NonZeroU32;

use globset::Glob;
use qdrant_backup_shared::config_file::{ConfigFile, Located, RetentionOverride};

use super::layers::{Layers, as_is, optional};
use super::setting::Setting;

/// Which backups stay: those that any rule keeps. A rule that nobody set is `None`.
#[derive(Debug, Clone)]
pub struct RetentionSettings {
    /// Keep what is at most this many days older than the newest good backup.
    pub keep_days: Setting<Option<NonZeroU32>>,
    /// Keep this many of the newest.
    pub keep_last: Setting<Option<NonZeroU32>>,
    /// Keep the last of each of this many hours.
    pub keep_hourly: Setting<Option<NonZeroU32>>,
    /// Keep the last of each of this many days (UTC).
    pub keep_daily: Setting<Option<NonZeroU32>>,
    /// Keep the last of each of this many ISO weeks.
    pub keep_weekly: Setting<Option<NonZeroU32>>,
    /// Keep the last of each of this many months.
    pub keep_monthly: Setting<Option<NonZeroU32>>,
    /// Keep the last of each of this many years.
    pub keep_yearly: Setting<Option<NonZeroU32>>,
    /// Let all backups of a collection expire that has been gone from the server for this many days.
    pub gone_after_days: Setting<Option<NonZeroU32>>,
    /// Other rules for some collections; the first whose glob matches counts, wholly.
    pub overrides: Setting<Vec<RetentionOverride>>,
}

impl RetentionSettings {
    /// Chooses each rule.
    pub(super) fn choose(layers: &mut Layers<'_>, config: &ConfigFile) -> Self {
        let file = &config.retention;
        let keep_days = layers.choose([
            layers.environment("BACKUP_RETENTION_DAYS", positive),
            layers.env_file("BACKUP_RETENTION_DAYS", positive),
            layers.config("retention.keep_days", &file.keep_days, as_is),
        ]);
        let overrides = rule_overrides(layers, config);
        let mut rule = |key, located: &Option<Located<NonZeroU32>>| {
            optional(layers.choose([layers.config(key, located, as_is)]))
        };
        Self {
            keep_days: optional(keep_days),
            keep_last: rule("retention.keep_last", &file.keep_last),
            keep_hourly: rule("retention.keep_hourly", &file.keep_hourly),
            keep_daily: rule("retention.keep_daily", &file.keep_daily),
            keep_weekly: rule("retention.keep_weekly", &file.keep_weekly),
            keep_monthly: rule("retention.keep_monthly", &file.keep_monthly),
            keep_yearly: rule("retention.keep_yearly", &file.keep_yearly),
            gone_after_days: rule("retention.gone_after_days", &file.gone_after_days),
            overrides,
        }
    }
}

fn rule_overrides(layers: &mut Layers<'_>, config: &ConfigFile) -> Setting<Vec<RetentionOverride>> {
    const KEY: &str = "retention.overrides";
    let located = &config.retention.overrides;
    for rules in located.iter().flat_map(|located| &located.value) {
        if let Err(error) = Glob::new(&rules.glob.value) {
            let source = layers.config_source(KEY, rules.glob.line);
            layers.problems.push(source.problem(format!("match: not a glob: {}", error.kind())));
        }
    }
    layers.choose_or([layers.config(KEY, located, as_is)], Vec::new())
}

fn positive(text: &str) -> Result<NonZeroU32, &'static str> {
    text.parse().map_err(|_| "expected a whole number of days, at least 1; leave it unset to keep everything")
}
