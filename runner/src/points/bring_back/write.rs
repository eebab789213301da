//! Writes points, in as many requests as the server needs, and reads them back.

use std::collections::BTreeMap;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use serde_json::Value;

use super::target::Target;
use crate::points::by_id;
use crate::points::difference::{Rules, difference};
use crate::points::error::PointsError;
use crate::points::id::PointId;
use crate::points::page_size::PageSize;
use crate::points::pages::{PATIENCE, may_be_too_much};
use crate::points::point::Point;
use crate::points::tally::Found;
use crate::qdrant::{Client, Existing};

/// Maximum size of a request, as text of the points. Servers accept 32 MiB.
const REQUEST_BYTES: usize = 4 << 20;
/// Written points may become visible later on another replica: maximum number of checks.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Result of writing.
#[derive(Debug, Default)]
pub struct Written {
    /// Points that were missing.
    pub missing: u64,
    /// Points that were overwritten.
    pub changed: u64,
    /// Points that were missing in the plan but exist now: left alone.
    pub came_back: Found,
    /// Points that differ from what was written.
    pub doubtful: Found,
}

/// Writes `points`, and returns the number of requests. Can be repeated safely.
///
/// # Errors
/// When the server does not accept them.
pub async fn upsert(
    client: &Client,
    target: &CollectionName,
    points: &[&Point],
    key: Option<&Value>,
    existing: Existing,
    size: &mut PageSize,
) -> Result<(), PointsError> {
    let mut rest = points;
    while !rest.is_empty() {
        let (mut retries, mut patience) = (0, PATIENCE);
        let later = loop {
            let (now, later) = rest.split_at(fitting(rest, size.points()));
            let values: Vec<Value> =
                now.iter().map(|point| point.to_write()).collect::<Result<_, _>>().map_err(|error| {
                    PointsError::File { what: "a point is not valid JSON".to_owned(), source: error.into() }
                })?;
            match client.upsert(target, values, key, existing).await {
                Ok(()) => break later,
                Err(error) if may_be_too_much(&error) && now.len() > 1 => {
                    while size.points() >= now.len() && size.was_too_much() {}
                }
                Err(error) => client.wait_after(error, &mut retries, &mut patience).await?,
            }
        };
        rest = later;
    }
    Ok(())
}

/// Number of points that fit into one request.
fn fitting(points: &[&Point], most: usize) -> usize {
    let mut bytes = 0;
    let fits = |point: &&&Point| {
        bytes += point.size_bytes();
        bytes <= REQUEST_BYTES
    };
    points.iter().take(most).take_while(fits).count().max(1)
}

/// The writer of one restore.
pub struct Writer<'a> {
    /// The target.
    pub target: &'a Target,
    /// Tolerated differences.
    pub rules: &'a Rules,
    /// The result so far.
    pub written: Written,
    sizes: [PageSize; 3],
}

impl<'a> Writer<'a> {
    /// A new one.
    pub fn new(target: &'a Target, rules: &'a Rules) -> Self {
        Self { target, rules, written: Written::default(), sizes: Default::default() }
    }

    /// Writes these points of the backup: missing ones, unless they exist by now, and those to overwrite.
    ///
    /// # Errors
    /// When the server does not accept them. Some points may then be written.
    pub async fn write(&mut self, missing: Vec<Point>, changed: Vec<Point>) -> Result<(), PointsError> {
        let Target { name, client, leave, .. } = self.target;
        let [looking, writing, reading] = &mut self.sizes;
        let ids: Vec<PointId> = missing.iter().map(|point| point.id).collect();
        let there = by_id::read(client, name, &ids, false, looking).await?;
        let (came_back, missing): (Vec<Point>, Vec<Point>) =
            missing.into_iter().partition(|point| there.contains_key(&point.id));
        came_back.iter().for_each(|point| self.written.came_back.add(point.id));
        for (points, existing) in [(&missing, *leave), (&changed, Existing::Overwrite)] {
            let mut by_key: BTreeMap<String, (Option<&Value>, Vec<&Point>)> = BTreeMap::new();
            for point in points {
                let key = self.target.key_of(point);
                let entry = by_key.entry(key.map(Value::to_string).unwrap_or_default());
                entry.or_insert_with(|| (key, Vec::new())).1.push(point);
            }
            for (key, points) in by_key.into_values() {
                upsert(client, name, &points, key, existing, writing).await?;
            }
        }
        self.written.missing += missing.len() as u64;
        self.written.changed += changed.len() as u64;
        let mut open: BTreeMap<PointId, Point> =
            missing.into_iter().chain(changed).map(|point| (point.id, point)).collect();
        for look in 0..LOOKS {
            if look > 0 {
                client.pause(BETWEEN_LOOKS).await?;
            }
            let ids: Vec<PointId> = open.keys().copied().collect();
            let there = by_id::read(client, name, &ids, true, reading).await?;
            open.retain(|id, point| {
                there.get(id).is_none_or(|there| difference(point, there, self.rules).is_some())
            });
            if open.is_empty() {
                return Ok(());
            }
        }
        open.keys().for_each(|id| self.written.doubtful.add(*id));
        Ok(())
    }
}
