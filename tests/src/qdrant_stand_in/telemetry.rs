//! `GET /telemetry`: the process and its snapshot operations in progress. Contains only what backup clients use, with
//! the names and levels of Qdrant 1.18.3.

use serde_json::{Value, json};

use super::answers::{Reply, ok};
use super::request::Asked;
use super::state::State;

pub(crate) fn telemetry(state: &State, asked: &Asked) -> Reply {
    let process = &state.nodes[asked.node.min(state.nodes.len() - 1)].process;
    let level: u64 = asked.query.get("details_level").and_then(|level| level.parse().ok()).unwrap_or(0);
    let mut collections = json!({ "number_of_collections": state.collections.len() });
    if level >= 1 {
        collections["collections"] = json!([]);
        collections["snapshots"] = json!([]);
    }
    if level >= 2 {
        let snapshots: Vec<Value> = process
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
    ok(&json!({ "id": process.id, "app": app, "collections": collections }), asked.started)
}
