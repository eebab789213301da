//! Logs problems of the files: each one once, and again only after it was fixed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use crate::observe::Observation;

/// The problems at the last observation.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeSet<String>>);

impl Complaints {
    /// Logs new problems in `observation`, and when all files are readable again.
    pub(super) fn about(&self, observation: &Observation) {
        let Observation { status, directory, storage, problems, .. } = observation;
        let parts = [&status.problem, &directory.problem, &storage.problem].into_iter().flatten();
        let files = problems.iter().map(|unreadable| &unreadable.problem);
        let now: BTreeSet<String> = parts.chain(files).cloned().collect();
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for message in now.difference(&said) {
            warn!(err = message.as_str(), "Unable to read");
        }
        if now.is_empty() && !said.is_empty() {
            info!("Everything is readable again");
        }
        *said = now;
    }
}
