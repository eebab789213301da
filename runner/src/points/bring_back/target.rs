//! The collection to write to: checks whether the points fit, and their shard keys.

use std::collections::BTreeMap;

use qdrant_backup_shared::manifest::is_custom;
use qdrant_backup_shared::text::shortened;
use qdrant_backup_shared::{CollectionName, scratch_name};
use serde_json::Value;

use crate::points::error::PointsError;
use crate::points::fit::misfit;
use crate::points::point::Point;
use crate::qdrant::{Client, Existing, minor_version};
use crate::restore::RestoreError;

/// From this version of Qdrant on, a write can leave existing points alone.
const LEAVES_FROM: (u32, u32) = (1, 17);

/// A live collection that points are written to.
#[derive(Debug)]
pub struct Target {
    /// Name of the collection.
    pub name: CollectionName,
    /// Server that has it.
    pub client: Client,
    /// Configuration, as the server gave it.
    pub config: Value,
    /// Its approximate number of points, if reported.
    pub points_count: Option<u64>,
    /// Its shard keys. None with automatic sharding.
    keys: Option<Vec<Value>>,
    /// How existing points are protected from being overwritten.
    pub leave: Existing,
}

impl Target {
    /// Reads its information, for points of a backup of `backup_of`.
    ///
    /// # Errors
    /// When it does not exist, or the name is an alias.
    pub async fn look(
        client: &Client,
        name: &CollectionName,
        backup_of: &CollectionName,
    ) -> Result<Self, PointsError> {
        if scratch_name::is_scratch(name.as_str()) {
            return Err(RestoreError::TargetIsScratch { target: name.clone() }.into());
        }
        let aliases = client.aliases().await?;
        if let Some(alias) = aliases.into_iter().find(|alias| alias.alias_name == name.as_str()) {
            let collection = shortened(&alias.collection_name, 120);
            return Err(PointsError::IsAlias { target: name.clone(), collection });
        }
        let (config, points_count) = match client.collection_info(name).await {
            Ok(info) => (info.config, info.points_count),
            Err(error) if error.is_not_found() => {
                let (collection, backup_of) = (name.clone(), backup_of.clone());
                let url = client.url().to_owned();
                return Err(PointsError::NoCollection { collection, backup_of, url });
            }
            Err(error) => return Err(error.into()),
        };
        let keys = if is_custom(&config) {
            let cluster = client.collection_cluster(name).await?;
            Some(cluster.shard_keys().into_values().flatten().collect())
        } else {
            None
        };
        let leave = if leaves(&client.version().await?) { Existing::Leave } else { Existing::Overwrite };
        Ok(Self { name: name.clone(), client: client.clone(), config, points_count, keys, leave })
    }

    /// Checks whether points of a collection with this configuration can be written there.
    ///
    /// # Errors
    /// [`PointsError::DoesNotFit`].
    pub fn check_fits(&self, config: &Value) -> Result<(), PointsError> {
        let differs = |difference: String| PointsError::DoesNotFit { target: self.name.clone(), difference };
        if let Some(difference) = misfit(config, &self.config) {
            return Err(differs(difference));
        }
        if self.keys.is_some() && !is_custom(config) {
            return Err(differs("it has custom sharding, and the points have no shard keys".to_owned()));
        }
        Ok(())
    }

    /// The shard key for a point. None with automatic sharding.
    pub fn key_of<'p>(&self, point: &'p Point) -> Option<&'p Value> {
        point.shard_key.as_ref().filter(|_| self.keys.is_some())
    }

    /// Checks that it has these shard keys, which are given with their numbers of points.
    ///
    /// # Errors
    /// [`PointsError::NoShardKey`].
    pub fn check_keys(&self, wanted: &BTreeMap<String, u64>) -> Result<(), PointsError> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let there: Vec<String> = keys.iter().map(Value::to_string).collect();
        match wanted.iter().find(|(key, _)| !there.contains(key)) {
            Some((key, points)) => Err(PointsError::NoShardKey {
                target: self.name.clone(),
                key: shortened(key, 60),
                points: *points,
            }),
            None => Ok(()),
        }
    }
}

fn leaves(version: &str) -> bool {
    minor_version(version).is_some_and(|version| version >= LEAVES_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_know_how_are_asked_to_leave_points_alone() {
        assert!(leaves("1.18.3") && leaves("1.17.0") && leaves("2.0.0"));
        assert!(!leaves("1.16.9") && !leaves("1.14.1") && !leaves("dev"));
    }
}
