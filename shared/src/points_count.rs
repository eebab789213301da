//! How many points a collection has, and whether that is exactly so.

use std::fmt;

/// A number of points. Where a server does not count exactly (strict mode, a limit on rates), it is only about right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointsCount {
    /// How many.
    pub points: u64,
    /// Whether exactly so many.
    pub exact: bool,
}

impl PointsCount {
    /// Exactly so many.
    pub fn exact(points: u64) -> Self {
        Self { points, exact: true }
    }

    /// About so many.
    pub fn approximate(points: u64) -> Self {
        Self { points, exact: false }
    }
}

/// As in `250`, or `about 250`.
impl fmt::Display for PointsCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.exact { "" } else { "about " }, self.points)
    }
}
