//! How long to wait before a retry.

use std::time::Duration;

use chrono::{DateTime, Utc};

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The longest wait that a server can impose with `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// The pause before the retry with number `retry` (from 0): the server's request, otherwise 0.5 s doubled each time
/// up to 30 s. `random` (0 to 1) shortens the latter by up to half, so that many clients do not return at once.
pub fn delay(retry: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    if let Some(asked) = retry_after {
        return asked.min(LONGEST_RETRY_AFTER);
    }
    let full = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(retry)).min(LONGEST_DELAY);
    full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

/// The wait requested by a `Retry-After` header: seconds, or a date that is compared with the server's own `Date`.
pub fn retry_after(value: &str, server_time: Option<DateTime<Utc>>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some((until.to_utc() - server_time?).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_jitter_takes_at_most_half() {
        assert_eq!(delay(0, None, 0.0), Duration::from_millis(500));
        assert_eq!(delay(3, None, 0.0), Duration::from_secs(4));
        assert_eq!(delay(3, None, 1.0), Duration::from_secs(2));
        assert_eq!(delay(u32::MAX, None, 0.0), LONGEST_DELAY);
    }

    #[test]
    fn the_server_may_ask_for_a_pause_but_not_for_ever() {
        assert_eq!(delay(0, Some(Duration::from_secs(7)), 1.0), Duration::from_secs(7));
        assert_eq!(delay(0, Some(Duration::from_secs(1_000_000)), 0.0), LONGEST_RETRY_AFTER);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Some("2026-11-23T00:53:00Z".parse().unwrap());
        assert_eq!(retry_after("120", None), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 00:53:52 GMT", now), Some(Duration::from_secs(52)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 00:52:52 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Mon, 23 Nov 2026 00:53:52 GMT", None), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
