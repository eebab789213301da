//! The one who looks: three parts, each on its own thread, and an answer before the deadline.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::Layout;

use super::directory::{Directory, DirectoryLook};
use super::observation::{DirectoryView, Observation, Part, Storage};
use super::state::{self, State, StateLook};
use super::worker::{Answer, Worker};

/// Looks at a backup directory and its state directory. Shared by all who ask.
#[derive(Debug)]
pub struct Observer {
    layout: Layout,
    state: Worker<StateLook>,
    directory: Worker<Looked>,
    storage: Worker<Result<Arc<Storage>, String>>,
}

/// A look at the directory, with the view ready to be shared.
#[derive(Debug)]
struct Looked {
    view: Option<Arc<DirectoryView>>,
    look: DirectoryLook,
}

impl Observer {
    /// An observer of `backup_dir`, whose status files are in `state_dir`. Nothing is looked at yet.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn new(backup_dir: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> io::Result<Self> {
        let layout = Layout::new(backup_dir, state_dir);
        let mut state = State::new(&layout);
        let mut directory = Directory::new(layout.clone());
        let root = layout.root().to_owned();
        Ok(Self {
            layout,
            state: Worker::start("status", move |now| state.look(now))?,
            directory: Worker::start("directory", move |now| {
                let mut look = directory.look(now);
                Looked { view: look.view.take().map(Arc::new), look }
            })?,
            storage: Worker::start("storage", move |_| state::storage(&root).map(Arc::new))?,
        })
    }

    /// The layout that is looked at.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Looks, and answers within `deadline`. A part that has not answered by then is given as it was last
    /// known, with a problem. Who asks while a look is under way shares the next one.
    pub fn observe(&self, now: DateTime<Utc>, deadline: Duration) -> Arc<Observation> {
        let until = Instant::now() + deadline;
        let wanted = (self.state.ask(now), self.directory.ask(now), self.storage.ask(now));
        let state = self.state.wait(wanted.0, until);
        let directory = self.directory.wait(wanted.1, until);
        let storage = self.storage.wait(wanted.2, until);
        Arc::new(observation(now, &state, &directory, &storage))
    }
}

fn observation(
    now: DateTime<Utc>,
    state: &Answer<StateLook>,
    directory: &Answer<Looked>,
    storage: &Answer<Result<Arc<Storage>, String>>,
) -> Observation {
    let (looked, files) = (directory.value.as_deref(), state.value.as_deref());
    let status_problem = files.and_then(|files| files.status_problem.as_ref());
    let mut problems: Vec<_> = status_problem
        .into_iter()
        .chain(files.and_then(|files| files.last_skipped_problem.as_ref()))
        .cloned()
        .collect();
    problems.extend(looked.iter().flat_map(|looked| looked.look.problems.iter().cloned()));
    Observation {
        taken_at: now,
        status: part(
            state,
            files.and_then(|files| files.status.clone()),
            status_problem.map(|problem| problem.message.clone()),
        ),
        last_skipped: files.and_then(|files| files.last_skipped.clone()),
        directory: part(
            directory,
            looked.and_then(|looked| looked.view.clone()),
            looked.and_then(|looked| looked.look.problem.clone()),
        ),
        storage: part(
            storage,
            storage.value.as_deref().and_then(|storage| storage.as_ref().ok().cloned()),
            storage.value.as_deref().and_then(|storage| storage.as_ref().err().cloned()),
        ),
        problems,
    }
}

fn part<T, A>(answer: &Answer<A>, value: Option<Arc<T>>, problem: Option<String>) -> Part<T> {
    let late = || "no answer in time; does the disk or its network mount hang?".to_owned();
    Part { value, problem: if answer.in_time { problem } else { Some(late()) }, duration: answer.duration }
}
