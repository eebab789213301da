//! The walk through two collections at once.

use super::difference::{Difference, Rules, difference};
use super::error::PointsError;
use super::merge::{Merge, Step};
use super::pages::Pages;
use super::point::Point;
use super::progress::Progress;
use super::tally::Tally;

/// What stands at an id where the two sides are not equal.
#[derive(Debug)]
pub enum Found<'a> {
    /// Only the first has it.
    Missing(&'a Point),
    /// Only the second has it.
    New(&'a Point),
    /// Both have it: the first, the second, and what differs.
    Changed(&'a Point, &'a Point, &'a Difference),
}

/// Goes through both, tells `take` of everything that is not equal, and sums it up.
///
/// # Errors
/// When a side cannot be read, and whatever `take` says.
pub async fn walk(
    first: impl Pages,
    second: impl Pages,
    rules: &Rules,
    progress: &mut Progress<'_>,
    mut take: impl FnMut(&Found<'_>) -> Result<(), PointsError>,
) -> Result<Tally, PointsError> {
    let mut merge = Merge::of(first, second);
    let mut tally = Tally::default();
    while let Some(step) = merge.next().await? {
        match &step {
            Step::First(point) => {
                progress.add(1);
                tally.missing.add(point.id);
                take(&Found::Missing(point))?;
            }
            Step::Second(point) => {
                progress.add(1);
                tally.new.add(point.id);
                take(&Found::New(point))?;
            }
            Step::Both(ours, theirs) => {
                progress.add(2);
                match difference(ours, theirs, rules) {
                    None => tally.equal += 1,
                    Some(difference) => {
                        tally.add_changed(ours.id, &difference);
                        take(&Found::Changed(ours, theirs, &difference))?;
                    }
                }
            }
        }
    }
    Ok(tally)
}
