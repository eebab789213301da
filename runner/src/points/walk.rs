//! Compares two collections.

use super::difference::{Difference, Rules, difference};
use super::error::PointsError;
use super::merge::{Merge, Step};
use super::pages::Pages;
use super::point::Point;
use super::tally::Tally;

/// A difference at an id.
#[derive(Debug)]
pub enum Found<'a> {
    /// Only the first has it.
    Missing(&'a Point),
    /// Only the second has it.
    New(&'a Point),
    /// Both have it: the first, the second, and what differs.
    Changed(&'a Point, &'a Point, &'a Difference),
}

/// Reads both, reports the number of points to `passed` and every difference to `take`, and returns the summary.
///
/// # Errors
/// When a side cannot be read, or an error of `take`.
pub async fn walk(
    first: impl Pages,
    second: impl Pages,
    rules: &Rules,
    mut passed: impl FnMut(u64),
    mut take: impl FnMut(&Found<'_>) -> Result<(), PointsError>,
) -> Result<Tally, PointsError> {
    let mut merge = Merge::of(first, second);
    let mut tally = Tally::default();
    while let Some(step) = merge.next().await? {
        match &step {
            Step::First(point) => {
                passed(1);
                tally.missing.add(point.id);
                take(&Found::Missing(point))?;
            }
            Step::Second(point) => {
                passed(1);
                tally.new.add(point.id);
                take(&Found::New(point))?;
            }
            Step::Both(ours, theirs) => {
                passed(2);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Small generated points. Every tenth is omitted, as selected by `lacks`.
    struct Made {
        next: u64,
        end: u64,
        lacks: u64,
    }

    /// The number of points per page.
    const PAGE: u64 = 1000;

    impl Pages for Made {
        async fn next(&mut self) -> Result<Option<Vec<Point>>, PointsError> {
            if self.next == self.end {
                return Ok(None);
            }
            let ids = self.next..(self.next + PAGE).min(self.end);
            self.next = ids.end;
            let text = |id: u64| format!(r#"{{"id":{id},"payload":{{"n":{}}},"vector":[0.5,0.25]}}"#, id % 7);
            let points = ids.filter(|id| id % 10 != self.lacks);
            Ok(Some(points.map(|id| Point::of(serde_json::from_str(&text(id)).unwrap()).unwrap()).collect()))
        }
    }

    #[tokio::test]
    async fn a_walk_through_any_number_of_points_sums_up_and_keeps_nothing() {
        let end = 50_000;
        let made = |lacks| Made { next: 0, end, lacks };
        let (mut passed, mut found) = (0, 0);
        let take = |_: &Found<'_>| {
            found += 1;
            Ok(())
        };
        let tally = walk(made(3), made(4), &Rules::default(), |points| passed += points, take).await.unwrap();
        assert_eq!((tally.missing.count, tally.new.count, tally.changed.count), (end / 10, end / 10, 0));
        assert_eq!(tally.missing.first, [4, 14, 24, 34, 44].map(crate::points::id::PointId::Number));
        assert_eq!((tally.equal, passed, found), (end / 10 * 8, end / 10 * 18, end / 5));
    }
}
