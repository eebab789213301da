//! What the copies in other places are judged by.

use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::status::Status;
use qdrant_backup_shared::text::shortened;

use super::super::parts::CollectionReport;
use super::super::words;
use super::finding::{Kind, Severity};
use super::judge::Judge;

impl Judge {
    /// Damage that stands, and collections of which a place has no recent copy.
    pub(super) fn copies(&mut self, status: &Status, collections: &[CollectionReport]) {
        for (name, place) in status.offsite.iter().filter(|(_, place)| place.is_damaged()) {
            let problem = place.check_problem.as_deref().unwrap_or("see the log");
            let text = format!("The copies in {name} are damaged: {}", shortened(problem, 200));
            self.find(Severity::Critical, Kind::CopiesDamaged, text);
        }
        let history = status.operations.get(&Operation::Offsite);
        let Some(interval) = history.and_then(|history| history.schedule_interval_seconds) else { return };
        let copying = status.current_run.as_ref().is_some_and(|run| run.operation == Operation::Offsite);
        for name in status.offsite.keys() {
            let late: Vec<String> = collections
                .iter()
                .filter(|collection| collection.on_server == Some(true))
                .filter(|collection| {
                    let copies = collection.copies.iter().find(|copies| copies.place == *name);
                    match copies.and_then(|copies| copies.newest_at) {
                        Some(at) => words::seconds(self.now - at) > 2.0 * interval,
                        None => !copying,
                    }
                })
                .map(|collection| words::name(collection.collection.as_str()))
                .collect();
            if !late.is_empty() {
                let text = format!("No recent copy in {name}: {}", shortened(&late.join(", "), 300));
                self.find(Severity::Critical, Kind::CopiesTooOld, text);
            }
        }
    }
}
