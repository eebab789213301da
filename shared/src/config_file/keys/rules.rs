//! The rules of retention, for all collections or for those that an override matches.

#![expect(missing_docs, reason = "each says itself what it means")]

use std::num::NonZeroU32;

use super::super::kinds;
use super::super::knob::Knob;

/// The rules of retention, also allowed in overrides.
pub const RULES: [&Knob<Option<NonZeroU32>>; 7] =
    [&KEEP_DAYS, &KEEP_LAST, &KEEP_HOURLY, &KEEP_DAILY, &KEEP_WEEKLY, &KEEP_MONTHLY, &KEEP_YEARLY];

pub static KEEP_DAYS: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_days", kinds::KEEP)
    .variable("BACKUP_RETENTION_DAYS")
    .example("7")
    .meaning("Keep backups that are at most this many days older than the newest good one.");

pub static KEEP_LAST: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_last", kinds::KEEP)
    .example("3")
    .meaning("Keep this many of the newest backups.");

pub static KEEP_HOURLY: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_hourly", kinds::KEEP)
    .example("24")
    .meaning("Keep the last backup of each hour (UTC), for this many hours.");

pub static KEEP_DAILY: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_daily", kinds::KEEP)
    .example("14")
    .meaning("Keep the last backup of each day (UTC), for this many days.");

pub static KEEP_WEEKLY: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_weekly", kinds::KEEP)
    .example("8")
    .meaning("Keep the last backup of each ISO week, for this many weeks.");

pub static KEEP_MONTHLY: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_monthly", kinds::KEEP)
    .example("12")
    .meaning("Keep the last backup of each month, for this many months.");

pub static KEEP_YEARLY: Knob<Option<NonZeroU32>> = Knob::new("retention.keep_yearly", kinds::KEEP)
    .example("5")
    .meaning("Keep the last backup of each year, for this many years.");
