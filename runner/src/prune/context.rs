//! The input of a prune.

use std::num::NonZeroU32;

use tokio_util::sync::CancellationToken;

use crate::choice::Selection;
use crate::prune::retention::Policies;

/// Everything that the operation is given.
#[derive(Debug)]
pub struct PruneContext {
    /// What to keep.
    pub policies: Policies,
    /// Number of days after which all backups of a deleted collection expire.
    pub gone_after_days: Option<NonZeroU32>,
    /// Names of the configured places for copies.
    pub places: Vec<String>,
    /// The collections.
    pub selection: Selection,
    /// Whether more than half of the backups may be deleted, because a person confirmed it.
    pub yes: bool,
    /// Stops the work between two backups.
    pub interrupt: CancellationToken,
}
