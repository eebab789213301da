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
use crate::worker::{Answer, Worker};

/// Looks at a backup directory and its state directory. Shared by all who ask.
#[derive(Debug)]
pub struct Observer {
    layout: Layout,
    state: Worker<StateLook>,
    directory: Worker<Looked>,
    storage: Worker<Result<Option<Arc<Storage>>, String>>,
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
        let (of_state, of_directory) = (layout.clone(), layout.clone());
        let root = layout.root().to_owned();
        Self::with(
            layout,
            remembering(move || State::new(&of_state), State::look),
            remembering(move || Directory::new(of_directory.clone()), Directory::look),
            move |_| state::storage(&root),
        )
    }

    /// An observer whose parts are looked at in these ways.
    fn with(
        layout: Layout,
        state: impl FnMut(DateTime<Utc>) -> StateLook + Send + 'static,
        mut directory: impl FnMut(DateTime<Utc>) -> DirectoryLook + Send + 'static,
        mut storage: impl FnMut(DateTime<Utc>) -> Result<Option<Storage>, String> + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            layout,
            state: Worker::start("status", state)?,
            directory: Worker::start("directory", move |now| {
                let mut look = directory(now);
                Looked { view: look.view.take().map(Arc::new), look }
            })?,
            storage: Worker::start("storage", move |now| Ok(storage(now)?.map(Arc::new)))?,
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

/// Looks with a memory that lasts from look to look. A look that panics takes it along, for it may be half of one.
fn remembering<M, T>(
    make: impl Fn() -> M,
    look: impl Fn(&mut M, DateTime<Utc>) -> T,
) -> impl FnMut(DateTime<Utc>) -> T {
    let mut memory = None;
    move |now| {
        let mut taken = memory.take().unwrap_or_else(&make);
        let looked = look(&mut taken, now);
        memory = Some(taken);
        looked
    }
}

fn observation(
    now: DateTime<Utc>,
    state: &Answer<StateLook>,
    directory: &Answer<Looked>,
    storage: &Answer<Result<Option<Arc<Storage>>, String>>,
) -> Observation {
    let (looked, files) = (directory.value.as_deref(), state.value.as_deref());
    let status_problem = files.and_then(|files| files.status_problem.as_ref());
    let mut problems: Vec<_> = status_problem
        .into_iter()
        .chain(files.and_then(|files| files.last_skipped_problem.as_ref()))
        .chain(files.and_then(|files| files.last_refused_problem.as_ref()))
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
        last_refused: files.and_then(|files| files.last_refused.clone()),
        directory: part(
            directory,
            looked.and_then(|looked| looked.view.clone()),
            looked.and_then(|looked| looked.look.problem.clone()),
        ),
        storage: part(
            storage,
            storage.value.as_deref().and_then(|storage| storage.as_ref().ok().cloned().flatten()),
            storage.value.as_deref().and_then(|storage| storage.as_ref().err().cloned()),
        ),
        problems,
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
    use crate::observe::Problem;

    fn nothing(_: DateTime<Utc>) -> StateLook {
        StateLook::default()
    }

    #[test]
    fn a_hung_directory_is_answered_in_time_with_what_is_known_and_hides_no_other_part() {
        let (release, gate) = mpsc::channel::<u64>();
        let observer = Observer::with(
            Layout::new("/b", "/b"),
            nothing,
            move |_| DirectoryLook {
                view: Some(DirectoryView { orphan_files: gate.recv().unwrap_or(0), ..Default::default() }),
                ..Default::default()
            },
            |_| Ok(Some(Storage { avail_bytes: 1, size_bytes: 2 })),
        )
        .unwrap();
        let soon = Duration::from_millis(50);
        let began = Instant::now();
        let hung = observer.observe(DateTime::UNIX_EPOCH, soon);
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(hung.directory.value.is_none() && !hung.directory.success());
        assert!(hung.directory.problem.as_ref().is_some_and(|problem| problem.contains("mount hang")));
        assert!(hung.storage.success(), "the other parts are not hidden");
        assert!(!hung.is_up());

        // The look that hung ends, and so does the one that was asked for now.
        release.send(1).unwrap();
        release.send(2).unwrap();
        let healed = observer.observe(DateTime::UNIX_EPOCH, Duration::from_secs(20));
        assert!(healed.directory.success());
        let known = healed.directory.value.as_ref().unwrap().orphan_files;

        let hung = observer.observe(DateTime::UNIX_EPOCH, soon);
        assert!(!hung.directory.success());
        assert!(hung.directory.value.as_ref().unwrap().orphan_files >= known, "as it was last seen");
        drop(release);
    }

    #[test]
    fn a_look_that_panics_is_reported_as_failed_and_the_next_one_begins_anew() {
        let made = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = Arc::clone(&made);
        let directory = remembering(
            move || counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1,
            |memory: &mut u64, _| {
                *memory += 10;
                assert!(*memory != 21, "half done");
                let view = DirectoryView { orphan_files: *memory, ..Default::default() };
                DirectoryLook { view: Some(view), ..Default::default() }
            },
        );
        let storage = |_| Ok(Some(Storage { avail_bytes: 1, size_bytes: 2 }));
        let observer = Observer::with(Layout::new("/b", "/b"), nothing, directory, storage).unwrap();
        let look = || observer.observe(DateTime::UNIX_EPOCH, Duration::from_secs(20));
        let orphans = |seen: &Observation| seen.directory.value.as_ref().map(|view| view.orphan_files);
        let first = look();
        assert!(first.directory.success() && orphans(&first) == Some(11));
        let second = look();
        assert!(!second.directory.success() && !second.is_up() && second.storage.success());
        assert_eq!(orphans(&second), Some(11), "as it was last seen");
        assert!(
            second
                .directory
                .problem
                .as_ref()
                .is_some_and(|problem| problem.contains("fault of this program"))
        );
        let third = look();
        assert!(third.directory.success());
        assert_eq!(orphans(&third), Some(12), "with a new memory");
    }

    #[test]
    fn many_who_ask_at_once_share_looks() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let observer = Observer::with(
            Layout::new("/b", "/b"),
            nothing,
            move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                DirectoryLook { view: Some(DirectoryView::default()), ..Default::default() }
            },
            |_| Err("none".to_owned()),
        )
        .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    let seen = observer.observe(DateTime::UNIX_EPOCH, Duration::from_secs(20));
                    assert!(seen.directory.success());
                    assert_eq!(seen.storage.problem.as_deref(), Some("none"));
                });
            }
        });
        assert!(looks.load(Ordering::SeqCst) < 50, "{looks:?}");
    }

    #[test]
    fn a_file_system_that_does_not_say_how_large_it_is_is_no_problem_and_has_no_size() {
        let look = |_| DirectoryLook { view: Some(DirectoryView::default()), ..Default::default() };
        let observer = Observer::with(Layout::new("/b", "/b"), nothing, look, |_| Ok(None)).unwrap();
        let seen = observer.observe(DateTime::UNIX_EPOCH, Duration::from_secs(20));
        assert!(seen.storage.value.is_none() && seen.storage.problem.is_none(), "{:?}", seen.storage);
    }

    #[test]
    fn every_problem_of_a_file_is_listed() {
        let problem = |name: &str| Problem { path: name.into(), modified: None, message: name.to_owned() };
        let observer = Observer::with(
            Layout::new("/b", "/b"),
            move |_| StateLook {
                status_problem: Some(problem("status.json")),
                last_skipped_problem: Some(problem("last_skipped.json")),
                last_refused_problem: Some(problem("last_refused.json")),
                ..StateLook::default()
            },
            move |_| DirectoryLook {
                view: Some(DirectoryView::default()),
                problems: vec![problem("manifest")],
                ..Default::default()
            },
            |_| Err("none".to_owned()),
        )
        .unwrap();
        let seen = observer.observe(DateTime::UNIX_EPOCH, Duration::from_secs(20));
        let paths: Vec<_> = seen.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(paths, ["status.json", "last_skipped.json", "last_refused.json", "manifest"]);
        assert_eq!(seen.status.problem.as_deref(), Some("status.json"));
    }
}
