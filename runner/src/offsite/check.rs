//! Reads back the data of a place: its structure at every check, and a share of its data.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::OffsiteError;
use super::locks::alone;
use super::restic::Restic;

/// Maximum number of shares in restic.
const SHARES_MAX: u64 = 256;

/// Number of shares needed to read everything within `within`, with one run every `interval`.
pub(super) fn shares(within: Duration, interval: Duration) -> u32 {
    let runs = within.as_secs().checked_div(interval.as_secs()).unwrap_or(SHARES_MAX);
    u32::try_from(runs.clamp(1, SHARES_MAX)).unwrap_or(1)
}

/// Checks the structure of everything, and reads one share of the data.
///
/// # Errors
/// [`OffsiteError::Damaged`] for damage. Other errors mean that there is no result.
pub(super) fn check(restic: &Restic, share: u32, of: u32, now: DateTime<Utc>) -> Result<(), OffsiteError> {
    let data = if of <= 1 { "--read-data".to_owned() } else { format!("--read-data-subset={share}/{of}") };
    let arguments = ["check", data.as_str()];
    alone(restic, now, || restic.call(&arguments)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_within_the_time_in_at_most_so_many_shares_as_restic_knows() {
        const HOUR: Duration = Duration::from_secs(3600);
        assert_eq!(shares(30 * 24 * HOUR, 24 * HOUR), 30);
        assert_eq!(shares(24 * HOUR, 25 * HOUR), 1);
        assert_eq!(shares(30 * 24 * HOUR, HOUR), 256);
        assert_eq!(shares(HOUR, Duration::ZERO), 256);
    }
}
