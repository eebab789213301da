//! What a prune is given.

use std::num::NonZeroU32;

use tokio_util::sync::CancellationToken;

use crate::choice::Selection;
use crate::prune::retention::Policies;

/// Everything that the operation is given.
#[derive(Debug)]
pub struct PruneContext {
    /// What to keep.
    pub policies: Policies,
    /// After how many days all backups of a collection expire that is gone from the server.
    pub gone_after_days: Option<NonZeroU32>,
    /// Of which collections.
    pub selection: Selection,
    /// Somebody has seen what will be deleted, so it may be more than half.
    pub yes: bool,
    /// Ends the work between two backups.
    pub interrupt: CancellationToken,
}
