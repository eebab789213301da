//! Signs that a server gives of a creation that is under way, besides its answer.

use super::node::Part;
use super::run::Run;
use crate::qdrant::{Client, Telemetry};

/// What a server shows of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is making a snapshot of the collection.
    Working,
    /// It is making none.
    Idle,
    /// It is another process than the one that was asked, whose work died with it.
    Restarted,
    /// It answers, and does not tell.
    Unknown {
        /// Whether it is known to be the process that was asked.
        same_process: bool,
    },
    /// It does not answer.
    Silent,
}

/// Before this version, servers do not tell of shards' snapshots that they are making.
const TELLS_OF_SHARDS: (u32, u32) = (1, 16);

/// Asks the node once, by way of `client`.
pub async fn sign(run: &Run<'_>, part: &Part, client: &Client) -> Sign {
    let told = match client.telemetry().await {
        Ok(told) => told,
        // A proxy that does not let the question through, or a server that does not know it.
        Err(error) if error.is_answered() => return Sign::Unknown { same_process: false },
        // It may be too busy to count, but not to say who it is.
        Err(_) => match client.process().await {
            Ok(process) => Telemetry::of(process),
            Err(_) => return Sign::Silent,
        },
    };
    let mut known = part.node.process.borrow_mut();
    let same_process = known.is_some() && told.process == *known;
    if known.is_some() && told.process.is_some() && !same_process {
        known.clone_from(&told.process);
        return Sign::Restarted;
    }
    match told.creations(part.collection()) {
        Some(0) if part.subject.shard_id.is_some() && !run.is_at_least(TELLS_OF_SHARDS) => {
            Sign::Unknown { same_process }
        }
        Some(0) => Sign::Idle,
        Some(_) => Sign::Working,
        None => Sign::Unknown { same_process },
    }
}
