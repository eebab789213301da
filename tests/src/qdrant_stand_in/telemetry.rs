//! `GET /telemetry`: which process this is, and the work on snapshots that is under way. Only what clients of backups ask for; the
//! names and levels are those of Qdrant 1.18.3.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::answers::{Reply, ok};
use super::handler::Asked;
use super::state::State;

/// What a server process counts.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    id: String,
    work: BTreeMap<String, Work>,
}

/// Work on the snapshots of one collection that is under way.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    creations: u64,
    creations_total: u64,
    restores: u64,
}

impl Process {
    /// One that has just been started.
    pub(crate) fn start() -> Process {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let (pid, number) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        Process { id: format!("{pid:08x}-0000-4000-8000-{number:012x}"), work: BTreeMap::new() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn begin_creation(&mut self, collection: &str) {
        let work = self.work.entry(collection.to_owned()).or_default();
        work.creations += 1;
        work.creations_total += 1;
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

pub(crate) fn telemetry(state: &State, asked: &Asked) -> Reply {
    let level: u64 = asked.query.get("details_level").and_then(|level| level.parse().ok()).unwrap_or(0);
    let mut collections = json!({ "number_of_collections": state.collections.len() });
    if level >= 1 {
        collections["collections"] = json!([]);
        collections["snapshots"] = json!([]);
    }
    if level >= 2 {
        let snapshots: Vec<Value> = state
            .process
            .work
            .iter()
            .map(|(name, work)| {
                json!({
                    "id": name,
                    "running_snapshots": work.creations,
                    "running_snapshot_recovery": work.restores,
                    "total_snapshot_creations": work.creations_total,
                })
            })
            .collect();
        collections["snapshots"] = json!(snapshots);
    }
    let app = json!({ "name": "qdrant", "version": state.version, "startup": "2026-11-28T00:00:00Z" });
    ok(&json!({ "id": state.process.id, "app": app, "collections": collections }), asked.started)
}
