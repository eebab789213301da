//! The only clock, which is passed to all code that needs the time.

use std::fmt;

use chrono::{DateTime, Utc};

/// Returns the time in UTC, in milliseconds. Tests have their own clock.
#[derive(Clone, Copy)]
pub struct Clock(fn() -> DateTime<Utc>);

impl Clock {
    /// A clock that asks `now`.
    pub const fn new(now: fn() -> DateTime<Utc>) -> Self {
        Self(now)
    }

    /// The current time (UTC).
    pub fn now(&self) -> DateTime<Utc> {
        chrono::SubsecRound::trunc_subsecs((self.0)(), 3)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
