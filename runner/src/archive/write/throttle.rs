//! A common rate limit for all downloads of a run.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Unused time can be used later, up to this much.
const BURST: Duration = Duration::from_millis(100);

/// Computes how long to wait after receiving bytes. Without a limit, never.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: Option<NonZeroU64>,
    /// Time at which all bytes so far are due at this rate.
    due: Mutex<Option<Instant>>,
}

impl Throttle {
    /// A limit in bytes per second, or none.
    pub fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, due: Mutex::new(None) }
    }

    /// Records `bytes` received until `now`, and returns how long to wait before the next read.
    pub fn after(&self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        // Nothing can panic while it is held.
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let since = due.map_or(now, |due| due.max(earliest));
        let next = since + Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        *due = Some(next);
        next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_time_that_the_rate_gives_them_however_they_come() {
        let throttle = Throttle::new(NonZeroU64::new(1000));
        let begun = Instant::now();
        let mut now = begun;
        for count in [1, 500, 3, 2000, 496] {
            now += throttle.after(count, now);
        }
        assert_eq!((now - begun).as_millis(), 3000);
    }

    #[test]
    fn time_that_was_not_used_is_made_up_for_a_little_only() {
        let throttle = Throttle::new(NonZeroU64::new(1000));
        let now = Instant::now();
        assert_eq!(throttle.after(100, now), Duration::from_millis(100));
        let late = now + Duration::from_secs(60);
        assert_eq!(throttle.after(300, late), Duration::from_millis(200));
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        assert_eq!(Throttle::new(None).after(u64::MAX, Instant::now()), Duration::ZERO);
    }
}
