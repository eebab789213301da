//! Values as metrics have them.

use chrono::{DateTime, Utc};

/// 1 or 0.
pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Exact up to 2^53, that is, up to eight million gigabytes.
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

pub(super) fn time(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
