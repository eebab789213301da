//! Number of points of a collection, exact or approximate.

use std::fmt;

/// A number of points. If a server does not count exactly (strict mode, rate limits), it is approximate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointsCount {
    /// Number of points.
    pub points: u64,
    /// Whether it is exact.
    pub exact: bool,
}

impl PointsCount {
    /// An exact number.
    pub fn exact(points: u64) -> Self {
        Self { points, exact: true }
    }

    /// An approximate number.
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
