//! State of backing up one collection: the stages, and snapshots found in the list.

use std::cell::RefCell;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::run_report::StageReport;

use super::adopted::Adopted;
use super::run::Run;
use super::stages::Stages;
use crate::qdrant::Subject;

/// The state for one collection. Several shards may be in progress in one task, so each call borrows it exclusively.
pub struct Work<'a, 's> {
    run: &'a Run<'s>,
    /// Collection that is backed up.
    pub(super) collection: &'a CollectionName,
    stages: RefCell<Stages>,
    adopted: RefCell<Vec<Adopted>>,
}

impl<'a, 's> Work<'a, 's> {
    /// Begins with the first stage.
    pub(super) fn begin(run: &'a Run<'s>, collection: &'a CollectionName) -> Self {
        let work = Self {
            run,
            collection,
            stages: RefCell::new(Stages::begin(Stage::Inspect)),
            adopted: RefCell::default(),
        };
        run.session.enter_stage(Stage::Inspect, collection);
        work
    }

    /// Ends the previous stage and begins `stage`, for the report and the status.
    pub(super) fn enter(&self, stage: Stage) {
        self.stages.borrow_mut().enter(stage.clone());
        self.run.session.enter_stage(stage, self.collection);
    }

    /// Counts bytes transferred in the current stage.
    pub(super) fn add_bytes(&self, count: u64) {
        self.stages.borrow_mut().add_bytes(count);
    }

    /// Remembers a snapshot that was found in the list.
    pub(super) fn adopt(&self, adopted: Adopted) {
        self.adopted.borrow_mut().push(adopted);
    }

    /// Takes those snapshots.
    pub(super) fn take_adopted(&self) -> Vec<Adopted> {
        self.adopted.take()
    }

    /// Takes those of `subject`.
    pub(super) fn take_adopted_of(&self, subject: &Subject) -> Vec<Adopted> {
        self.adopted
            .borrow_mut()
            .extract_if(.., |adopted| Subject::from(&adopted.creating) == *subject)
            .collect()
    }

    /// Whether one of them is of `subject`.
    pub(super) fn has_adopted(&self, subject: &Subject) -> bool {
        self.adopted.borrow().iter().any(|adopted| Subject::from(&adopted.creating) == *subject)
    }

    /// Ends the last stage.
    pub(super) fn finish(self) -> Vec<StageReport> {
        self.stages.into_inner().finish()
    }
}
