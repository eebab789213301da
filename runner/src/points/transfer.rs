//! Exports a backup as JSON lines, and imports them into a collection. The format is in docs/points.md.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use qdrant_backup_shared::manifest::is_custom;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::{BackupId, CollectionName, ShardKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bring_back::{Target, upsert};
use super::by_id;
use super::difference::{Rules, difference};
use super::error::PointsError;
use super::id::PointId;
use super::input::{Input, POINT_MAX_BYTES};
use super::output::Output;
use super::page_size::PageSize;
use super::pages::{Pages, Reading, ServerPages};
use super::point::Point;
use super::progress::Progress;
use super::source::{self, SourceOptions};
use crate::backup::Stages;
use crate::choice::Which;
use crate::qdrant::{Client, CreateBody, Existing, PayloadIndex, replication_factor};
use crate::restore::{Destination, scratch, steps};
use crate::session::Session;

/// The version of the format.
const FORMAT: u32 = 1;
/// Key in the last line, with the number of points.
const END: &str = "points_in_all";
/// Maximum number of points, and size of their text, per batch.
const WAITING_POINTS: usize = 500;
const WAITING_BYTES: usize = 4 << 20;

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub qdrant_backup_points: u32,
    /// The collection that was backed up.
    pub collection: String,
    /// Id of the exported backup.
    pub backup_id: String,
    /// The version of the server.
    #[serde(default)]
    pub qdrant_version: Option<String>,
    /// The collection's configuration from that server.
    #[serde(default)]
    pub config: Value,
    /// Its payload indexes from that server.
    #[serde(default)]
    pub payload_schema: Value,
    /// Its shard keys, with custom sharding.
    #[serde(default)]
    pub shard_keys: Option<Vec<ShardKey>>,
}

/// What to export, and how.
pub struct ExportContext {
    /// The server for the temporary restore.
    pub scratch: Destination,
    /// How to choose it.
    pub source: SourceOptions,
    /// Backup to export.
    pub which: Which,
    /// Maximum number of points per second.
    pub most_a_second: Option<NonZeroU32>,
}

/// The result of an export.
#[derive(Debug)]
pub struct Exported {
    /// Backup that was exported.
    pub backup_id: BackupId,
    /// The number of points.
    pub points: u64,
    /// Duration of reading.
    pub took: Duration,
}

/// Restores the backup into a scratch collection and writes all of its points.
///
/// # Errors
/// As [`PointsError`] says.
pub async fn export_points(
    session: &mut Session,
    context: &ExportContext,
    output: &mut Output,
) -> Result<Exported, PointsError> {
    let facts = source::begin(session, &context.scratch).await?;
    let backup = source::choose(session, &facts, &context.source, context.which)?;
    let name = scratch::name_for(session, &context.source.collection);
    let mut stages = Stages::begin(Stage::Inspect);
    let filled = source::fill(session, &context.scratch, &facts, &backup, &name, &mut stages).await;
    let written = match filled {
        Ok(()) => {
            let header = Header {
                qdrant_backup_points: FORMAT,
                collection: context.source.collection.as_str().to_owned(),
                backup_id: backup.manifest.backup_id.to_string(),
                qdrant_version: backup.manifest.source.qdrant_version.clone(),
                config: backup.manifest.source.config.clone().unwrap_or_default(),
                payload_schema: backup.manifest.source.payload_schema.clone().unwrap_or_default(),
                shard_keys: backup.manifest.source.shard_keys.clone(),
            };
            write_all(session, context, &name, header, output).await
        }
        Err(error) => Err(error),
    };
    scratch::remove(session, &context.scratch, &name).await;
    session.show_status();
    let (points, took) = written?;
    Ok(Exported { backup_id: backup.manifest.backup_id, points, took })
}

async fn write_all(
    session: &mut Session,
    context: &ExportContext,
    name: &CollectionName,
    mut header: Header,
    output: &mut Output,
) -> Result<(u64, Duration), PointsError> {
    let client = &context.scratch.client;
    let info = client.collection_info(name).await?;
    if header.config.is_null() {
        // An imported backup does not contain it, but the restored collection does.
        (header.config, header.payload_schema) = (info.config, info.payload_schema);
    }
    let line = serde_json::to_string(&header).map_err(|error| PointsError::File {
        what: "the first line cannot be written".to_owned(),
        source: error.into(),
    })?;
    output.line(&line)?;
    let bar = context.scratch.console.points(&context.source.collection, info.points_count);
    let mut progress = Progress::new(session, bar, "Export", info.points_count);
    let begun = Instant::now();
    let reading = Reading { filter: None, most_a_second: context.most_a_second };
    let mut pages = ServerPages::read(client.clone(), name.clone(), reading);
    let mut points = 0;
    while let Some(page) = pages.next().await? {
        for point in &page {
            output.line(&point.line())?;
        }
        points += page.len() as u64;
        progress.add(page.len() as u64);
    }
    output.line(&json!({ END: points }).to_string())?;
    Ok((points, begun.elapsed()))
}

/// What to import, and how.
pub struct ImportContext {
    /// Server to import into.
    pub client: Client,
    /// The collection to create.
    pub into: CollectionName,
    /// Changes to its configuration, by dotted keys of the create request.
    pub set: Vec<(String, Value)>,
    /// Continue with an existing collection.
    pub resume: bool,
}

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// The header of the file.
    pub header: Header,
    /// The number of points.
    pub points: u64,
    /// Parts that could not be created as before.
    pub warnings: Vec<String>,
}

/// Creates the collection and writes all points of the file.
///
/// # Crash safety
/// A repetition with `resume` writes existing points again, which changes nothing.
///
/// # Errors
/// See [`PointsError`]. [`PointsError::Unfinished`] if the collection may exist now with only some of the points.
pub async fn import_points(context: &ImportContext, input: &mut Input) -> Result<Imported, PointsError> {
    let ImportContext { client, into, set, resume } = context;
    let Some(first) = input.line(POINT_MAX_BYTES)? else { return Err(input.wrong("the file is empty")) };
    let header: Header = serde_json::from_str(&first).map_err(|error| {
        input.wrong(format!("it is not the first line of a file written by `export --points`: {error}"))
    })?;
    if header.qdrant_backup_points != FORMAT {
        let problem = format!(
            "its format is version {}, but this program reads version {FORMAT}",
            header.qdrant_backup_points
        );
        return Err(input.wrong(problem));
    }
    let is_there = client.exists(into).await?;
    if is_there && !resume {
        return Err(PointsError::Exists(into.clone()));
    }
    let first = Batch::read(input)?;
    if is_there {
        // The name may be that of another collection.
        let target = Target::look(client, into, into).await?;
        target.check_fits(&header.config)?;
        check_begun(context, &first.points, &Rules::of(&header.config, &target.config)).await?;
    }
    let request = request(&header, set);
    let unfinished = |source: PointsError| PointsError::Unfinished {
        target: into.clone(),
        was_there: is_there,
        source: Box::new(source),
    };
    if !is_there && let Err(error) = client.create_collection(into, &request.body).await {
        // An error does not prove that it was not created.
        let is_absent = client.exists(into).await.is_ok_and(|is_there| !is_there);
        return Err(if is_absent { error.into() } else { unfinished(error.into()) });
    }
    let filled = fill(context, input, &header, request, first).await;
    let (points, warnings) = filled.map_err(unfinished)?;
    Ok(Imported { header, points, warnings })
}

/// Completes the configuration of the collection, and writes the points. Returns their number, and warnings.
async fn fill(
    context: &ImportContext,
    input: &mut Input,
    header: &Header,
    request: CreateBody,
    first: Batch,
) -> Result<(u64, Vec<String>), PointsError> {
    let ImportContext { client, into, set, .. } = context;
    let CreateBody { params_later, left_out, .. } = request;
    if !params_later.is_empty() {
        client.set_params(into, &params_later).await?;
    }
    let info = client.collection_info(into).await?;
    let unknown = left_out.iter().map(|key| {
        format!("\"{into}\" is created without {key}, which this version does not know: set it by hand")
    });
    let ignored = not_taken(&info.config, set).map(|key| {
        format!("--set {key}: Qdrant ignored it: the configuration of \"{into}\" does not have it")
    });
    let mut warnings: Vec<String> = unknown.chain(ignored).collect();
    let is_custom = is_custom(&info.config);
    if is_custom {
        let cluster = client.collection_cluster(into).await?;
        let there: Vec<Value> = cluster.shard_keys().into_values().flatten().collect();
        let copies = copies(client, &info.config).await?;
        for step in steps(header.shard_keys.as_deref().unwrap_or_default()).unwrap_or_default() {
            let is_wanted = header.shard_keys.iter().flatten().any(|key| key.key == step.key);
            if is_wanted && !there.contains(&step.key) {
                client.create_shard_key(into, &step.key, step.shards, copies).await?;
            }
        }
    }
    for index in PayloadIndex::all(&header.payload_schema) {
        if info.payload_schema.get(&index.field_name).is_some() {
            continue;
        }
        match client.create_payload_index(into, &index).await {
            Err(error) if error.is_refusal() => {
                warnings.push(format!("{error}; filters on that field are slow without it"));
            }
            other => other?,
        }
    }
    let points = write_points(context, input, is_custom, first).await?;
    let counted = client.count(into).await?;
    if counted.exact && counted.points < points {
        return Err(PointsError::NotAll { target: into.clone(), expected: points, got: counted.points });
    }
    Ok((points, warnings))
}

/// How many copies each shard gets: as configured, but not more than there are nodes.
async fn copies(client: &Client, config: &Value) -> Result<u32, PointsError> {
    let nodes = u32::try_from(client.cluster().await?.peers()).unwrap_or(u32::MAX);
    Ok(replication_factor(config).unwrap_or(1).clamp(1, nodes))
}

/// Checks the first points of an import that is continued: those that are there already must be those of the file.
async fn check_begun(context: &ImportContext, points: &[Point], rules: &Rules) -> Result<(), PointsError> {
    let ImportContext { client, into, .. } = context;
    let ids: Vec<PointId> = points.iter().map(|point| point.id).collect();
    let there = by_id::read(client, into, &ids, true, &mut PageSize::default()).await?;
    let other = points
        .iter()
        .find(|point| there.get(&point.id).is_some_and(|theirs| difference(point, theirs, rules).is_some()));
    match other {
        Some(point) => Err(PointsError::OtherPoints { target: into.clone(), id: point.id }),
        None => Ok(()),
    }
}

/// Points of the file that are read and written together.
#[derive(Default)]
struct Batch {
    points: Vec<Point>,
    bytes: usize,
    /// How many points the file has, if it ends here.
    end: Option<u64>,
}

impl Batch {
    fn read(input: &mut Input) -> Result<Self, PointsError> {
        let mut batch = Self::default();
        while batch.points.len() < WAITING_POINTS && batch.bytes < WAITING_BYTES {
            let Some(line) = input.line(POINT_MAX_BYTES)? else {
                let problem =
                    "the file ends without its closing line, so points are missing; export it again";
                return Err(input.wrong(problem));
            };
            batch.end = if line.contains(END) { end(&line) } else { None };
            if batch.end.is_some() {
                break;
            }
            let point = serde_json::from_str(&line).map_err(|error| input.wrong(error.to_string()))?;
            let point = Point::of(point).map_err(|error| input.wrong(error.to_string()))?;
            batch.bytes += point.size_bytes();
            batch.points.push(point);
        }
        Ok(batch)
    }
}

/// Writes the points of the file, which begin with `first`. Returns their number.
async fn write_points(
    context: &ImportContext,
    input: &mut Input,
    is_custom: bool,
    first: Batch,
) -> Result<u64, PointsError> {
    let (mut batch, mut points) = (first, 0);
    let (mut size, mut told) = (PageSize::default(), Instant::now());
    loop {
        let mut by_key: BTreeMap<String, (Option<&Value>, Vec<&Point>)> = BTreeMap::new();
        for point in &batch.points {
            let key = point.shard_key.as_ref().filter(|_| is_custom);
            let entry = by_key.entry(key.map(Value::to_string).unwrap_or_default());
            entry.or_insert_with(|| (key, Vec::new())).1.push(point);
        }
        for (key, of_key) in by_key.into_values() {
            upsert(&context.client, &context.into, &of_key, key, Existing::Overwrite, &mut size).await?;
        }
        if !batch.points.is_empty() {
            size.was(batch.points.len(), batch.bytes);
        }
        points += batch.points.len() as u64;
        if told.elapsed() >= Duration::from_secs(60) {
            told = Instant::now();
            tracing::info!("Importing: {points} points so far");
        }
        match batch.end {
            // The checksum comes after all lines.
            Some(all) if all == points => {
                return match input.line(POINT_MAX_BYTES)? {
                    None => Ok(points),
                    Some(_) => {
                        Err(input.wrong("it comes after the closing line: are these two files in one?"))
                    }
                };
            }
            Some(all) => {
                return Err(input.wrong(format!("it declares {all} points, but {points} came before it")));
            }
            None => batch = Batch::read(input)?,
        }
    }
}

/// The number of points, if this is the last line.
pub(super) fn end(line: &str) -> Option<u64> {
    let line: Map<String, Value> = serde_json::from_str(line).ok()?;
    line.get(END).filter(|_| line.len() == 1)?.as_u64()
}

/// The request that creates the collection.
pub(super) fn request(header: &Header, set: &[(String, Value)]) -> CreateBody {
    let mut request = CreateBody::of(&header.config, None);
    for (path, value) in set {
        put(&mut request.body, path, value);
    }
    request
}

/// The keys of `set` that the configuration of the created collection does not have. Qdrant ignores unknown keys.
fn not_taken<'s>(config: &Value, set: &'s [(String, Value)]) -> impl Iterator<Item = &'s str> {
    let CreateBody { body, .. } = CreateBody::of(config, None);
    let lacks = move |path: &str| path.split('.').try_fold(&body, |value, key| value.get(key)).is_none();
    set.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(path, _)| path.as_str())
        .filter(move |path| lacks(path))
}

/// Sets the value at a dotted path. Null removes it.
fn put(body: &mut Value, path: &str, value: &Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if !body.is_object() {
        *body = json!({});
    }
    let Some(members) = body.as_object_mut() else { return };
    match rest {
        Some(rest) => put(members.entry(first).or_insert_with(|| json!({})), rest, value),
        None if value.is_null() => drop(members.remove(first)),
        None => drop(members.insert(first.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qdrant_ignored_is_found_in_the_configuration_of_the_new_collection() {
        let config = json!({
            "params": { "vectors": { "a": { "size": 4 } }, "shard_number": 2 },
            "optimizer_config": { "max_segment_size": null }, "hnsw_config": { "m": 32 },
        });
        let set = [
            "shard_number",
            "hnsw_config.m",
            "hnsw_config.mm",
            "vectors.a.on_dsk",
            "optimizers_config.max_segment_size",
        ];
        let set = set.map(|key| (key.to_owned(), json!(1)));
        let found: Vec<&str> = not_taken(&config, &set).collect();
        assert_eq!(found, ["hnsw_config.mm", "vectors.a.on_dsk", "optimizers_config.max_segment_size"]);
        assert_eq!(not_taken(&config, &[("wal_config".to_owned(), Value::Null)]).count(), 0);
    }

    #[test]
    fn what_is_set_takes_the_place_of_what_was_recorded() {
        let header: Header = serde_json::from_value(json!({
            "qdrant_backup_points": 1, "collection": "docs", "backup_id": "2025-07-15-14-30-00",
            "config": {
                "params": { "vectors": { "size": 4, "distance": "Dot" }, "shard_number": 2, "sharding_method": "custom" },
                "hnsw_config": { "m": 16 },
            },
        }))
        .unwrap();
        let set = [
            ("shard_number".to_owned(), json!(6)),
            ("hnsw_config.m".to_owned(), json!(32)),
            ("quantization_config.scalar.type".to_owned(), json!("int8")),
            ("sharding_method".to_owned(), Value::Null),
        ];
        let request = request(&header, &set);
        assert_eq!(
            request.body,
            json!({
                "vectors": { "size": 4, "distance": "Dot" }, "shard_number": 6, "hnsw_config": { "m": 32 },
                "quantization_config": { "scalar": { "type": "int8" } },
            })
        );
        assert!(request.params_later.is_empty() && request.left_out.is_empty());
    }
}
