//! Creates the new collection like the original, with its payload indexes and shard keys.

use qdrant_backup_shared::{CollectionName, Manifest};
use serde_json::Value;

use super::keys::{left, steps};
use super::nodes::Targets;
use crate::qdrant::{Client, CreateBody, Error, PayloadIndex, ShardTable, replication_factor};
use crate::restore::differences::differences;
use crate::restore::error::RestoreError;
use crate::restore::order::Put;
use crate::session::Session;

/// Settings that a restore may change.
const MAY_DIFFER: [&str; 3] =
    ["params.replication_factor", "params.read_fan_out_factor", "params.read_fan_out_delay_ms"];
/// Maximum number of settings in a message.
const NAMED: usize = 5;

/// The collection, or a part of it, was not created.
pub(super) struct NotMade {
    /// Why the collection was not created.
    pub(super) error: RestoreError,
    /// Whether it may exist anyway.
    pub(super) may_exist: bool,
}

/// Creates the collection. After a lost answer it checks whether the collection exists; it was then created by this request.
pub(super) async fn create(client: &Client, put: &Put<'_>) -> Result<(), NotMade> {
    let refused = |error: RestoreError| NotMade { error, may_exist: false };
    let Some(config) = put.manifest.source.config.as_ref() else {
        let what = "does not contain the configuration of its collection".to_owned();
        return Err(refused(RestoreError::Unsupported { what }));
    };
    let body = CreateBody::of(config, put.replication_factor.map(std::num::NonZeroU32::get)).body;
    let Err(error) = client.create_collection(put.target, &body).await else { return Ok(()) };
    // Even a refusal may come from a proxy after the server did it.
    match client.exists(put.target).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused(error.into())),
        Err(_) => Err(NotMade { may_exist: error.was_sent(), error: error.into() }),
    }
}

/// Creates its missing parts, and warns about differences on this server.
pub(super) async fn complete(
    session: &mut Session,
    client: &Client,
    targets: &Targets,
    put: &Put<'_>,
) -> Result<(), RestoreError> {
    let source = &put.manifest.source;
    let there = client.collection_info(put.target).await?;
    for index in source.payload_schema.as_ref().map(PayloadIndex::all).unwrap_or_default() {
        if there.payload_schema.get(&index.field_name).is_some() {
            continue;
        }
        match client.create_payload_index(put.target, &index).await {
            Err(error) if error.is_refusal() => session.warn(format!(
                "{error}; \"{}\" is restored without that index, so filters on it are slow",
                put.target
            )),
            other => other?,
        }
    }
    if let Some(config) = &source.config {
        warn_of_differences(session, put.target, config, &there.config);
    }
    if source.shard_keys.is_some() {
        make_keys(client, targets, put).await?;
    }
    Ok(())
}

fn warn_of_differences(session: &mut Session, target: &CollectionName, backup: &Value, server: &Value) {
    let left_out = CreateBody::of(backup, None).left_out;
    let mut named: Vec<String> =
        left_out.iter().map(|key| format!("{key} (unknown to this version)")).collect();
    let differing = differences(backup, server).into_iter().filter(|difference| {
        let path = difference.path.as_str();
        // Settings that are not in the backup are this server's defaults.
        !difference.backup.is_null()
            && !MAY_DIFFER.contains(&path)
            && !left_out.iter().any(|key| path.starts_with(key))
    });
    named.extend(differing.map(|difference| difference.to_string()));
    if named.is_empty() {
        return;
    }
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    session.warn(format!(
        "the configuration of \"{target}\" differs from the collection that was backed up: {}{more}",
        named.join(", ")
    ));
}

async fn make_keys(client: &Client, targets: &Targets, put: &Put<'_>) -> Result<(), RestoreError> {
    let source = &put.manifest.source;
    let differs = |problem: String| RestoreError::NotAsRecorded { target: put.target.clone(), problem };
    let keys = source.shard_keys.as_deref().unwrap_or_default();
    let steps = steps(keys).map_err(differs)?;
    let table = targets.table(client, put.target).await?;
    let configured = source.config.as_ref().and_then(replication_factor).unwrap_or(1);
    let most = u32::try_from(targets.count()).unwrap_or(u32::MAX);
    for step in left(&steps, &table).map_err(differs)? {
        let recorded = keys.iter().find(|key| key.key == step.key).and_then(|key| key.replicas);
        let wanted = put.replication_factor.map(std::num::NonZeroU32::get).or(recorded).unwrap_or(configured);
        let copies = wanted.clamp(1, most.max(1));
        match client.create_shard_key(put.target, &step.key, step.shards, copies).await {
            // Without an answer, it may have been created.
            Err(error) if error.may_have_been_carried_out() && !error.is_answered() => {
                let now = targets.table(client, put.target).await?;
                if !now.shards.contains_key(&step.first_id) {
                    return Err(error.into());
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// Checks that the new collection has the shards of the backup, with their keys.
pub(super) fn check_shards(
    manifest: &Manifest,
    target: &CollectionName,
    table: &ShardTable,
) -> Result<(), RestoreError> {
    let differs = |problem: String| Err(RestoreError::NotAsRecorded { target: target.clone(), problem });
    let keys = manifest.source.shard_keys.as_deref().unwrap_or_default();
    for archive in &manifest.archives {
        for id in &archive.shard_ids {
            let key = keys.iter().find(|key| key.shard_ids.contains(id)).map(|key| &key.key);
            match table.shards.get(id) {
                None => return differs(format!("it has no shard {id}")),
                Some(there) if there.key.as_ref() != key => {
                    return differs(format!("shard {id} has another shard key"));
                }
                Some(_) => {}
            }
        }
    }
    let expected = u32::try_from(manifest.archives.len()).unwrap_or(u32::MAX);
    let gaps =
        table.shards.values().filter(|at| at.key.as_ref().is_some_and(super::keys::Placeholder::is)).count();
    let there = table.shards.len() - gaps;
    if u32::try_from(there) != Ok(expected) {
        return differs(format!("it has {there} shards, but the backup has {expected}"));
    }
    Ok(())
}

/// Deletes the placeholder keys.
pub(super) async fn drop_placeholders(
    client: &Client,
    target: &CollectionName,
    table: &ShardTable,
) -> Result<(), Error> {
    let mut keys: Vec<&Value> = table.shards.values().filter_map(|at| at.key.as_ref()).collect();
    keys.retain(|key| super::keys::Placeholder::is(key));
    keys.dedup();
    for key in keys {
        client.delete_shard_key(target, key).await?;
    }
    Ok(())
}
