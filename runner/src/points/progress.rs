//! Progress of a comparison: a bar on a terminal, a log line per minute, and the heartbeat.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::session::Session;

/// Interval of log lines.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Number of points between checks of the interval.
const LOOK_EVERY: u64 = 1000;

/// The progress so far.
pub struct Progress<'a> {
    session: &'a mut Session,
    bar: ProgressBar,
    what: &'static str,
    total: Option<u64>,
    done: u64,
    shown: u64,
    told: Instant,
}

impl<'a> Progress<'a> {
    /// For work on about `total` points, such as `Comparing`.
    pub fn new(session: &'a mut Session, bar: ProgressBar, what: &'static str, total: Option<u64>) -> Self {
        Self { session, bar, what, total, done: 0, shown: 0, told: Instant::now() }
    }

    /// Adds this number.
    pub fn add(&mut self, points: u64) {
        self.done += points;
        if self.done - self.shown < LOOK_EVERY {
            return;
        }
        self.shown = self.done;
        self.bar.set_position(self.done);
        self.session.heartbeat();
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let of = self.total.map(|total| format!(" of about {total}")).unwrap_or_default();
            tracing::info!("{}: {}{of} points so far", self.what, self.done);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
