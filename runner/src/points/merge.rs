//! Merges two collections in the order of ids: points in only one of them, and in both. Only a few pages of each are in memory.

use std::cmp::Ordering;
use std::vec;

use super::error::PointsError;
use super::id::PointId;
use super::pages::Pages;
use super::point::Point;

/// The points with one id.
#[derive(Debug)]
pub enum Step {
    /// Only the first has it.
    First(Point),
    /// Only the second has it.
    Second(Point),
    /// Both have it.
    Both(Point, Point),
}

/// Two collections that are read in parallel.
pub struct Merge<A, B> {
    first: Side<A>,
    second: Side<B>,
}

struct Side<P> {
    pages: P,
    page: vec::IntoIter<Point>,
    head: Option<Point>,
    last: Option<PointId>,
    has_ended: bool,
}

impl<A: Pages, B: Pages> Merge<A, B> {
    /// Of these two.
    pub fn of(first: A, second: B) -> Self {
        Self { first: Side::of(first), second: Side::of(second) }
    }

    /// The points with the next id. None at the end of both.
    ///
    /// # Errors
    /// When one of them cannot be read, or is not in the order of ids.
    pub async fn next(&mut self) -> Result<Option<Step>, PointsError> {
        self.first.fill().await?;
        self.second.fill().await?;
        let order = match (&self.first.head, &self.second.head) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(first), Some(second)) => first.id.cmp(&second.id),
        };
        let first = if order.is_le() { self.first.head.take() } else { None };
        let second = if order.is_ge() { self.second.head.take() } else { None };
        Ok(match (first, second) {
            (Some(first), Some(second)) => Some(Step::Both(first, second)),
            (Some(first), None) => Some(Step::First(first)),
            (None, Some(second)) => Some(Step::Second(second)),
            (None, None) => None,
        })
    }
}

impl<P: Pages> Side<P> {
    fn of(pages: P) -> Self {
        Self { pages, page: Vec::new().into_iter(), head: None, last: None, has_ended: false }
    }

    /// Loads the next point, if there is one.
    async fn fill(&mut self) -> Result<(), PointsError> {
        while self.head.is_none() && !self.has_ended {
            let Some(point) = self.page.next() else {
                match self.pages.next().await? {
                    Some(page) => self.page = page.into_iter(),
                    None => self.has_ended = true,
                }
                continue;
            };
            match self.last.map(|last| last.cmp(&point.id)) {
                Some(Ordering::Greater) => return Err(PointsError::NotInOrder { id: point.id }),
                // A point that moves between shards appears twice.
                Some(Ordering::Equal) => {}
                Some(Ordering::Less) | None => {
                    self.last = Some(point.id);
                    self.head = Some(point);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    /// Generated pages.
    struct Made(VecDeque<Vec<Point>>);

    impl Pages for Made {
        async fn next(&mut self) -> Result<Option<Vec<Point>>, PointsError> {
            Ok(self.0.pop_front())
        }
    }

    fn made(ids: impl IntoIterator<Item = u64>, page: usize) -> Made {
        let points: Vec<Point> = ids.into_iter().map(point).collect();
        Made(points.chunks(page).map(<[Point]>::to_vec).collect())
    }

    fn point(id: u64) -> Point {
        Point::of(serde_json::from_str(&format!(r#"{{"id":{id},"payload":{{}},"vector":[1]}}"#)).unwrap())
            .unwrap()
    }

    async fn steps(first: Made, second: Made) -> Result<Vec<(char, PointId)>, PointsError> {
        let mut merge = Merge::of(first, second);
        let mut steps = Vec::new();
        while let Some(step) = merge.next().await? {
            steps.push(match step {
                Step::First(point) => ('<', point.id),
                Step::Second(point) => ('>', point.id),
                Step::Both(point, other) => {
                    assert_eq!(point.id, other.id);
                    ('=', point.id)
                }
            });
        }
        Ok(steps)
    }

    proptest! {
        #[test]
        fn a_merge_says_of_every_id_who_has_it(
            first in btree_set(0_u64..60, 0..40),
            second in btree_set(0_u64..60, 0..40),
            pages in (1_usize..9, 1_usize..9),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(steps(made(first.clone(), pages.0), made(second.clone(), pages.1))).unwrap();
            let expected: Vec<(char, PointId)> = first.union(&second).map(|id| {
                let mark = match (first.contains(id), second.contains(id)) { (true, true) => '=', (true, false) => '<', _ => '>' };
                (mark, PointId::Number(*id))
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn points_that_show_twice_count_once_and_another_order_is_an_error() {
        let found = steps(made([1, 2, 2, 3], 2), made([2], 1)).await.unwrap();
        assert_eq!(found.iter().map(|(mark, _)| *mark).collect::<String>(), "<=<");
        let error = steps(made([1, 3, 2], 2), made([], 1)).await.unwrap_err();
        assert!(matches!(error, PointsError::NotInOrder { id: PointId::Number(2) }), "{error}");
    }
}
