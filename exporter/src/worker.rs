//! Reading files where reading may block: a hung disk keeps one thread, and nobody beyond the deadline.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

const LATE: &str = "no answer in time; does the disk or its network mount hang?";
const PANICKED: &str = "failed because of an error in this program; its log says more";

/// Runs one closure, at most once at a time, for all who ask.
pub(crate) struct Worker<T> {
    work: Arc<tokio::sync::Mutex<Work<T>>>,
    state: Arc<Mutex<State<T>>>,
}

type Work<T> = Box<dyn FnMut(DateTime<Utc>) -> T + Send>;

/// What a run of the closure gave.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The result of the last run that gave one, if any has.
    pub value: Option<Arc<T>>,
    /// Why that is not the answer; nothing when that run was begun after the question.
    pub problem: Option<&'static str>,
    /// How long that run took; how long the question waited, if it was not answered.
    pub duration: Duration,
}

struct State<T> {
    /// Runs that were begun.
    begun: u64,
    /// What the last run that gave something gave.
    value: Option<Arc<T>>,
    /// How long the last run took, and whether it panicked.
    took: Duration,
    panicked: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// A worker that runs `work`.
    pub fn new(work: impl FnMut(DateTime<Utc>) -> T + Send + 'static) -> Self {
        let state = State { begun: 0, value: None, took: Duration::ZERO, panicked: false };
        Self { work: Arc::new(tokio::sync::Mutex::new(Box::new(work))), state: Arc::new(Mutex::new(state)) }
    }

    /// Whether a run is under way.
    pub fn is_busy(&self) -> bool {
        self.work.try_lock().is_err()
    }

    /// Waits for a run for at most `patience`. One that is under way began before the question and does not answer it;
    /// the next one does, which all questions share that come until then.
    pub async fn ask(&self, now: DateTime<Utc>, patience: Duration) -> Answer<T> {
        let (asked, before) = (Instant::now(), lock(&self.state).begun);
        let in_time = timeout(patience, self.run(now, before)).await.is_ok();
        let state = lock(&self.state);
        let problem = match (in_time, state.panicked) {
            (false, _) => Some(LATE),
            (true, true) => Some(PANICKED),
            (true, false) => None,
        };
        let duration = if in_time { state.took } else { asked.elapsed() };
        Answer { value: state.value.clone(), problem, duration }
    }

    /// Returns when a run has ended that was begun after those that had been begun `before`.
    async fn run(&self, now: DateTime<Utc>, before: u64) {
        let mut work = Arc::clone(&self.work).lock_owned().await;
        let state = Arc::clone(&self.state);
        if lock(&state).begun > before {
            return;
        }
        lock(&state).begun += 1;
        // It goes on to its end, and keeps the lock, when nobody waits for it any more.
        let run = spawn_blocking(move || {
            let began = Instant::now();
            // A fault of one run must not end all that come after it. Who keeps a memory between runs minds what a panic leaves.
            let value = catch_unwind(AssertUnwindSafe(|| work(now)));
            let mut state = lock(&state);
            state.took = began.elapsed();
            state.panicked = value.is_err();
            state.value = value.ok().map(Arc::new).or(state.value.take());
        });
        // It catches its panics.
        run.await.unwrap_or(());
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Worker")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn questions_during_a_run_share_the_next_one() {
        let (release, gate) = mpsc::channel::<()>();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let worker = Arc::new(Worker::new(move |_| {
            gate.recv().unwrap();
            counted.fetch_add(1, Ordering::SeqCst) + 1
        }));
        let ask = || {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move { worker.ask(DateTime::UNIX_EPOCH, SOON).await })
        };
        let first = ask();
        while !worker.is_busy() {
            tokio::task::yield_now().await;
        }
        let others = [(); 3].map(|()| ask());
        // One thread runs these tests: the others have asked before we go on.
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().value.as_deref(), Some(&1));
        release.send(()).unwrap();
        for other in others {
            let answer = other.await.unwrap();
            assert!(answer.problem.is_none() && answer.value.as_deref() == Some(&2));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}
