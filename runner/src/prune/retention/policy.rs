//! The rules for one collection.

use std::num::NonZeroU32;

/// Rules of retention; a rule that is not set keeps nothing by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Keep what is at most this many days older than the newest good backup.
    pub keep_days: Option<NonZeroU32>,
    /// Keep this many of the newest.
    pub keep_last: Option<NonZeroU32>,
    /// Keep the newest of each of this many hours.
    pub keep_hourly: Option<NonZeroU32>,
    /// Keep the newest of each of this many days (UTC).
    pub keep_daily: Option<NonZeroU32>,
    /// Keep the newest of each of this many ISO weeks.
    pub keep_weekly: Option<NonZeroU32>,
    /// Keep the newest of each of this many months.
    pub keep_monthly: Option<NonZeroU32>,
    /// Keep the newest of each of this many years.
    pub keep_yearly: Option<NonZeroU32>,
}

/// No rule says what to keep. That is never taken for "keep none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no retention rule is set: say what to keep with retention.keep_days (BACKUP_RETENTION_DAYS), keep_last, keep_hourly, \
     keep_daily, keep_weekly, keep_monthly or keep_yearly"
)]
pub struct NoRule;

impl Policy {
    /// Whether any rule is set.
    pub fn has_rule(&self) -> bool {
        let rules = [
            self.keep_days,
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        rules.iter().any(Option::is_some)
    }
}
