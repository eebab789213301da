//! The one clock, handed to whoever needs to know when something happened.

use std::fmt;

use chrono::{DateTime, Utc};

/// Tells the time in UTC, to the millisecond. Tests give their own.
#[derive(Clone, Copy)]
pub struct Clock(fn() -> DateTime<Utc>);

impl Clock {
    /// A clock that asks `now`.
    pub const fn new(now: fn() -> DateTime<Utc>) -> Self {
        Self(now)
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        chrono::SubsecRound::trunc_subsecs((self.0)(), 3)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
