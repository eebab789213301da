//! Number of points per request: chosen for a good size of answers, and reduced if the server needs it. Pure functions.

/// Target size of an answer. Large enough to make the overhead small, small enough for memory.
const GOOD_BYTES: usize = 2 << 20;
/// Initial number of points.
const FIRST: usize = 100;
/// Maximum number of points.
const MOST: usize = 10_000;
/// Maximum growth from one page to the next.
const GROWTH: usize = 8;

/// The number of points for the next request.
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
    /// This number of points.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Adapts to the size of an answer.
    pub fn was(&mut self, points: usize, size_bytes: usize) {
        if let Some(each) = size_bytes.checked_div(points) {
            let good = GOOD_BYTES / each.max(1);
            self.points = good.clamp(1, self.most).min(self.points.saturating_mul(GROWTH));
        }
    }

    /// The request was too large: uses at most half from now on. False if it cannot be smaller.
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
