//! The observer: reads three parts in parallel, and answers before the deadline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::Layout;

use super::directory::{Directory, DirectoryLook};
use super::observation::{Observation, Part, Storage};
use super::state::{self, State, StateLook};
use crate::worker::{Answer, Worker};

/// Observes a backup directory and its state directory. Shared by all requests.
#[derive(Debug)]
pub struct Observer {
    state: Worker<StateLook>,
    directory: Worker<DirectoryLook>,
    /// The disk space, or the reason why it is unknown.
    storage: Worker<(Option<Arc<Storage>>, Option<String>)>,
}

impl Observer {
    /// An observer of `backup_dir` with status files in `state_dir`. Reads nothing yet.
    pub fn new(backup_dir: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        let layout = Layout::new(backup_dir, state_dir);
        let (of_state, root) = (layout.clone(), layout.root().to_owned());
        Self {
            state: Worker::new(remembering(move || State::new(&of_state), State::look)),
            directory: Worker::new(remembering(move || Directory::new(layout.clone()), Directory::look)),
            storage: Worker::new(move |_| state::storage(&root)),
        }
    }

    /// Observes, and answers within `deadline`. A part that is not ready by then has its last known value and a
    /// problem. Requests during an observation share the next one.
    pub async fn observe(&self, now: DateTime<Utc>, deadline: Duration) -> Arc<Observation> {
        let (state, directory, storage) = tokio::join!(
            self.state.ask(now, deadline),
            self.directory.ask(now, deadline),
            self.storage.ask(now, deadline),
        );
        let found = state.value.clone().unwrap_or_default();
        let looked = directory.value.clone().unwrap_or_default();
        let (room, room_problem) = storage.value.as_deref().cloned().unwrap_or_default();
        Arc::new(Observation {
            taken_at: now,
            status: part(&state, found.status.clone(), found.status_problem.clone()),
            last_skipped: found.last_skipped.clone(),
            last_refused: found.last_refused.clone(),
            directory: part(&directory, looked.view.clone(), looked.problem.clone()),
            storage: part(&storage, room, room_problem),
            problems: found.problems.iter().chain(&looked.problems).cloned().collect(),
        })
    }
}

/// Runs `look` with a memory that is kept between calls. After a panic the memory is discarded, because it may be
/// inconsistent.
fn remembering<M, T>(
    mut make: impl FnMut() -> M,
    look: impl Fn(&mut M, DateTime<Utc>) -> T,
) -> impl FnMut(DateTime<Utc>) -> T {
    let mut memory = None;
    move |now| {
        let mut taken = memory.take().unwrap_or_else(&mut make);
        let looked = look(&mut taken, now);
        memory = Some(taken);
        looked
    }
}

fn part<T, A>(answer: &Answer<A>, value: Option<Arc<T>>, problem: Option<String>) -> Part<T> {
    let unanswered = answer.problem.map(str::to_owned);
    Part { value, problem: unanswered.or(problem), duration: answer.duration }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::observe::DirectoryView;

    const SOON: Duration = Duration::from_secs(20);

    /// An observer that uses `directory` for the directory and finds nothing else.
    fn of(directory: impl FnMut(DateTime<Utc>) -> DirectoryLook + Send + 'static) -> Observer {
        Observer {
            state: Worker::new(|_| StateLook::default()),
            directory: Worker::new(directory),
            storage: Worker::new(|_| (None, None)),
        }
    }

    fn with_orphans(orphan_files: u64) -> DirectoryLook {
        let view = Arc::new(DirectoryView { orphan_files, ..Default::default() });
        DirectoryLook { view: Some(view), ..Default::default() }
    }

    fn orphans(seen: &Observation) -> Option<u64> {
        seen.directory.value.as_ref().map(|view| view.orphan_files)
    }

    #[tokio::test]
    async fn a_hung_directory_is_answered_in_time_with_what_is_known_and_hides_no_other_part() {
        let (release, gate) = mpsc::channel();
        let observer = of(move |_| with_orphans(gate.recv().unwrap_or(0)));
        let look = |deadline| observer.observe(DateTime::UNIX_EPOCH, deadline);
        let hung = look(Duration::from_millis(50)).await;
        assert!(orphans(&hung).is_none() && !hung.directory.success() && !hung.is_up());
        assert!(hung.directory.duration >= Duration::from_millis(50));
        assert!(hung.directory.problem.as_ref().is_some_and(|problem| problem.contains("mount hang")));
        assert!(hung.storage.problem.is_none(), "the other parts are not hidden");
        // The hung read ends, and so does the new one.
        release.send(1).unwrap();
        release.send(2).unwrap();
        let healed = look(SOON).await;
        assert!(healed.directory.success() && orphans(&healed) == Some(2));
        let hung = look(Duration::from_millis(50)).await;
        assert!(!hung.directory.success() && orphans(&hung) == Some(2), "as it was last seen");
        drop(release);
    }

    #[tokio::test]
    async fn a_look_that_panics_is_reported_as_failed_and_the_next_one_begins_anew() {
        let mut made = 0;
        let make = move || {
            made += 1;
            made
        };
        let observer = of(remembering(make, |memory: &mut u64, _| {
            *memory += 10;
            assert!(*memory != 21, "half done");
            with_orphans(*memory)
        }));
        let look = || observer.observe(DateTime::UNIX_EPOCH, SOON);
        let first = look().await;
        assert!(first.directory.success() && orphans(&first) == Some(11));
        let second = look().await;
        assert!(!second.directory.success() && !second.is_up() && second.storage.problem.is_none());
        assert_eq!(orphans(&second), Some(11), "as it was last seen");
        let problem = second.directory.problem.as_ref();
        assert!(problem.is_some_and(|problem| problem.contains("error in this program")));
        let third = look().await;
        assert!(third.directory.success() && orphans(&third) == Some(12), "with a new memory");
    }
}
