//! `rate_limit`: a bucket of tokens for all requests together, as in exporter-toolkit.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::config::RateLimit;

/// How full the bucket is.
#[derive(Debug, Default)]
pub(super) struct Rate {
    state: Mutex<Option<Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: RateLimit,
    tokens: f64,
    at: Instant,
}

impl Rate {
    /// Whether one more request is allowed at `now`. A changed limit begins with a full bucket.
    pub(super) fn allows(&self, limit: Option<RateLimit>, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = limit else {
            *state = None;
            return true;
        };
        let full = Bucket { limit, tokens: f64::from(limit.burst), at: now };
        let bucket = match *state {
            Some(bucket) if bucket.limit == limit => bucket,
            Some(_) | None => full,
        };
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() / limit.interval.as_secs_f64();
        let tokens = (bucket.tokens + gained).min(f64::from(limit.burst));
        let allowed = tokens >= 1.0;
        let tokens = if allowed { tokens - 1.0 } else { tokens };
        *state = Some(Bucket { limit, tokens, at: now });
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_one_an_interval() {
        let rate = Rate::default();
        let limit = Some(RateLimit { interval: Duration::from_secs(1), burst: 3 });
        let start = Instant::now();
        let allowed = |milliseconds: u64| rate.allows(limit, start + Duration::from_millis(milliseconds));
        assert_eq!([0, 0, 0, 0].map(allowed), [true, true, true, false]);
        assert_eq!([500, 1100, 1200].map(allowed), [false, true, false]);
        assert_eq!([60_000, 60_000, 60_000, 60_000].map(allowed), [true, true, true, false]);
        assert!(rate.allows(None, start));
        assert!(allowed(60_000), "a limit that comes back begins anew");
    }
}
