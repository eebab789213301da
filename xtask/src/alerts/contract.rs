//! The severity and delay of each alert, which users rely on.

use super::rules::{Rule, alerts};
use crate::sh::Result;

/// Alert (after `QdrantBackup`), severity, `for`.
const CONTRACT: &[(&str, &str, Option<&str>)] = &[
    ("CollectionTooOld", "critical", Some("5m")),
    ("TooOld", "critical", Some("5m")),
    ("ExporterDown", "warning", Some("10m")),
    ("Blind", "critical", Some("6h")),
    ("NeverRan", "critical", Some("1h")),
    ("RunFailed", "warning", Some("5m")),
    ("NeverSucceeded", "critical", Some("1h")),
    ("CollectionMissing", "critical", Some("15m")),
    ("SnapshotMissing", "critical", Some("15m")),
    ("Incomplete", "critical", Some("15m")),
    ("Incomplete", "warning", Some("15m")),
    ("VerifyTooOld", "warning", Some("1h")),
    ("VerifyFailed", "critical", Some("5m")),
    ("VerifyFailed", "warning", Some("5m")),
    ("DrillTooOld", "info", Some("1h")),
    ("OffsiteTooOld", "critical", Some("15m")),
    ("OffsiteCheckFailed", "critical", Some("5m")),
    ("OffsiteFailed", "warning", Some("5m")),
    ("RunStalled", "warning", Some("5m")),
    ("RunTooLong", "warning", Some("5m")),
    ("RunsSkipped", "warning", Some("0m")),
    ("StartRefused", "warning", Some("5m")),
    ("PruneTooOld", "warning", Some("1h")),
    ("SourceChanged", "critical", Some("5m")),
    ("CollectionGone", "warning", Some("15m")),
    ("PointsDropped", "warning", Some("30m")),
    ("StorageFillingUp", "warning", Some("1h")),
    ("StorageTooSmall", "critical", Some("15m")),
    ("ServerLeftovers", "warning", Some("1h")),
    ("Orphans", "info", Some("6h")),
    ("WebConfigRefused", "warning", Some("10m")),
    ("TimestampInFuture", "warning", Some("10m")),
    ("Watchdog", "none", None),
];

pub(super) fn check(rules: &[Rule]) -> Result<()> {
    let found: Vec<_> =
        alerts(rules).map(|rule| (rule.name.clone(), rule.severity.as_str(), rule.hold.as_deref())).collect();
    let promised: Vec<_> = CONTRACT
        .iter()
        .map(|(name, severity, hold)| (format!("QdrantBackup{name}"), *severity, *hold))
        .collect();
    if let Some((found, promised)) = found.iter().zip(&promised).find(|(found, promised)| found != promised) {
        return Err(format!("the rules have {found:?} where {promised:?} was promised"));
    }
    if found.len() != promised.len() {
        return Err(format!("the rules have {} alerts instead of {}", found.len(), promised.len()));
    }
    println!("{} alerts have the documented severity and delay", found.len());
    Ok(())
}
