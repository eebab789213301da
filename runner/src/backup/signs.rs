//! Signs of a running snapshot request on a server, besides its answer.

use super::node::Part;
use super::run::Run;
use crate::qdrant::{Client, Telemetry};

/// The state of a snapshot request, as shown by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is creating a snapshot of the collection.
    Working,
    /// It is not creating one.
    Idle,
    /// It was restarted, so the request has died.
    Restarted,
    /// It answers, but does not report this.
    Unknown {
        /// Whether it is certainly the same process.
        same_process: bool,
    },
    /// It does not answer.
    Silent,
}

/// Before this version, servers do not report shard snapshots in progress.
const TELLS_OF_SHARDS: (u32, u32) = (1, 16);

/// Checks the node once, with `client`.
pub async fn sign(run: &Run<'_>, part: &Part, client: &Client) -> Sign {
    let told = match client.telemetry().await {
        Ok(told) => told,
        // A proxy that blocks the request, or a server that does not support it.
        Err(error) if error.is_answered() => return Sign::Unknown { same_process: false },
        // It may be too busy for the count, but not for this.
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
