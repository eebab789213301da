//! Compares the contents of a snapshot with its manifest. Pure functions.

use std::collections::BTreeSet;

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, Scope};

use super::verdict::{Verdict, Weight};
use crate::archive::inspect::{FindingKind, Inspection, SnapshotKind, config_params_differ};

/// Adds the problems in one archive to `verdict`.
pub(super) fn contents(
    manifest: &Manifest,
    archive: &Archive,
    inspection: &Inspection,
    prefix: &str,
    verdict: &mut Verdict,
) {
    let mut add = |weight, kind: &str, message: String| {
        verdict.add(weight, FailureKind::ArchiveCorrupt, kind, format!("{prefix}{message}"));
    };
    // A tar of configuration files is not a snapshot.
    let of_files = archive.scope == Scope::Files;
    for finding in inspection.findings.iter().filter(|finding| !of_files || finding.kind.is_structural()) {
        let weight = if condemns(finding.kind) { Weight::Failed } else { Weight::Oddity };
        add(weight, finding.kind.as_str(), finding.to_string());
    }
    if !inspection.end_marker_reached {
        if !verdict.failed() {
            // An unusual, possibly harmless finding stopped the inspection, so the rest was not checked.
            let message = format!("{prefix}the contents could not be read to the end");
            verdict.add(
                Weight::Unsupported,
                FailureKind::VersionUnsupported,
                "contents_not_followed",
                message,
            );
        }
        return;
    }
    let kind_fits = match archive.scope {
        Scope::Collection => inspection.kind == SnapshotKind::Collection,
        Scope::Shard => inspection.kind == SnapshotKind::Shard,
        Scope::Files | Scope::Other(_) => true,
    };
    if !kind_fits {
        let message = format!("the archive does not contain the snapshot of a {}", archive.scope);
        add(Weight::Failed, "scope_differs", message);
        return;
    }
    if of_files {
        return;
    }
    if let (Some(inside), Some(expected)) = (&inspection.config, &manifest.source.config)
        && config_params_differ(inside, expected)
    {
        let message =
            "config.json: `params` differ from the manifest: is this another collection's snapshot?";
        add(Weight::Failed, "config_differs", message.to_owned());
    }
    if let Some(message) = shards(manifest, archive, inspection) {
        add(Weight::Failed, "shards_differ", message);
    }
}

/// Adds to `verdict` that the backup of a collection with points contains none.
pub(super) fn points(manifest: &Manifest, inspections: &[Inspection], verdict: &mut Verdict) {
    let points = manifest.points_count().unwrap_or(0);
    if points > 0 && inspections.iter().all(Inspection::holds_no_points) {
        let message =
            format!("the manifest counts {points} points, but nothing was ever written to any segment");
        verdict.add(Weight::Failed, FailureKind::EmptySnapshot, "no_points", message);
    }
}

/// Whether a finding makes a backup bad. Unknown data does not: a newer Qdrant may write it. But missing data that every known
/// Qdrant writes would be needed for a restore.
fn condemns(kind: FindingKind) -> bool {
    !(kind.is_oddity() && kind.is_structural())
}

/// Differences between the shards with data and the manifest, if any.
fn shards(manifest: &Manifest, archive: &Archive, inspection: &Inspection) -> Option<String> {
    let expected: BTreeSet<u32> = archive.shard_ids.iter().copied().collect();
    if expected.is_empty() && manifest.origin == Origin::Imported {
        return None;
    }
    let found: BTreeSet<u32> = inspection.shards_with_segments().into_iter().collect();
    if archive.scope == Scope::Shard {
        // A shard snapshot does not contain its shard number.
        return (found.len() != expected.len()).then(|| "the shard has no segments".to_owned());
    }
    let list = |shards: &BTreeSet<u32>| {
        let shown: Vec<String> = shards.iter().take(10).map(u32::to_string).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    };
    (found != expected)
        .then(|| format!("segments are of shards {}, expected shards {}", list(&found), list(&expected)))
}
