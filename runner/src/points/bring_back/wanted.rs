//! The points to restore.

use serde_json::Value;

use crate::points::id::PointId;

/// Selection of points.
#[derive(Debug, Clone, PartialEq)]
pub enum WhichPoints {
    /// All points in the backup.
    All,
    /// These.
    Ids(Vec<PointId>),
    /// Points in the backup that match this Qdrant filter.
    Filter(Value),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// How points are chosen.
    pub which: WhichPoints,
    /// Write points that the target lacks.
    pub missing: bool,
    /// Overwrite points that differ.
    pub changed: bool,
}
