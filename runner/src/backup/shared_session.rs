//! The session, shared by several collections in one task.
//!
//! Each call borrows it exclusively and releases it before it returns, so that it is never held during a wait.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::{CollectionName, Status};

use crate::session::Session;

/// A session that several collections write to.
pub struct SharedSession<'a> {
    session: RefCell<&'a mut Session>,
    /// The collections in progress. The last one that entered a stage is at the end.
    under_way: RefCell<Vec<(CollectionName, Stage)>>,
}

impl<'a> SharedSession<'a> {
    /// Shares `session`.
    pub fn new(session: &'a mut Session) -> Self {
        Self { session: RefCell::new(session), under_way: RefCell::new(Vec::new()) }
    }

    /// Reads or changes the session. Must not be called recursively.
    pub fn with<T>(&self, use_it: impl FnOnce(&mut Session) -> T) -> T {
        use_it(&mut self.session.borrow_mut())
    }

    /// As [`Session::now`].
    pub fn now(&self) -> DateTime<Utc> {
        self.with(|session| session.now())
    }

    /// As [`Session::warn`].
    pub fn warn(&self, warning: impl AsRef<str>) {
        self.with(|session| session.warn(warning));
    }

    /// As [`Session::heartbeat`].
    pub fn heartbeat(&self) {
        self.with(Session::heartbeat);
    }

    /// Reads the status.
    pub fn status<T>(&self, read: impl FnOnce(&Status) -> T) -> T {
        self.with(|session| read(session.status()))
    }

    /// As [`Session::write_status`].
    pub fn write_status(&self, change: impl FnOnce(&mut Status)) {
        self.with(|session| session.write_status(change));
    }

    /// As [`Session::show_status`].
    pub fn show_status(&self) {
        self.with(Session::show_status);
    }

    /// As [`Session::amend_status`].
    pub fn amend_status(&self, change: impl FnOnce(&mut Status)) {
        self.with(|session| session.amend_status(change));
    }

    /// As [`Session::enter_stage`]. The status shows the collection that entered a stage last.
    pub fn enter_stage(&self, stage: Stage, collection: &CollectionName) {
        let mut under_way = self.under_way.borrow_mut();
        under_way.retain(|(other, _)| other != collection);
        under_way.push((collection.clone(), stage.clone()));
        self.with(|session| session.enter_stage(stage, collection));
    }

    /// `collection` is finished. If others are in progress, the status shows one of them.
    pub fn leave(&self, collection: &CollectionName) {
        let mut under_way = self.under_way.borrow_mut();
        under_way.retain(|(other, _)| other != collection);
        if let Some((other, stage)) = under_way.last() {
            self.with(|session| session.enter_stage(stage.clone(), other));
        }
    }
}
