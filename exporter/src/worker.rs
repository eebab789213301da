//! Reads files in a thread that may block: a hung disk blocks one thread, and no request longer than its deadline.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

const LATE: &str = "no answer in time; does the disk or its network mount hang?";
const PANICKED: &str = "failed because of an error in this program; its log says more";

/// Runs a closure for all requests, at most once at a time.
pub(crate) struct Worker<T> {
    work: Arc<tokio::sync::Mutex<Work<T>>>,
    state: Arc<Mutex<State<T>>>,
}

type Work<T> = Box<dyn FnMut(DateTime<Utc>) -> T + Send>;

/// The result of a request.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The result of the last successful run, if any.
    pub value: Option<Arc<T>>,
    /// Why the value is not current. None if that run started after the request.
    pub problem: Option<&'static str>,
    /// The duration of that run, or how long the request waited without success.
    pub duration: Duration,
}

struct State<T> {
    /// The number of runs that were started.
    begun: u64,
    /// The result of the last successful run.
    value: Option<Arc<T>>,
    /// The duration of the last run, and whether it panicked.
    took: Duration,
    panicked: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// A worker that runs `work`.
    pub fn new(work: impl FnMut(DateTime<Utc>) -> T + Send + 'static) -> Self {
        let state = State { begun: 0, value: None, took: Duration::ZERO, panicked: false };
        Self { work: Arc::new(tokio::sync::Mutex::new(Box::new(work))), state: Arc::new(Mutex::new(state)) }
    }

    /// Whether a run is in progress.
    pub fn is_busy(&self) -> bool {
        self.work.try_lock().is_err()
    }

    /// Waits for a run for at most `patience`. A run that is in progress started before the request, so the next run
    /// answers it. All requests until then share that run.
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

    /// Returns when a run has ended that started after the first `before` runs.
    async fn run(&self, now: DateTime<Utc>, before: u64) {
        let mut work = Arc::clone(&self.work).lock_owned().await;
        let state = Arc::clone(&self.state);
        if lock(&state).begun > before {
            return;
        }
        lock(&state).begun += 1;
        // The run continues to its end and keeps the lock, even if no request waits for it any more.
        let run = spawn_blocking(move || {
            let began = Instant::now();
            // A panic in one run must not affect later ones. Closures that keep state between runs must handle it.
            let value = catch_unwind(AssertUnwindSafe(|| work(now)));
            let mut state = lock(&state);
            state.took = began.elapsed();
            state.panicked = value.is_err();
            state.value = value.ok().map(Arc::new).or(state.value.take());
        });
        // The closure catches its panics.
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
        // The tests run on one thread, so the other requests have been made at this point.
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
