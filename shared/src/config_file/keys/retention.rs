//! `retention`: which backups to keep. A backup is kept if any rule keeps it.

#![expect(missing_docs, reason = "each says itself what it means")]

use std::num::NonZeroU32;

use super::super::kinds;
use super::super::knob::{Declared, Knob};
use super::overrides::{self, RetentionOverride};
use super::rules::{KEEP_DAILY, KEEP_DAYS, KEEP_HOURLY, KEEP_LAST, KEEP_MONTHLY, KEEP_WEEKLY, KEEP_YEARLY};

pub(super) static RETENTION: &[&dyn Declared] = &[
    &KEEP_DAYS,
    &KEEP_LAST,
    &KEEP_HOURLY,
    &KEEP_DAILY,
    &KEEP_WEEKLY,
    &KEEP_MONTHLY,
    &KEEP_YEARLY,
    &GONE_AFTER_DAYS,
    &OVERRIDES,
];

pub static GONE_AFTER_DAYS: Knob<Option<NonZeroU32>> = Knob::new("retention.gone_after_days", kinds::KEEP)
    .example("90")
    .meaning("Delete all backups of a collection that has been gone from the server for this many days; see below.");

pub static OVERRIDES: Knob<Vec<RetentionOverride>> = Knob::new("retention.overrides", overrides::LIST)
    .example(
        r#"
    - match: "logs-*"
      keep_days: 3
    - match: "{invoices,contracts}_*"
      keep_daily: 30
      keep_yearly: 10"#,
    )
    .meaning("Other rules for some collections; see below.");
