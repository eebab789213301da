//! Finds the points to write: compares both sides and stores the ids.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use qdrant_backup_shared::CollectionName;

use super::target::Target;
use super::wanted::{Wanted, WhichPoints};
use crate::points::by_id;
use crate::points::difference::{Rules, difference};
use crate::points::error::PointsError;
use crate::points::page_size::PageSize;
use crate::points::pages::{Pages, Reading, ServerPages};
use crate::points::point::Point;
use crate::points::progress::Progress;
use crate::points::spool::Spool;
use crate::points::tally::{Found as FoundIds, Tally};
use crate::points::walk::{Found, walk};
use crate::qdrant::Client;

/// The result of the comparison.
pub struct Finding {
    /// The number of each kind.
    pub tally: Tally,
    /// Requested, but not in the backup.
    pub unknown: FoundIds,
    /// Under another shard key.
    pub moved: FoundIds,
    /// The ids to write.
    pub spool: Spool,
    /// Their number for each shard key.
    pub shard_keys: BTreeMap<String, u64>,
}

/// The backup's side.
pub struct Scratch<'a> {
    /// Server that has the scratch collection.
    pub client: &'a Client,
    /// The scratch collection.
    pub name: &'a CollectionName,
}

/// Compares both sides.
///
/// # Errors
/// When one of them cannot be read, or the ids cannot be stored.
pub async fn find(
    progress: &mut Progress<'_>,
    scratch: &Scratch<'_>,
    target: &Target,
    rules: &Rules,
    wanted: &Wanted,
    most_a_second: Option<NonZeroU32>,
    directory: &Path,
) -> Result<Finding, PointsError> {
    let mut finding = Finding {
        tally: Tally::default(),
        unknown: FoundIds::default(),
        moved: FoundIds::default(),
        spool: Spool::new(directory)?,
        shard_keys: BTreeMap::new(),
    };
    let reading = |filter| Reading { filter, most_a_second };
    let read_scratch =
        |filter| ServerPages::read(scratch.client.clone(), scratch.name.clone(), reading(filter));
    match &wanted.which {
        WhichPoints::All => {
            let theirs = ServerPages::read(target.client.clone(), target.name.clone(), reading(None));
            let tally = walk(
                read_scratch(None),
                theirs,
                rules,
                |points| progress.add(points),
                |found| finding.enter(found, wanted, target),
            );
            finding.tally = tally.await?;
        }
        WhichPoints::Filter(filter) => {
            let (mut pages, mut size) = (read_scratch(Some(filter.clone())), PageSize::default());
            while let Some(page) = pages.next().await? {
                finding.look(progress, page, target, rules, wanted, &mut size).await?;
            }
        }
        WhichPoints::Ids(ids) => {
            let (mut ours, mut theirs) = (PageSize::default(), PageSize::default());
            let mut rest = ids.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(ours.points().min(rest.len()));
                let page = by_id::read(scratch.client, scratch.name, now, true, &mut ours).await?;
                now.iter().filter(|id| !page.contains_key(id)).for_each(|id| finding.unknown.add(*id));
                let page = page.into_values().collect();
                finding.look(progress, page, target, rules, wanted, &mut theirs).await?;
                rest = later;
            }
        }
    }
    Ok(finding)
}

impl Finding {
    /// The target's points for a page of the backup.
    async fn look(
        &mut self,
        progress: &mut Progress<'_>,
        page: Vec<Point>,
        target: &Target,
        rules: &Rules,
        wanted: &Wanted,
        size: &mut PageSize,
    ) -> Result<(), PointsError> {
        let ids: Vec<_> = page.iter().map(|point| point.id).collect();
        let there = by_id::read(&target.client, &target.name, &ids, true, size).await?;
        for ours in &page {
            progress.add(1);
            match there.get(&ours.id) {
                None => {
                    self.tally.missing.add(ours.id);
                    self.enter(&Found::Missing(ours), wanted, target)?;
                }
                Some(theirs) => match difference(ours, theirs, rules) {
                    None => self.tally.equal += 1,
                    Some(difference) => {
                        self.tally.add_changed(ours.id, &difference);
                        self.enter(&Found::Changed(ours, theirs, &difference), wanted, target)?;
                    }
                },
            }
        }
        Ok(())
    }

    fn enter(&mut self, found: &Found<'_>, wanted: &Wanted, target: &Target) -> Result<(), PointsError> {
        let point = match found {
            Found::Missing(point) if wanted.missing => point,
            Found::Changed(point, _, difference) if difference.shard_key => {
                self.moved.add(point.id);
                return Ok(());
            }
            Found::Changed(point, _, _) if wanted.changed => point,
            Found::Missing(_) | Found::Changed(..) | Found::New(_) => return Ok(()),
        };
        if let Some(key) = target.key_of(point) {
            *self.shard_keys.entry(key.to_string()).or_default() += 1;
        }
        self.spool.add(point.id, matches!(found, Found::Changed(..)))
    }
}
