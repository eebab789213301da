//! The server's clock: what stamps snapshot names and the `date` header. Tests shift or freeze it.

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that may be ahead of, behind, or stopped against the machine's.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: TimeDelta,
    frozen_at: Option<DateTime<Utc>>,
}

impl Clock {
    /// The server's time now.
    #[expect(clippy::disallowed_methods, reason = "the one clock of the stand-in")]
    pub fn now(&self) -> DateTime<Utc> {
        self.frozen_at.unwrap_or_else(|| Utc::now() + self.offset)
    }

    /// Sets the server's clock ahead (or, negative, behind) of the machine's; it runs on.
    pub fn shift(&mut self, offset: TimeDelta) {
        self.offset = offset;
        self.frozen_at = None;
    }

    /// Stops the server's clock, so that several snapshots fall into one second.
    pub fn freeze_at(&mut self, time: DateTime<Utc>) {
        self.frozen_at = Some(time);
    }
}
