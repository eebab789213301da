//! Which points are to be brought back.

use serde_json::Value;

use crate::points::id::PointId;

/// Of which points.
#[derive(Debug, Clone, PartialEq)]
pub enum WhichPoints {
    /// All that the backup has.
    All,
    /// These.
    Ids(Vec<PointId>),
    /// Those that this filter of Qdrant's lets through, as they are in the backup.
    Filter(Value),
}

/// What is wanted of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Which points.
    pub which: WhichPoints,
    /// Write those that the target lacks.
    pub missing: bool,
    /// Overwrite those that differ.
    pub changed: bool,
}
