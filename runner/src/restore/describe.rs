//! A plan as text and as JSON.

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Condition, Whole};
use qdrant_backup_shared::text::{number_of, shortened};
use qdrant_backup_shared::{ShardKey, shard_key};
use serde_json::{Value, json};

use super::plan::{ByShard, Existing, Plan};
use crate::host::output;

/// Maximum number of shown configuration differences.
const SHOWN_DIFFERENCES: usize = 12;

/// The plan in a few lines.
pub fn as_text(plan: &Plan, now: DateTime<Utc>) -> String {
    let mut lines = vec![plan.collection.to_string()];
    let mut line = |label: &str, text: String| lines.push(format!("  {label:<14}{text}"));
    if let Some(backup) = &plan.backup {
        line("backup", backup_words(backup, now));
        line("verified", verified_words(&backup.backup));
    }
    if let Some(keys) = &plan.shard_keys {
        line("sharding", sharding_words(keys));
    }
    line("into", target_words(plan));
    if let Some(by_shard) = &plan.by_shard {
        line("shards", shard_words(by_shard));
    }
    if let Some(node) = &plan.on_node {
        line("shards", format!("all of them will be on {node}, which receives the snapshot"));
    }
    for difference in plan.differences.iter().take(SHOWN_DIFFERENCES) {
        line("differs", difference.to_string());
    }
    if plan.differences.len() > SHOWN_DIFFERENCES {
        line("differs", format!("and {} more", plan.differences.len() - SHOWN_DIFFERENCES));
    }
    if plan.existing.is_some() && plan.is_possible() && !plan.is_there && plan.by_shard.is_none() {
        let first = if plan.safety_backup { "a safety backup of the collection" } else { "NO safety backup" };
        line("first", first.to_owned());
    }
    if !plan.had_aliases.is_empty() {
        line("aliases", alias_words(plan));
    }
    for obstacle in &plan.obstacles {
        line("REFUSED", qdrant_backup_shared::text::one_line(&obstacle.to_string()));
    }
    lines.join("\n")
}

fn backup_words(backup: &Whole, now: DateTime<Utc>) -> String {
    let manifest = &backup.manifest;
    let age = if manifest.started_at > now {
        "dated in the future".to_owned()
    } else {
        format!("{} old", output::age(manifest.started_at, now))
    };
    format!(
        "{}, {age}, {} points, {} ({} stored), from Qdrant {}",
        manifest.backup_id,
        manifest.points_told().map_or_else(|| "unknown".to_owned(), |points| points.to_string()),
        HumanBytes(manifest.snapshot_size_bytes()),
        HumanBytes(manifest.stored_size_bytes()),
        manifest
            .source
            .qdrant_version
            .as_deref()
            .map_or_else(|| "unknown".to_owned(), |text| shortened(text, 40)),
    )
}

fn verified_words(backup: &Backup) -> String {
    match backup.condition() {
        Condition::OffsiteOnly => "only offsite".to_owned(),
        Condition::Incomplete => "INCOMPLETE".to_owned(),
        Condition::Failed => "FAILED".to_owned(),
        Condition::Unknown => {
            let why = backup.remarks().unknown.as_deref().unwrap_or_default();
            format!("UNKNOWN: {}", qdrant_backup_shared::text::one_line(why))
        }
        Condition::Good => backup
            .deepest_pass()
            .map_or_else(|| "never".to_owned(), |(level, at)| format!("{level}, {}", output::time(at))),
    }
}

fn target_words(plan: &Plan) -> String {
    match &plan.existing {
        None => format!("{} (new)", plan.target),
        Some(_) if plan.by_shard.as_ref().is_some_and(|by_shard| by_shard.begun.is_some()) => {
            format!("{}, which an earlier restore created but did not finish", plan.target)
        }
        Some(Existing { points }) if plan.is_there => {
            let points = points.map_or_else(String::new, |points| format!(" ({points} points)"));
            let over = if plan.by_shard.is_none() { "; --force restores over it" } else { "" };
            format!("{}, which already exists{points}: SKIPPED{over}", plan.target)
        }
        Some(Existing { points }) => {
            let points = points.map_or_else(String::new, |points| format!("{points} "));
            format!(
                "{}, WHICH EXISTS: its {points}points are replaced, its own configuration stays",
                plan.target
            )
        }
    }
}

fn shard_words(by_shard: &ByShard) -> String {
    let ByShard { shards, copies, nodes, begun } = by_shard;
    let copies = if *copies > 1 { format!(", {copies} copies of each") } else { String::new() };
    let begun = begun.as_ref().map_or_else(String::new, |begun| {
        let left = shards.saturating_sub(begun.done.len());
        format!("; CONTINUES an unfinished restore: {left} of them are left")
    });
    format!(
        "{}, each uploaded to a node that holds it, on {}{copies}{begun}",
        number_of(*shards, "shard"),
        number_of(*nodes, "node")
    )
}

fn sharding_words(keys: &[ShardKey]) -> String {
    if keys.is_empty() {
        return "custom, without shard keys: there are no points, so only the configuration is restored"
            .to_owned();
    }
    format!("custom, with the shard keys {}", shard_key::list(keys))
}

fn alias_words(plan: &Plan) -> String {
    let all: Vec<String> = plan.had_aliases.iter().map(|alias| shortened(alias, 120)).collect();
    if plan.aliases.is_empty() {
        return format!("{} (not set)", all.join(", "));
    }
    let set: Vec<String> = plan
        .aliases
        .iter()
        .map(|change| {
            format!("{}{}", shortened(&change.alias, 120), if change.moves { " (moved)" } else { "" })
        })
        .collect();
    format!("{} -> {}", set.join(", "), plan.target)
}

/// The plan for `--json`.
pub fn as_json(plan: &Plan, now: DateTime<Utc>) -> Value {
    let manifest = plan.backup.as_ref().map(|backup| &backup.manifest);
    json!({
        "collection": plan.collection,
        "target": plan.target,
        "backup_id": manifest.map(|manifest| manifest.backup_id),
        "age_seconds": manifest.map(|manifest| (now - manifest.started_at).as_seconds_f64()),
        "points": manifest.and_then(|manifest| manifest.points_count()),
        "snapshot_size_bytes": manifest.map(|manifest| manifest.snapshot_size_bytes()),
        "stored_size_bytes": manifest.map(|manifest| manifest.stored_size_bytes()),
        "qdrant_version": manifest.and_then(|manifest| manifest.source.qdrant_version.clone()),
        "verified": plan.backup.as_ref().map(|backup| verified_words(&backup.backup)),
        "target_exists": plan.existing.is_some(),
        "target_points": plan.existing.as_ref().and_then(|existing| existing.points).map(|count| count.points),
        "shard_keys": plan.shard_keys,
        "shards": plan.by_shard.as_ref().map(|by_shard| json!({
            "count": by_shard.shards,
            "copies": by_shard.copies,
            "nodes": by_shard.nodes,
            "restored_before": by_shard.begun.as_ref().map(|begun| &begun.done),
        })),
        "on_node": plan.on_node,
        "differences": plan.differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "aliases": plan.aliases.iter().map(|change| &change.alias).collect::<Vec<_>>(),
        "safety_backup": plan.safety_backup,
        "skipped": plan.is_there && plan.is_possible(),
        "obstacles": plan.obstacles.iter().map(|obstacle| json!({
            "kind": obstacle.kind(),
            "message": qdrant_backup_shared::text::one_line(&obstacle.to_string()),
        })).collect::<Vec<_>>(),
    })
}
