//! The server's clock, for snapshot names and the `date` header. Tests can shift or freeze it.

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that may be ahead of the machine's clock, behind it, or stopped.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: TimeDelta,
    frozen_at: Option<DateTime<Utc>>,
}

impl Clock {
    /// The server's current time.
    #[expect(clippy::disallowed_methods, reason = "the one clock of the stand-in")]
    pub fn now(&self) -> DateTime<Utc> {
        self.frozen_at.unwrap_or_else(|| Utc::now() + self.offset)
    }

    /// Moves the server's clock ahead of the machine's (or behind if negative). It keeps running.
    pub fn shift(&mut self, offset: TimeDelta) {
        self.offset = offset;
        self.frozen_at = None;
    }

    /// Stops the server's clock, so that several snapshots get the same second.
    pub fn freeze_at(&mut self, time: DateTime<Utc>) {
        self.frozen_at = Some(time);
    }
}
