//! The plan of a restore, made by reading only.

use std::num::NonZeroU32;
use std::path::PathBuf;

use qdrant_backup_shared::catalog::{Backup, Catalog, Whole, WholeError};
use qdrant_backup_shared::manifest::is_custom;
use qdrant_backup_shared::status::{CurrentRun, RestoringShards};
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Layout, Manifest, PointsCount, ShardKey};

use super::aliases;
use super::by_shard::{self, Begun};
use super::compatibility::check_version;
use super::differences::{Difference, differences};
use super::error::RestoreError;
use super::order::Destination;
use super::read::sole_archive;
use super::shard_keys::{check_existing, check_new, shard_keys_of};
use crate::archive::read::Source;
use crate::choice::{Accept, Present, Which, choose_one};
use crate::qdrant::{Alias, AliasChange, Client, Error, Nodes, replication_factor};
use qdrant_backup_shared::scratch_name::is_scratch;

/// Options for all collections.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Backup to restore.
    pub which: Which,
    /// The collection to restore into, if not the one that was backed up.
    pub target: Option<CollectionName>,
    /// Overwrite an existing target, move aliases, use a backup that failed verification.
    pub force: bool,
    /// Skip existing collections, for example from an earlier restore of all.
    pub skip_existing: bool,
    /// Restore the aliases of the collection.
    pub with_aliases: bool,
    /// Back an existing target up before it is overwritten.
    pub safety_backup: bool,
    /// Whether the server is not the source of this repository.
    pub elsewhere: bool,
    /// Skip the version check.
    pub allow_version_skew: bool,
    /// Number of copies of each shard, if it differs from the original.
    pub replication_factor: Option<NonZeroU32>,
    /// Other options of the command, for one that is shown.
    pub shown: String,
    /// The key file of the other server.
    pub shown_key: Option<PathBuf>,
    /// Unfinished earlier restores.
    pub restoring: Vec<RestoringShards>,
    /// The id of the previous run, if it was a restore that died.
    pub died: Option<String>,
}

/// The id of a run that did not end, if it was a restore.
pub fn died(run: Option<&CurrentRun>) -> Option<String> {
    run.filter(|run| run.command == "restore").map(|run| run.run_id.clone())
}

/// The server's information, read once.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Version of Qdrant.
    pub version: String,
    /// Its URL, without credentials.
    pub url: String,
    /// Collections that it has now.
    pub collections: Vec<CollectionName>,
    /// Aliases that it has now.
    pub aliases: Vec<Alias>,
    /// All nodes, in cluster mode.
    pub nodes: Option<Nodes>,
}

/// How a backup by shard is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByShard {
    /// The number of shards.
    pub shards: usize,
    /// The number of copies of each shard.
    pub copies: u64,
    /// The number of nodes that receive shards.
    pub nodes: usize,
    /// The unfinished restore to continue.
    pub begun: Option<Begun>,
}

/// The existing target.
#[derive(Debug, Clone)]
pub struct Existing {
    /// Its points. None if the server does not report them.
    pub points: Option<PointsCount>,
}

/// The plan for one collection.
#[derive(Debug)]
pub struct Plan {
    /// The collection that was backed up.
    pub collection: CollectionName,
    /// The collection to restore into.
    pub target: CollectionName,
    /// The backup. None if none was found.
    pub backup: Option<Whole>,
    /// The existing target.
    pub existing: Option<Existing>,
    /// The differences between the existing configuration and the backup's.
    pub differences: Vec<Difference>,
    /// The aliases that the collection had.
    pub had_aliases: Vec<String>,
    /// The aliases to set.
    pub aliases: Vec<AliasChange>,
    /// The shard keys of the backup. None for automatic sharding.
    pub shard_keys: Option<Vec<ShardKey>>,
    /// How to restore a backup by shard. None for a backup of a whole collection.
    pub by_shard: Option<ByShard>,
    /// For a backup of a whole collection: the cluster node that will have all its shards.
    pub on_node: Option<String>,
    /// Whether the target is to be backed up first.
    pub safety_backup: bool,
    /// It already exists with the right number of points, and is skipped except for its aliases.
    pub is_there: bool,
    /// All obstacles. Empty if it can be done.
    pub obstacles: Vec<RestoreError>,
}

impl ByShard {
    fn of(manifest: &Manifest, target: &CollectionName, facts: &Facts, options: &PlanOptions) -> Self {
        let recorded = manifest.source.config.as_ref().and_then(replication_factor);
        let copies = u64::from(options.replication_factor.map(NonZeroU32::get).or(recorded).unwrap_or(1));
        let nodes = facts.nodes.as_ref().map_or(1, |nodes| nodes.nodes.len());
        let most = u64::try_from(nodes).unwrap_or(u64::MAX);
        Self {
            shards: manifest.archives.len(),
            copies: copies.min(most),
            nodes,
            begun: by_shard::begun(&options.restoring, manifest, target, &facts.url),
        }
    }
}

impl Facts {
    /// Reads the information from the server.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn ask(destination: &Destination) -> Result<Self, Error> {
        let client = &destination.client;
        let version = client.version().await?;
        let nodes = match client.nodes(&destination.nodes).await {
            Ok(nodes) => nodes,
            // If the key or a proxy does not allow this, the server is treated as a single node.
            Err(error) if error.is_answered() => {
                tracing::info!("{error}; continuing with {} as the only node", client.url());
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            version,
            url: client.url().to_owned(),
            collections: client.collections().await?,
            aliases: client.aliases().await?,
            nodes,
        })
    }
}

/// Plans the restores of `collections`, and checks for conflicts between them.
pub async fn plan_all(
    client: &Client,
    source: &Source,
    facts: &Facts,
    catalog: &Catalog,
    collections: &[CollectionName],
    options: &PlanOptions,
    present: Present<'_>,
) -> Vec<Plan> {
    let mut plans = Vec::new();
    for collection in collections {
        plans.push(plan(client, source, facts, catalog, collection, options, present).await);
    }
    let claims: Vec<(String, CollectionName)> = plans
        .iter()
        .flat_map(|plan| plan.aliases.iter().map(|change| (change.alias.clone(), plan.target.clone())))
        .collect();
    for plan in &mut plans {
        for change in &plan.aliases {
            let twice =
                claims.iter().find(|(alias, target)| *alias == change.alias && *target != plan.target);
            if let Some((alias, other)) = twice {
                // Otherwise the collection restored last would get it.
                plan.obstacles
                    .push(RestoreError::AliasClaimedTwice { alias: alias.clone(), other: other.clone() });
            }
        }
    }
    plans
}

/// Plans the restore of `collection`. Problems become obstacles of the plan.
async fn plan(
    client: &Client,
    source: &Source,
    facts: &Facts,
    catalog: &Catalog,
    collection: &CollectionName,
    options: &PlanOptions,
    present: Present<'_>,
) -> Plan {
    let target = options.target.clone().unwrap_or_else(|| collection.clone());
    let mut plan = Plan {
        collection: collection.clone(),
        target,
        backup: None,
        existing: None,
        differences: Vec::new(),
        had_aliases: Vec::new(),
        aliases: Vec::new(),
        shard_keys: None,
        by_shard: None,
        on_node: None,
        safety_backup: false,
        is_there: false,
        obstacles: Vec::new(),
    };
    let backups = catalog.collections.get(collection).map(Vec::as_slice).unwrap_or_default();
    let accept = if options.force { Accept::NamedThoughFailed } else { Accept::Good };
    match choose_one(backups, options.which, accept, present) {
        Ok(backup) => {
            if let Err(error) = plan.take_backup(source.layout(), backup, facts, options) {
                plan.obstacles.push(error.into());
            }
            let taken = plan.backup.as_ref().map(|backup| &backup.manifest);
            let safety = taken.filter(|manifest| Some(&manifest.run_id) == options.died.as_ref());
            if let Some(manifest) = safety.filter(|_| !matches!(options.which, Which::Id(_))) {
                let (id, collection) = (manifest.backup_id, collection.clone());
                plan.obstacles.push(RestoreError::LatestIsSafetyBackup { id, collection });
            }
        }
        Err(error) => plan.obstacles.push(error.into()),
    }
    if let Some(backup) = plan.backup.as_ref().filter(|_| plan.is_possible()) {
        match shard_keys_of(source, &backup.manifest, client.interrupt()).await {
            Ok(keys) => plan.shard_keys = keys,
            Err(error) => plan.obstacles.push(error),
        }
    }
    if let Err(error) = plan.look_at_target(client, facts, options).await {
        plan.obstacles.push(error);
    }
    plan
}

impl Plan {
    /// Whether there are no obstacles.
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }

    fn take_backup(
        &mut self,
        layout: &Layout,
        backup: &Backup,
        facts: &Facts,
        options: &PlanOptions,
    ) -> Result<(), WholeError> {
        if let Some(why) = &backup.remarks().unknown {
            tracing::warn!(
                "backup {} of \"{}\" is not known to be good: {}",
                backup.backup_id,
                self.collection,
                one_line(why)
            );
        }
        let backup = backup.whole(layout)?;
        let manifest = &backup.manifest;
        if manifest.is_by_shard() {
            self.obstacles.extend(by_shard::obstacles(manifest, &self.target, facts.nodes.as_ref()));
            self.by_shard = Some(ByShard::of(manifest, &self.target, facts, options));
        } else if let Err(error) = sole_archive(manifest) {
            self.obstacles.push(error);
        } else if facts.nodes.as_ref().is_some_and(|nodes| nodes.peers() > 1) {
            self.on_node = Some(facts.url.clone());
        }
        if !options.allow_version_skew
            && let Err(skew) = check_version(manifest.source.qdrant_version.as_deref(), &facts.version)
        {
            self.obstacles.push(skew.into());
        }
        self.had_aliases = manifest.source.aliases.clone().unwrap_or_default();
        if options.with_aliases {
            let (changes, obstacles) = aliases::changes(
                &self.had_aliases,
                &self.target,
                &facts.aliases,
                &facts.collections,
                options.force,
            );
            self.aliases = changes;
            self.obstacles.extend(obstacles);
        }
        self.backup = Some(backup);
        Ok(())
    }

    /// Checks an existing target of a backup by shards: an unfinished restore (to continue), a complete one, or another
    /// collection (never overwritten).
    async fn look_at_half(
        &mut self,
        facts: &Facts,
        options: &PlanOptions,
        client: &Client,
        points: String,
    ) -> Result<(), RestoreError> {
        let target = self.target.clone();
        if let Some(begun) = self.by_shard.as_ref().and_then(|by_shard| by_shard.begun.as_ref()) {
            let nodes: Vec<Client> = match &facts.nodes {
                Some(nodes) => nodes.nodes.iter().map(|node| node.client.clone()).collect(),
                None => vec![client.clone()],
            };
            return by_shard::check_begun(&nodes, &target, begun).await;
        }
        if !options.force && options.skip_existing && self.has_come_back() {
            self.is_there = true;
        } else {
            self.obstacles.push(RestoreError::TargetExistsByShard { target, points });
        }
        Ok(())
    }

    /// Whether the target has the number of points of a complete restore. If it is empty, lacks more than half, or cannot be
    /// counted, it does not.
    fn has_come_back(&self) -> bool {
        let Some(Existing { points: Some(points) }) = &self.existing else { return false };
        let Some(backup) = &self.backup else { return false };
        let source = &backup.manifest.source;
        let known = backup.backup.remarks().restored_points.as_ref();
        let counted = [source.points_count_before, source.points_count_after].into_iter().flatten().min();
        let least = known.map(|known| known.count).or(counted).or(source.points_count_approximate);
        least.is_some_and(|least| points.points >= least.div_ceil(2))
    }

    async fn look_at_target(
        &mut self,
        client: &Client,
        facts: &Facts,
        options: &PlanOptions,
    ) -> Result<(), RestoreError> {
        let target = self.target.clone();
        // The server would resolve the alias and overwrite its collection.
        if let Some(alias) = facts.aliases.iter().find(|alias| alias.alias_name == target.as_str()) {
            let collection = qdrant_backup_shared::text::shortened(&alias.collection_name, 120);
            self.obstacles.push(RestoreError::TargetIsAlias { target, collection });
            return Ok(());
        }
        if let Some(why) = CollectionName::flaw(target.as_str()) {
            self.obstacles.push(RestoreError::TargetIsNoName { target, why });
            return Ok(());
        }
        if is_scratch(target.as_str()) {
            self.obstacles.push(RestoreError::TargetIsScratch { target });
            return Ok(());
        }
        if !facts.collections.contains(&target) {
            if let Some(by_shard) = &mut self.by_shard {
                by_shard.begun = None;
                return Ok(());
            }
            return check_new(&target, self.shard_keys.as_deref());
        }
        // The list shows that it exists, whatever other requests the server refuses.
        let existing = self.existing.insert(Existing { points: None });
        match client.count(&target).await {
            Ok(points) => existing.points = Some(points),
            Err(error) if error.is_refusal() => {}
            Err(error) => return Err(error.into()),
        }
        let points = existing.points.map_or_else(|| "unknown".to_owned(), |points| points.to_string());
        if self.by_shard.is_some() {
            return self.look_at_half(facts, options, client, points).await;
        }
        let config = client.collection_info(&target).await?.config;
        if let Some(backup) = &self.backup {
            if let Some(ours) = &backup.manifest.source.config {
                self.differences = differences(ours, &config);
            }
            if self.shard_keys.is_some() || is_custom(&config) {
                let cluster = client.collection_cluster(&target).await?;
                if let Err(error) = check_existing(&target, self.shard_keys.as_deref(), &config, &cluster) {
                    self.obstacles.push(error);
                }
            }
        }
        if let Some(difference) = self.differences.iter().find(|difference| difference.is_refused_by_qdrant())
        {
            let difference = difference.to_string();
            self.obstacles.push(RestoreError::Incompatible { target, difference });
            return Ok(());
        }
        if !options.force && options.skip_existing && self.has_come_back() {
            self.is_there = true;
        } else if !options.force {
            self.obstacles.push(RestoreError::TargetExists { target, points });
        } else if options.safety_backup && options.elsewhere {
            self.obstacles.push(RestoreError::SafetyElsewhere { target });
        } else {
            self.safety_backup = options.safety_backup;
        }
        Ok(())
    }
}
