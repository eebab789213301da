//! Compares a backup with the live collection, or with another backup.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::{BackupId, CollectionName};
use serde_json::{Value, json};

use super::difference::Rules;
use super::error::PointsError;
use super::fit::misfit;
use super::output::Output;
use super::pages::{Reading, ServerPages};
use super::progress::Progress;
use super::source::{self, SourceOptions};
use super::tally::{Kind, Tally};
use super::walk::{Found, walk};
use crate::backup::Stages;
use crate::choice::Which;
use crate::qdrant::Client;
use crate::restore::{Destination, Facts, scratch};
use crate::session::Session;

/// What to compare, and how.
#[derive(Debug)]
pub struct CompareContext {
    /// The server for temporary restores.
    pub scratch: Destination,
    /// The server of the live collection.
    pub live: Client,
    /// How to choose a backup.
    pub source: SourceOptions,
    /// Backup to compare.
    pub which: Which,
    /// The backup to compare it with, instead of the live collection.
    pub with: Option<Which>,
    /// Maximum number of points read per second from each side.
    pub most_a_second: Option<NonZeroU32>,
}

/// Files for other tools.
#[derive(Default)]
pub struct Outputs {
    /// Kind and id of every point that differs.
    pub ids: Option<Output>,
    /// Kind and whole points.
    pub points: Option<Output>,
}

/// What a backup was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// The live collection, at that URL.
    Live(String),
    /// Another backup.
    Backup(BackupId),
}

/// Outcome of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// Collection whose points were compared.
    pub collection: CollectionName,
    /// Backup that was compared.
    pub backup_id: BackupId,
    /// When that backup started.
    pub backup_at: DateTime<Utc>,
    /// The other side.
    pub other: Other,
    /// The summary.
    pub tally: Tally,
    /// Duration of the comparison, without the restore.
    pub walked_for: Duration,
}

/// Restores, compares, and deletes the scratch collections.
///
/// # Errors
/// See [`PointsError`]. Leftovers on the server are reported.
pub async fn compare(
    session: &mut Session,
    context: &CompareContext,
    outputs: &mut Outputs,
) -> Result<Comparison, PointsError> {
    let facts = source::begin(session, &context.scratch).await?;
    let ours = source::choose(session, &facts, &context.source, context.which)?;
    let theirs =
        context.with.map(|with| source::choose(session, &facts, &context.source, with)).transpose()?;
    if theirs.is_none() {
        check_live(&context.live, &context.source.collection).await?;
    }
    let names = [(); 2].map(|()| scratch::name_for(session, &context.source.collection));
    let compared = fill_and_walk(session, context, &facts, (&ours, theirs.as_ref()), &names, outputs).await;
    for name in names.iter().take(if theirs.is_some() { 2 } else { 1 }) {
        scratch::remove(session, &context.scratch, name).await;
    }
    session.show_status();
    compared
}

/// Whether the collection exists.
async fn check_live(live: &Client, collection: &CollectionName) -> Result<(), PointsError> {
    match live.collection_info(collection).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => {
            let (collection, url) = (collection.clone(), live.url().to_owned());
            Err(PointsError::NoCollection { backup_of: collection.clone(), collection, url })
        }
        Err(error) => Err(error.into()),
    }
}

async fn fill_and_walk(
    session: &mut Session,
    context: &CompareContext,
    facts: &Facts,
    (ours, theirs): (&Whole, Option<&Whole>),
    names: &[CollectionName; 2],
    outputs: &mut Outputs,
) -> Result<Comparison, PointsError> {
    let mut stages = Stages::begin(Stage::Inspect);
    let [first, second] = names;
    source::fill(session, &context.scratch, facts, ours, first, &mut stages).await?;
    let client = &context.scratch.client;
    let (other, other_client, other_name) = match theirs {
        Some(theirs) => {
            source::fill(session, &context.scratch, facts, theirs, second, &mut stages).await?;
            (Other::Backup(theirs.manifest.backup_id), client, second)
        }
        None => (Other::Live(context.live.url().to_owned()), &context.live, &context.source.collection),
    };
    let our_info = client.collection_info(first).await?;
    let their_info = other_client.collection_info(other_name).await?;
    if let Some(difference) = misfit(&our_info.config, &their_info.config) {
        session.warn(format!("their configurations differ, so every point may differ: {difference}"));
    }
    let total = our_info.points_count.zip(their_info.points_count).map(|(ours, theirs)| ours + theirs);
    let begun = Instant::now();
    let reading = Reading { filter: None, most_a_second: context.most_a_second };
    let tally = {
        let bar = context.scratch.console.points(&context.source.collection, total);
        let mut progress = Progress::new(session, bar, "Comparing", total);
        walk(
            ServerPages::read(client.clone(), first.clone(), reading.clone()),
            ServerPages::read(other_client.clone(), other_name.clone(), reading),
            &Rules::of(&our_info.config, &their_info.config),
            |points| progress.add(points),
            |found| outputs.take(found),
        )
        .await?
    };
    Ok(Comparison {
        collection: context.source.collection.clone(),
        backup_id: ours.manifest.backup_id,
        backup_at: ours.manifest.started_at,
        other,
        tally,
        walked_for: begun.elapsed(),
    })
}

impl Outputs {
    fn take(&mut self, found: &Found<'_>) -> Result<(), PointsError> {
        let (kind, point) = match found {
            Found::Missing(point) => (Kind::Missing, point),
            Found::New(point) => (Kind::New, point),
            Found::Changed(point, _, _) => (Kind::Changed, point),
        };
        if let Some(ids) = &mut self.ids {
            ids.line(&format!("{} {}", kind.word(), point.id))?;
        }
        if let Some(points) = &mut self.points {
            let (kind, point) = (kind.word(), point.line());
            points.line(&match found {
                Found::Changed(_, live, _) => {
                    format!("{{\"kind\":\"{kind}\",\"point\":{point},\"other\":{}}}", live.line())
                }
                Found::Missing(_) | Found::New(_) => format!("{{\"kind\":\"{kind}\",\"point\":{point}}}"),
            })?;
        }
        Ok(())
    }

    /// Completes the files and renames them to their final names.
    ///
    /// # Errors
    /// When they cannot be written completely.
    pub fn finish(self) -> Result<(), PointsError> {
        for output in [self.ids, self.points].into_iter().flatten() {
            output.finish()?;
        }
        Ok(())
    }
}

impl Comparison {
    /// For a person.
    pub fn text(&self) -> String {
        let at = self.backup_at.format("%Y-%m-%d %H:%M:%S UTC");
        let (other, here, there, changed) = match &self.other {
            Other::Live(_) => {
                let other = "the live collection".to_owned();
                (other, "live", "since the backup", "live differs from the backup")
            }
            Other::Backup(id) => (format!("backup {id}"), "there", "since", "in both, but not the same"),
        };
        let tally = &self.tally;
        let mut lines = vec![format!("{}: backup {} ({at}) and {other}", self.collection, self.backup_id)];
        let mut line = |what: &str, count: u64, shown: String| {
            lines.push(format!("  {what:<14}{count:>9}{shown}"));
        };
        line("equal", tally.equal, String::new());
        line(
            "missing",
            tally.missing.count,
            format!("  only in the backup: deleted {there}{}", tally.missing.shown()),
        );
        line("changed", tally.changed.count, format!("  {changed}{}", tally.changed.shown()));
        line("new", tally.new.count, format!("  only {here}: written {there}{}", tally.new.shown()));
        if tally.changed.count > 0 {
            lines.push(format!("  changed is    {}", tally.changes()));
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut json = json!({
            "collection": self.collection.as_str(), "backup_id": self.backup_id.to_string(), "backup_started_at": self.backup_at,
            "walk_seconds": self.walked_for.as_secs_f64(), "is_equal": self.tally.is_equal(), "found": self.tally.json(),
        });
        match &self.other {
            Other::Live(url) => json["with"] = json!({ "live": url }),
            Other::Backup(id) => json["with"] = json!({ "backup_id": id.to_string() }),
        }
        json
    }
}
