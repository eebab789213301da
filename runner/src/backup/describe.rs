//! The manifest of the stored archives.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::json_file::SCHEMA_VERSION;
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, SHARD_ARCHIVES, Scope, Source};
use qdrant_backup_shared::{CollectionName, PointsCount};

use super::before::Counts;
use super::run::Run;
use super::taken::Taken;

/// The manifest, and the files that it describes.
pub fn describe(
    run: &Run<'_>,
    collection: &CollectionName,
    id: BackupId,
    started_at: DateTime<Utc>,
    points_before: Option<PointsCount>,
    taken: Taken,
) -> (Manifest, Vec<AtomicFile>) {
    let (archives, files): (Vec<Archive>, Vec<AtomicFile>) =
        taken.archives.into_iter().map(|taken| (taken.archive, taken.file)).unzip();
    let by_shard = archives.iter().any(|archive| archive.scope == Scope::Shard);
    let counts = Counts::of(points_before, taken.after.points);
    let aliases = run
        .aliases
        .iter()
        .filter(|alias| alias.collection_name == collection.as_str())
        .map(|alias| alias.alias_name.clone())
        .collect();
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        requires: if by_shard { vec![SHARD_ARCHIVES.to_owned()] } else { Vec::new() },
        backup_id: id,
        collection: collection.clone(),
        origin: Origin::Snapshot,
        run_id: run.session.with(|session| session.run_id().to_owned()),
        started_at,
        completed_at: run.session.now(),
        depends_on: Vec::new(),
        source: Source {
            qdrant_version: run.qdrant_version.clone(),
            points_count_before: counts.exact.map(|(before, _)| before),
            points_count_after: counts.exact.map(|(_, after)| after),
            points_count_approximate: counts.approximate,
            config: taken.config,
            payload_schema: Some(taken.payload_schema).filter(serde_json::Value::is_object),
            aliases: Some(aliases),
            shard_count: Some(taken.shard_count),
            shard_keys: taken.shard_keys,
        },
        points_sample: taken.after.sample,
        archives,
        runner_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    (manifest, files)
}
