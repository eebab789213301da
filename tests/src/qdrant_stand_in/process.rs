//! A server process and the snapshot operations in its telemetry.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a server process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(super) id: String,
    pub(super) work: BTreeMap<String, Work>,
}

/// Snapshot operations of one collection that are in progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) creations: u64,
    pub(super) creations_total: u64,
    pub(super) restores: u64,
}

impl Process {
    /// A process that has just started.
    pub(crate) fn start() -> Process {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let (pid, number) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        Process { id: format!("{pid:08x}-0000-4000-8000-{number:012x}"), work: BTreeMap::new() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A shard snapshot is shown while it is made, but not counted.
    pub(crate) fn begin_creation(&mut self, collection: &str, of_shard: bool) {
        let work = self.work.entry(collection.to_owned()).or_default();
        work.creations += 1;
        work.creations_total += u64::from(!of_shard);
    }

    pub(crate) fn end_creation(&mut self, collection: &str) {
        let work = self.work.entry(collection.to_owned()).or_default();
        work.creations = work.creations.saturating_sub(1);
    }

    pub(crate) fn begin_restore(&mut self, collection: &str) {
        self.work.entry(collection.to_owned()).or_default().restores += 1;
    }

    pub(crate) fn end_restore(&mut self, collection: &str) {
        let work = self.work.entry(collection.to_owned()).or_default();
        work.restores = work.restores.saturating_sub(1);
    }
}
