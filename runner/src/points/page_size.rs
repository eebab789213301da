//! How many points are asked for at a time: as many as make an answer of a good size, and fewer where the server wants it. Pure.

/// What an answer should be long. Large enough that a request costs little beside it, small enough that a few fit into any memory.
const GOOD_BYTES: usize = 2 << 20;
/// With how many it begins, when nothing is known of them.
const FIRST: usize = 100;
/// No page has more, however small they are.
const MOST: usize = 10_000;
/// A page has at most so many times the points of the one before it.
const GROWTH: usize = 8;

/// The number of points to ask for.
#[derive(Debug, Clone)]
pub struct PageSize {
    points: usize,
    most: usize,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { points: FIRST, most: MOST }
    }
}

impl PageSize {
    /// So many points.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Takes in how long an answer of so many points was.
    pub fn was(&mut self, points: usize, size_bytes: usize) {
        if let Some(each) = size_bytes.checked_div(points) {
            let good = GOOD_BYTES / each.max(1);
            self.points = good.clamp(1, self.most).min(self.points.saturating_mul(GROWTH));
        }
    }

    /// It was too much for the server: half of it, from now on at most. False when it cannot be less.
    pub fn was_too_much(&mut self) -> bool {
        if self.points < 2 {
            return false;
        }
        self.points /= 2;
        self.most = self.points;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_and_shrink_to_a_good_size() {
        let mut size = PageSize::default();
        size.was(100, 100 * 200);
        assert_eq!(size.points(), 800);
        size.was(800, 800 * 200);
        size.was(6400, 6400 * 200);
        assert_eq!(size.points(), MOST);
        size.was(1000, 40 << 20);
        assert_eq!(size.points(), 50);
        size.was(1, 64 << 20);
        assert_eq!(size.points(), 1);
    }

    #[test]
    fn what_is_too_much_is_halved_and_never_tried_again() {
        let mut size = PageSize::default();
        assert!(size.was_too_much());
        size.was(50, 50);
        assert_eq!(size.points(), 50);
        while size.points() > 1 {
            assert!(size.was_too_much());
        }
        assert!(!size.was_too_much());
    }
}
