//! What is wrong with the files, in the log: each thing once, and again only after it had been mended.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use crate::observe::Observation;

/// What was last complained of.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: Mutex<BTreeSet<(Option<i64>, String)>>,
}

impl Complaints {
    /// Logs what is new in `observation`, and that all is well again once it is.
    pub(super) fn about(&self, observation: &Observation) {
        let parts = [
            observation.status.problem.as_ref(),
            observation.directory.problem.as_ref(),
            observation.storage.problem.as_ref(),
        ];
        let files = observation.problems.iter().map(|problem| {
            (problem.modified.map(|modified| modified.timestamp_millis()), problem.message.clone())
        });
        let mut now: BTreeSet<_> = files.collect();
        for message in parts.into_iter().flatten() {
            // The status file's own problem is a part's problem too.
            if !now.iter().any(|(_, said)| said == message) {
                now.insert((None, message.clone()));
            }
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, message) in now.difference(&said) {
            warn!(err = message.as_str(), "Something cannot be read");
        }
        if now.is_empty() && !said.is_empty() {
            info!("Everything can be read again");
        }
        *said = now;
    }
}
