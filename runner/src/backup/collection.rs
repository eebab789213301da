//! The backup of one collection, from the first question to the manifest.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::json_file::SCHEMA_VERSION;
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, Scope, ServerChecksum, Source};
use qdrant_backup_shared::operation::{Outcome, Stage};
use qdrant_backup_shared::points_sample::{PointsSample, SampledPoint};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::{CollectionName, FailureKind, PointsCount, ShardKey, shard_key};
use tokio::task::spawn_blocking;

use super::creation::Adopted;
use super::error::BackupError;
use super::run::Run;
use super::stages::Stages;
use super::{creation, guards, leftovers};
use crate::archive::inspect::config_params_differ;
use crate::archive::write::{Compression, Progress, Received, StreamError, Target, receive};
use crate::qdrant::sample;
use crate::qdrant::{self, CollectionCluster, Snapshot};
use crate::store;

/// How long tidying up on the server may take after an interruption.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// What the server says of a collection before its snapshot is made.
struct Before {
    /// Nothing when it changed while the snapshot was made.
    config: Option<serde_json::Value>,
    payload_schema: serde_json::Value,
    cluster: CollectionCluster,
    /// Nothing when the server does not tell.
    points: Option<PointsCount>,
    sampled: Vec<SampledPoint>,
}

/// A snapshot on the server, and what was counted and sampled right after it was made.
struct Made {
    snapshot: Snapshot,
    points_after: Option<PointsCount>,
    points_sample: Option<PointsSample>,
}

/// Both counts as the manifest has them: exact ones bound what the snapshot holds, others do not.
struct Counts {
    exact: Option<(u64, u64)>,
    approximate: Option<u64>,
}

impl Counts {
    fn of(before: Option<PointsCount>, after: Option<PointsCount>) -> Self {
        if let (Some(before), Some(after)) = (before, after)
            && before.exact
            && after.exact
        {
            return Self { exact: Some((before.points, after.points)), approximate: None };
        }
        let least = before.into_iter().chain(after).map(|count| count.points).min();
        Self { exact: None, approximate: least }
    }

    fn at_least(&self) -> u64 {
        self.exact.map(|(before, after)| before.min(after)).or(self.approximate).unwrap_or(0)
    }
}

/// What is known of the work on a collection while it goes on.
struct Work {
    stages: Stages,
    /// The snapshot that was found in the list because no answer named it, until that is dealt with.
    adopted: Option<Adopted>,
}

/// How the work on a collection ended.
pub enum Ended {
    /// There is something to report.
    Reported(Box<CollectionReport>),
    /// Somebody dropped the collection meanwhile, so there is nothing to back up.
    Dropped(CollectionName),
}

/// Backs up `collection`, whatever it takes, and reports how that ended. Never stops the run.
pub async fn back_up(run: &Run<'_>, collection: &CollectionName) -> Ended {
    let started_at = run.session.now();
    let begun = Instant::now();
    let mut work = Work { stages: Stages::begin(Stage::Inspect), adopted: None };
    run.session.enter_stage(Stage::Inspect, collection);

    let mut result = attempt(run, collection, started_at, &mut work).await;
    let mut dropped = is_dropped(run, collection, &result).await;
    if !dropped
        && let Err(error) = result.as_ref().map(|_| ())
        && error.is_not_found()
    {
        // It was dropped and made again, or somebody deleted the snapshot that had been made of it.
        run.session.warn(format!("\"{collection}\": {error}; the collection is listed, so beginning anew"));
        tidy_server(run, collection, work.adopted.take(), false).await;
        work.stages.enter(Stage::Inspect);
        run.session.enter_stage(Stage::Inspect, collection);
        result = attempt(run, collection, started_at, &mut work).await;
        dropped = is_dropped(run, collection, &result).await;
    }

    let interrupted = matches!(&result, Err(error) if error.kind() == FailureKind::Interrupted);
    work.stages.enter(Stage::Cleanup);
    run.session.enter_stage(Stage::Cleanup, collection);
    // The server may be slow to answer, and whoever looks should see what is waited for.
    run.session.show_status();
    tidy_server(run, collection, work.adopted, interrupted).await;
    if dropped {
        run.session.leave(collection);
        run.session.warn(format!(
            "collection \"{collection}\" was dropped while the run was under way: nothing of it was backed up"
        ));
        // Of one that has no backups.
        store::remove_empty_directory(&run.layout, collection);
        return Ended::Dropped(collection.clone());
    }

    let mut report = CollectionReport::new(collection.clone(), started_at);
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report.stages = work.stages.finish();
    match result {
        Ok(manifest) => {
            report.backup_id = Some(manifest.backup_id);
            report.points = manifest.points_count();
            report.snapshot_size_bytes = Some(manifest.snapshot_size_bytes());
            report.stored_size_bytes = Some(manifest.stored_size_bytes());
            tracing::info!(
                "Backed up {collection}: {} points, {} stored of {}, {}",
                manifest.points_told().map_or_else(|| "?".to_owned(), |points| points.to_string()),
                HumanBytes(manifest.stored_size_bytes()),
                HumanBytes(manifest.snapshot_size_bytes()),
                checksum_words(&manifest)
            );
        }
        Err(error) => {
            tracing::error!("Backup of {collection} failed: {}", error.to_failure().message);
            report.outcome = if interrupted { Outcome::Interrupted } else { Outcome::Failed };
            report.failure = Some(error.to_failure());
        }
    }
    run.session.leave(collection);
    run.session.write_status(|status| {
        let entry = status.collections.entry(collection.clone()).or_default();
        entry.enter(&report);
        entry.on_server = Some(true);
        entry.gone_since = None;
    });
    Ended::Reported(Box::new(report))
}

/// Whether the work failed because the collection is not there any more. Only the list says so: a 404 may be a proxy's, and what
/// a server says of a collection that is being dropped is not always a 404.
async fn is_dropped<T>(run: &Run<'_>, collection: &CollectionName, result: &Result<T, BackupError>) -> bool {
    let Err(error) = result else { return false };
    if !error.may_be_a_dropped_collection() {
        return false;
    }
    let client = run.context.client.clone();
    let client = if error.is_not_found() { client } else { client.asking_once() };
    match client.collections().await {
        Ok(listed) => !listed.contains(collection),
        Err(error) => {
            tracing::debug!("{error}");
            false
        }
    }
}

fn checksum_words(manifest: &Manifest) -> &'static str {
    let matched = manifest.archives.iter().all(|archive| archive.server_checksum == ServerChecksum::Matched);
    if matched { "checksum as the server's" } else { "the server gave no checksum" }
}

async fn attempt(
    run: &Run<'_>,
    collection: &CollectionName,
    started_at: DateTime<Utc>,
    work: &mut Work,
) -> Result<Manifest, BackupError> {
    let mut before = inspect(run, collection).await?;
    let id = store::prepare(&run.layout, collection, started_at)
        .map_err(BackupError::io("making the collection's directory"))?;
    let mut made = make_snapshot(run, collection, &before.sampled, work).await?;
    let received = match fetch(run, collection, id, &made, work).await {
        Err(error) if error.calls_for_a_fresh_snapshot() => {
            run.session.warn(format!("\"{collection}\": {error}; trying once more with a fresh snapshot"));
            let client = run.context.client.clone();
            if let Some(adopted) = work.adopted.take() {
                leftovers::reconsider_adopted(run, &client, adopted).await;
            }
            leftovers::clean_up(run, &client, collection).await;
            made = make_snapshot(run, collection, &before.sampled, work).await?;
            fetch(run, collection, id, &made, work).await?
        }
        other => other?,
    };
    let counts = Counts::of(before.points, made.points_after);
    guards::check_contents(&received.inspection, &before.cluster, counts.at_least())?;
    for oddity in received.inspection.findings.iter().take(3) {
        run.session.warn(format!("\"{collection}\": unusual snapshot: {oddity}"));
    }
    before.config = settled_config(run, collection, before.config, &received).await?;
    let shard_keys = received.inspection.shard_keys();
    note_sharding(run, collection, shard_keys.as_deref());
    work.stages.enter(Stage::Commit);
    run.session.enter_stage(Stage::Commit, collection);
    let manifest = describe(run, collection, id, started_at, before, &made, &received);
    let (layout, file) = (run.layout.clone(), received.file);
    // Others' downloads go on while the disk does its part.
    let committing = spawn_blocking(move || store::commit(&layout, file, &manifest).map(|()| manifest));
    let committed = committing.await.map_err(|error| StreamError::Internal(error.to_string()))?;
    committed.map_err(BackupError::io("putting the archive in its place"))
}

async fn inspect(run: &Run<'_>, collection: &CollectionName) -> Result<Before, BackupError> {
    let client = run.context.client.clone();
    let cluster = client.collection_cluster(collection).await?;
    run.see_peers(cluster.peer_ids());
    let shards = cluster.uncovered_shards();
    if !shards.is_empty() {
        return Err(BackupError::ShardsUncovered { shards });
    }
    let info = client.collection_info(collection).await?;
    let points = count(run, collection).await?;
    let empty = points.is_some_and(|count| count.points == 0);
    let sampled = if empty { None } else { or_without(collection, sample::look(&client, collection).await)? };
    Ok(Before {
        config: Some(info.config),
        payload_schema: info.payload_schema,
        cluster,
        points,
        sampled: sampled.unwrap_or_default(),
    })
}

/// The configuration for the manifest. Somebody may have changed it between our question and the snapshot; what is not
/// the snapshot's would later look like another collection's.
async fn settled_config(
    run: &Run<'_>,
    collection: &CollectionName,
    config: Option<serde_json::Value>,
    received: &Received,
) -> Result<Option<serde_json::Value>, BackupError> {
    let (Some(inside), Some(asked)) = (&received.inspection.config, &config) else { return Ok(config) };
    if !config_params_differ(inside, asked) {
        return Ok(config);
    }
    let again = run.context.client.collection_info(collection).await?.config;
    if !config_params_differ(inside, &again) {
        return Ok(Some(again));
    }
    run.session.warn(format!(
        "\"{collection}\": the snapshot's configuration is not the one that the server tells; is it being changed?"
    ));
    Ok(None)
}

/// How many points there are, if the server tells: a snapshot whose bytes are proven is a backup without that.
async fn count(run: &Run<'_>, collection: &CollectionName) -> Result<Option<PointsCount>, BackupError> {
    let client = &run.context.client;
    match client.while_it_lives(|| run.session.heartbeat(), client.count(collection)).await {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.is_refusal() => {
            run.session.warn(format!(
                "{error}; the backup of \"{collection}\" does not say how many points it has, so no restore is held against that"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Says of a collection with custom sharding how its backup is restored: aloud of its first one, then in the log.
fn note_sharding(run: &Run<'_>, collection: &CollectionName, keys: Option<&[ShardKey]>) {
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return };
    let note = format!(
        "\"{collection}\" has custom sharding: its backups are restored only into a collection that has the same shard keys, {}; \
         docs/recovery.md says how to make one",
        shard_key::list(keys)
    );
    let told = run.session.with(|session| {
        let backups = session.catalog().collections.get(collection);
        backups.is_some_and(|all| all.iter().any(|backup| backup.remarks().shard_keys.is_some()))
    });
    if told {
        tracing::info!("{note}");
    } else {
        run.session.warn(note);
    }
}

/// What there is of a sample, or nothing where it could not be had: a backup without one is still a backup.
fn or_without<T>(
    collection: &CollectionName,
    result: Result<T, qdrant::Error>,
) -> Result<Option<T>, BackupError> {
    match result {
        Ok(sample) => Ok(Some(sample)),
        Err(error @ qdrant::Error::Interrupted) => Err(error.into()),
        Err(error) => {
            tracing::warn!("{error}; drills of this backup of \"{collection}\" will not compare points");
            Ok(None)
        }
    }
}

async fn make_snapshot(
    run: &Run<'_>,
    collection: &CollectionName,
    sampled: &[SampledPoint],
    work: &mut Work,
) -> Result<Made, BackupError> {
    work.stages.enter(Stage::Create);
    run.session.enter_stage(Stage::Create, collection);
    let snapshot = creation::create(run, collection, &mut work.stages, &mut work.adopted).await?;
    tracing::info!("Created snapshot for {collection} ({})", HumanBytes(snapshot.size_bytes));
    let points_after = count(run, collection).await?;
    let confirmed = sample::confirm(&run.context.client, collection, sampled).await;
    let points_sample = or_without(collection, confirmed)?.flatten();
    Ok(Made { snapshot, points_after, points_sample })
}

/// Downloads the snapshot, beginning again when it does not begin or cannot be gone on with.
async fn fetch(
    run: &Run<'_>,
    collection: &CollectionName,
    id: BackupId,
    made: &Made,
    work: &mut Work,
) -> Result<Received, BackupError> {
    let expected_bytes = check_room(run, collection, made.snapshot.size_bytes)?;
    work.stages.enter(Stage::Download);
    let mut retries = 0;
    loop {
        match fetch_once(run, collection, id, &made.snapshot, expected_bytes, work).await {
            Err(BackupError::Qdrant(error) | BackupError::Stream(StreamError::BeginAgain(error)))
                if error.is_transient() && retries < run.context.options.retries =>
            {
                run.session.warn(format!("{error}; beginning the download again"));
                run.context.client.pause_before_retry(retries, &error).await?;
                retries += 1;
            }
            Err(BackupError::Qdrant(cause) | BackupError::Stream(StreamError::Download(cause)))
                if cause.is_not_found() =>
            {
                return Err(BackupError::SnapshotGone { cause });
            }
            other => return other,
        }
    }
}

async fn fetch_once(
    run: &Run<'_>,
    collection: &CollectionName,
    id: BackupId,
    snapshot: &Snapshot,
    expected_bytes: u64,
    work: &mut Work,
) -> Result<Received, BackupError> {
    let compression = run.context.options.compression;
    let download = run.context.client.download(collection, &snapshot.name).await?;
    let expected = snapshot.size_bytes;
    if let Some(got) = download.content_length().filter(|got| *got != expected) {
        return Err(BackupError::SizeMismatch { expected, got });
    }
    let file = store::begin_archive(&run.layout, collection, id, &compression.encoding())
        .map_err(BackupError::io("making the archive"))?;
    let bar = run.context.console.transfer(collection, expected);
    let mut progress = |progress: Progress<'_>| match progress {
        Progress::Arrived(count) => {
            work.stages.add_bytes(count);
            bar.inc(count);
            run.session.heartbeat();
        }
        Progress::Resumed(error) => run.session.warn(format!("{error}; going on where it broke off")),
    };
    let throttle = &run.context.options.throttle;
    let target = Target { file, compression, expected_bytes, snapshot_bytes: expected };
    let received = receive(download, target, throttle, &mut progress).await;
    bar.finish_and_clear();
    let received = received?;
    let got = received.snapshot.size_bytes;
    if got != expected {
        return Err(BackupError::SizeMismatch { expected, got });
    }
    match snapshot.checksum {
        Some(expected) if expected != received.snapshot.sha256 => {
            Err(BackupError::ChecksumMismatch { expected, got: received.snapshot.sha256 })
        }
        Some(_) | None => Ok(received),
    }
}

/// Bytes that the archive will probably take, for which there is room.
fn check_room(run: &Run<'_>, collection: &CollectionName, snapshot_bytes: u64) -> Result<u64, BackupError> {
    let compressed = run.context.options.compression != Compression::None;
    let expected = run.session.with(|session| {
        guards::expected_archive_bytes(session.catalog(), collection, snapshot_bytes, compressed)
    });
    // What does not shrink grows by its framing: less than a thousandth.
    let needed = expected.saturating_add(expected / 1000).saturating_add(store::RESERVE_BYTES);
    let available = store::available_bytes(run.layout.root())
        .map_err(BackupError::io("asking how much room the disk has"))?;
    match available {
        Some(available) if available < needed => Err(BackupError::NoRoom { needed, available }),
        Some(_) | None => Ok(expected),
    }
}

fn describe(
    run: &Run<'_>,
    collection: &CollectionName,
    id: BackupId,
    started_at: DateTime<Utc>,
    before: Before,
    made: &Made,
    received: &Received,
) -> Manifest {
    let compression = run.context.options.compression;
    let path = run.layout.archive(collection, id, &compression.encoding());
    let counts = Counts::of(before.points, made.points_after);
    let aliases = run
        .aliases
        .iter()
        .filter(|alias| alias.collection_name == collection.as_str())
        .map(|alias| alias.alias_name.clone())
        .collect();
    Manifest {
        schema_version: SCHEMA_VERSION,
        requires: Vec::new(),
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
            config: before.config,
            payload_schema: Some(before.payload_schema).filter(serde_json::Value::is_object),
            aliases: Some(aliases),
            shard_count: Some(before.cluster.shard_count),
            shard_keys: received.inspection.shard_keys(),
        },
        points_sample: made.points_sample.clone(),
        archives: vec![Archive {
            file_name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            node_url: Some(run.context.client.url().to_owned()),
            peer_id: Some(before.cluster.peer_id),
            shard_ids: received.inspection.shards_with_segments(),
            scope: Scope::Collection,
            snapshot_name: Some(made.snapshot.name.as_str().to_owned()),
            encoding: compression.encoding(),
            snapshot: received.snapshot,
            stored: received.stored,
            server_checksum: if made.snapshot.checksum.is_some() {
                ServerChecksum::Matched
            } else {
                ServerChecksum::Absent
            },
        }],
        runner_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Removes our snapshot from the server, whether the backup succeeded or not: without its archive it is of no
/// use to us, and it fills the server's disk.
async fn tidy_server(
    run: &Run<'_>,
    collection: &CollectionName,
    adopted: Option<Adopted>,
    interrupted: bool,
) {
    if run.context.options.keep_server_snapshots {
        let url = run.context.client.url().to_owned();
        run.session.amend_status(|status| {
            status
                .undeleted_snapshots
                .retain(|entry| entry.collection != *collection || entry.node_url != url);
        });
        return;
    }
    let client = &run.context.client;
    let client = if interrupted { client.for_cleanup(LAST_REQUESTS) } else { client.clone() };
    if let Some(adopted) = adopted {
        leftovers::reconsider_adopted(run, &client, adopted).await;
    }
    leftovers::clean_up(run, &client, collection).await;
}
