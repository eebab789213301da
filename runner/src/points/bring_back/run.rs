//! The operation: restores the backup into a scratch collection, compares both sides, shows the plan, then writes the points.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::operation::Stage;
use serde_json::{Value, json};

use super::find::{Finding, Scratch, find};
use super::plan::PointsPlan;
use super::target::Target;
use super::wanted::Wanted;
use super::write::{Writer, Written};
use crate::backup::Stages;
use crate::choice::Which;
use crate::points::by_id;
use crate::points::difference::Rules;
use crate::points::error::PointsError;
use crate::points::page_size::PageSize;
use crate::points::progress::Progress;
use crate::points::source::{self, SourceOptions};
use crate::qdrant::Client;
use crate::restore::{Destination, Facts, scratch};
use crate::session::Session;

/// Number of points written between two checks of the target.
const AT_A_TIME: usize = 500;

/// Shows the plan to a person.
pub type AnnouncePlan = Box<dyn Fn(&PointsPlan) + Send + Sync>;

/// Everything that the operation is given.
pub struct BringBackContext {
    /// The server for the temporary restore.
    pub scratch: Destination,
    /// The server of the target.
    pub live: Client,
    /// How to choose the backup.
    pub source: SourceOptions,
    /// The backup that the points come from.
    pub which: Which,
    /// Points that were asked for.
    pub wanted: Wanted,
    /// The collection that points are written to, if not the one that was backed up.
    pub into: Option<CollectionName>,
    /// Only plan.
    pub dry_run: bool,
    /// Maximum number of points read per second from each side.
    pub most_a_second: Option<NonZeroU32>,
    /// Called with the plan before anything is written.
    pub announce: AnnouncePlan,
}

/// The result.
#[derive(Debug)]
pub struct BroughtBack {
    /// The plan.
    pub plan: PointsPlan,
    /// The result of writing. None in a dry run.
    pub written: Option<Written>,
    /// Duration of writing.
    pub wrote_for: Duration,
}

/// Restores, compares, writes, verifies, and deletes the scratch collection.
///
/// # Crash safety
/// Written points stay. A repetition finds them equal and continues with the others.
///
/// # Errors
/// As [`PointsError`] says.
pub async fn bring_back(
    session: &mut Session,
    context: &BringBackContext,
    stages: &mut Stages,
) -> Result<BroughtBack, PointsError> {
    let collection = &context.source.collection;
    let facts = source::begin(session, &context.scratch).await?;
    let backup = source::choose(session, &facts, &context.source, context.which)?;
    let into = context.into.as_ref().unwrap_or(collection);
    let target = Target::look(&context.live, into, collection).await?;
    if let Some(config) = &backup.manifest.source.config {
        target.check_fits(config)?;
    }
    let name = scratch::name_for(session, collection);
    let brought = fill_and_write(session, context, &facts, &backup, &target, &name, stages).await;
    stages.enter(Stage::Cleanup);
    session.enter_stage(Stage::Cleanup, collection);
    scratch::remove(session, &context.scratch, &name).await;
    session.show_status();
    brought
}

async fn fill_and_write(
    session: &mut Session,
    context: &BringBackContext,
    facts: &Facts,
    backup: &Whole,
    target: &Target,
    name: &CollectionName,
    stages: &mut Stages,
) -> Result<BroughtBack, PointsError> {
    let collection = &context.source.collection;
    source::fill(session, &context.scratch, facts, backup, name, stages).await?;
    session.enter_stage(Stage::Compare, collection);
    let scratch = Scratch { client: &context.scratch.client, name };
    let info = scratch.client.collection_info(name).await?;
    target.check_fits(&info.config)?;
    let rules = Rules::of(&info.config, &target.config);
    let directory = session.layout().state().to_owned();
    let total = info.points_count.zip(target.points_count).map(|(ours, theirs)| ours + theirs);
    let finding = {
        let bar = context.scratch.console.points(collection, total);
        let mut progress = Progress::new(session, bar, "Looking for the points", total);
        let (wanted, rate) = (&context.wanted, context.most_a_second);
        find(&mut progress, &scratch, target, &rules, wanted, rate, &directory).await?
    };
    let Finding { tally, unknown, moved, spool, shard_keys } = finding;
    let plan = PointsPlan {
        collection: collection.clone(),
        backup_id: backup.manifest.backup_id,
        backup_at: backup.manifest.started_at,
        target: target.name.clone(),
        url: target.client.url().to_owned(),
        wanted: context.wanted.clone(),
        tally,
        unknown,
        moved,
        to_write: spool.count(),
        shard_keys,
    };
    (context.announce)(&plan);
    target.check_keys(&plan.shard_keys)?;
    if context.dry_run {
        return Ok(BroughtBack { plan, written: None, wrote_for: Duration::ZERO });
    }
    stages.enter(Stage::Upload);
    session.enter_stage(Stage::Upload, collection);
    let begun = Instant::now();
    let bar = context.scratch.console.points(collection, Some(plan.to_write));
    let mut progress = Progress::new(session, bar, "Writing the points", Some(plan.to_write));
    let mut writer = Writer::new(target, &rules);
    let (mut ids, mut size) = (spool.read()?, PageSize::default());
    loop {
        let now = ids.next(size.points().min(AT_A_TIME))?;
        if now.is_empty() {
            break;
        }
        let of = |wanted: bool| {
            let ids = now.iter().filter(|(_, overwrites)| *overwrites == wanted);
            ids.map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let missing = by_id::read(scratch.client, name, &of(false), true, &mut size).await?;
        let changed = by_id::read(scratch.client, name, &of(true), true, &mut size).await?;
        progress.add(now.len() as u64);
        writer.write(missing.into_values().collect(), changed.into_values().collect()).await?;
    }
    drop(progress);
    Ok(BroughtBack { plan, written: Some(writer.written), wrote_for: begun.elapsed() })
}

impl BroughtBack {
    /// One sentence.
    pub fn words(&self) -> String {
        let target = &self.plan.target;
        let Some(written) = &self.written else {
            return format!(
                "{} points would be written to \"{target}\"; nothing was changed",
                self.plan.to_write
            );
        };
        let Wanted { missing, changed, .. } = self.plan.wanted;
        let mut words = match (missing || written.missing > 0, changed) {
            (true, false) if written.missing == 1 => format!("1 point is back in \"{target}\""),
            (true, false) => format!("{} points are back in \"{target}\"", written.missing),
            (true, true) => format!(
                "{} points are back in \"{target}\" and {} were overwritten",
                written.missing, written.changed
            ),
            (false, _) => format!("{} points of \"{target}\" were overwritten", written.changed),
        };
        if written.missing + written.changed > 0 {
            words.push_str(", all of them verified");
        }
        let came_back = &written.came_back;
        if came_back.count > 0 {
            words.push_str(&format!(
                "; {} were written by someone else in the meantime and are left alone{}",
                came_back.count,
                came_back.shown()
            ));
        }
        let left = self.plan.tally.points_seen().saturating_sub(written.missing + written.changed);
        words.push_str(&format!("; {left} others were left alone"));
        words
    }

    /// Checks the result.
    ///
    /// # Errors
    /// [`PointsError::NotAsWritten`].
    pub fn check(&self) -> Result<(), PointsError> {
        match &self.written {
            Some(Written { doubtful, .. }) => match doubtful.first.first() {
                Some(first) => Err(PointsError::NotAsWritten { count: doubtful.count, first: *first }),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let written = self.written.as_ref().map(|written| {
            json!({
                "missing": written.missing, "changed": written.changed, "came_back": written.came_back.json(),
                "not_as_written": written.doubtful.json(), "seconds": self.wrote_for.as_secs_f64(),
            })
        });
        json!({ "plan": self.plan.json(), "dry_run": written.is_none(), "written": written })
    }
}
