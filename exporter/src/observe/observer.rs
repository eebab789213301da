//! The one who looks: three parts side by side, and an answer before the deadline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::Layout;

use super::directory::{Directory, DirectoryLook};
use super::observation::{Observation, Part, Storage};
use super::state::{self, State, StateLook};
use crate::worker::{Answer, Worker};

/// Looks at a backup directory and its state directory. Shared by all who ask.
#[derive(Debug)]
pub struct Observer {
    state: Worker<StateLook>,
    directory: Worker<DirectoryLook>,
    storage: Worker<Result<Option<Storage>, String>>,
}

impl Observer {
    /// An observer of `backup_dir`, whose status files are in `state_dir`. Nothing is looked at yet.
    pub fn new(backup_dir: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        let layout = Layout::new(backup_dir, state_dir);
        let (of_state, root) = (layout.clone(), layout.root().to_owned());
        Self::with(
            remembering(move || State::new(&of_state), State::look),
            remembering(move || Directory::new(layout.clone()), Directory::look),
            move |_| state::storage(&root),
        )
    }

    /// An observer whose parts are looked at in these ways.
    fn with(
        state: impl FnMut(DateTime<Utc>) -> StateLook + Send + 'static,
        directory: impl FnMut(DateTime<Utc>) -> DirectoryLook + Send + 'static,
        storage: impl FnMut(DateTime<Utc>) -> Result<Option<Storage>, String> + Send + 'static,
    ) -> Self {
        let (state, directory) = (Worker::new(state), Worker::new(directory));
        Self { state, directory, storage: Worker::new(storage) }
    }

    /// Looks, and answers within `deadline`. A part that has not answered by then is given as it was last
    /// known, with a problem. Who asks while a look is under way shares the next one.
    pub async fn observe(&self, now: DateTime<Utc>, deadline: Duration) -> Arc<Observation> {
        let (state, directory, storage) = tokio::join!(
            self.state.ask(now, deadline),
            self.directory.ask(now, deadline),
            self.storage.ask(now, deadline),
        );
        Arc::new(observation(now, &state, &directory, &storage))
    }
}

/// Looks with a memory that lasts from look to look. A look that panics takes it along, for it may be half of one.
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

fn observation(
    now: DateTime<Utc>,
    state: &Answer<StateLook>,
    directory: &Answer<DirectoryLook>,
    storage: &Answer<Result<Option<Storage>, String>>,
) -> Observation {
    let nothing = StateLook::default();
    let StateLook { status, last_skipped, last_refused } = state.value.as_deref().unwrap_or(&nothing);
    let looked = directory.value.as_deref();
    let problems = [&status.problem, &last_skipped.problem, &last_refused.problem].into_iter().flatten();
    let room = storage.value.as_deref();
    Observation {
        taken_at: now,
        status: part(
            state,
            status.value.clone(),
            status.problem.as_ref().map(|problem| problem.message.clone()),
        ),
        last_skipped: last_skipped.value.clone(),
        last_refused: last_refused.value.clone(),
        directory: part(
            directory,
            looked.and_then(|looked| looked.view.clone()),
            looked.and_then(|looked| looked.problem.clone()),
        ),
        storage: part(
            storage,
            room.and_then(|room| room.as_ref().ok().copied().flatten()).map(Arc::new),
            room.and_then(|room| room.as_ref().err().cloned()),
        ),
        problems: problems.chain(looked.iter().flat_map(|looked| &looked.problems)).cloned().collect(),
    }
}

fn part<T, A>(answer: &Answer<A>, value: Option<Arc<T>>, problem: Option<String>) -> Part<T> {
    let unanswered = answer.problem.map(str::to_owned);
    Part { value, problem: unanswered.or(problem), duration: answer.duration }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::super::state::Found;
    use super::*;
    use crate::observe::{DirectoryView, Problem};

    const SOON: Duration = Duration::from_secs(20);

    /// An observer whose directory is looked at by `directory`, and who finds nothing else.
    fn of(directory: impl FnMut(DateTime<Utc>) -> DirectoryLook + Send + 'static) -> Observer {
        Observer::with(|_| StateLook::default(), directory, |_| Ok(None))
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
        assert!(hung.directory.problem.as_ref().is_some_and(|problem| problem.contains("mount hang")));
        assert!(hung.storage.problem.is_none(), "the other parts are not hidden");
        // The look that hung ends, and so does the one that is asked for now.
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
        assert!(problem.is_some_and(|problem| problem.contains("fault of this program")));
        let third = look().await;
        assert!(third.directory.success() && orphans(&third) == Some(12), "with a new memory");
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_looks() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let observer = Arc::new(of(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            with_orphans(0)
        }));
        let asked = [(); 100].map(|()| {
            let observer = Arc::clone(&observer);
            tokio::spawn(async move { observer.observe(DateTime::UNIX_EPOCH, SOON).await })
        });
        for asked in asked {
            assert!(asked.await.unwrap().directory.success());
        }
        assert!(looks.load(Ordering::SeqCst) < 50, "{looks:?}");
    }

    #[tokio::test]
    async fn every_problem_of_a_file_is_listed() {
        let problem = |name: &str| Problem { path: name.into(), modified: None, message: name.to_owned() };
        let state = move |_| StateLook {
            status: Found { value: None, problem: Some(problem("status.json")) },
            last_skipped: Found { value: None, problem: Some(problem("last_skipped.json")) },
            last_refused: Found { value: None, problem: Some(problem("last_refused.json")) },
        };
        let directory = move |_| DirectoryLook { problems: vec![problem("manifest")], ..Default::default() };
        let observer = Observer::with(state, directory, |_| Err("none".to_owned()));
        let seen = observer.observe(DateTime::UNIX_EPOCH, SOON).await;
        let paths: Vec<_> = seen.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(paths, ["status.json", "last_skipped.json", "last_refused.json", "manifest"]);
        assert_eq!(seen.status.problem.as_deref(), Some("status.json"));
        assert_eq!(seen.storage.problem.as_deref(), Some("none"));
    }
}
