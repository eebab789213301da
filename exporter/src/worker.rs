//! Reading files on a thread of its own, so that a hung disk blocks nobody but that thread.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::timeout_at;

const LATE: &str = "no answer in time; does the disk or its network mount hang?";
const PANICKED: &str = "failed by a fault of this program, which standard error tells";

/// Runs one closure, at most once at a time, for all who ask.
pub(crate) struct Worker<T> {
    shared: Arc<Shared<T>>,
}

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

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// As in the state, for those who cannot block.
    ended: watch::Sender<u64>,
}

struct State<T> {
    /// Runs that were begun.
    begun: u64,
    /// When the last of them was begun.
    begun_at: Instant,
    /// Runs that have ended.
    ended: u64,
    /// The run that somebody waits for; never further than one ahead of `begun`.
    wanted: u64,
    /// The time that the next run is told.
    now: DateTime<Utc>,
    /// What the last run that gave something gave.
    last: Option<Arc<T>>,
    /// How long the last run took, and whether it panicked.
    took: Duration,
    panicked: bool,
    stop: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// A worker that runs `work`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, mut work: impl FnMut(DateTime<Utc>) -> T + Send + 'static) -> io::Result<Self> {
        let state = State {
            begun: 0,
            begun_at: Instant::now(),
            ended: 0,
            wanted: 0,
            now: DateTime::UNIX_EPOCH,
            last: None,
            took: Duration::ZERO,
            panicked: false,
            stop: false,
        };
        let (ended, _) = watch::channel(0);
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), ended });
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || theirs.serve(&mut work))?;
        Ok(Self { shared })
    }

    /// Asks for a run. One that is under way began before the question and does not answer it, so the next is
    /// asked for, which all questions share that come until then. Gives what to wait for.
    pub fn ask(&self, now: DateTime<Utc>) -> u64 {
        let mut state = self.shared.lock();
        state.wanted = state.begun + 1;
        state.now = now;
        self.shared.changed.notify_all();
        state.wanted
    }

    /// Waits for the run `wanted` until `deadline`.
    pub fn wait(&self, wanted: u64, deadline: Instant) -> Answer<T> {
        let asked = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended >= wanted || left.is_zero() {
                return state.answer(wanted, asked);
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`Worker::wait`] for tasks: blocks no thread. While a run has been under way for longer than `patience`, nobody
    /// else waits at all.
    pub async fn wait_async(&self, wanted: u64, patience: Duration) -> Answer<T> {
        let asked = Instant::now();
        let hangs = {
            let state = self.shared.lock();
            state.begun > state.ended && state.begun_at.elapsed() > patience
        };
        let mut ended = self.shared.ended.subscribe();
        if !hangs {
            // Out of time is told by the answer, and the sender is ours.
            drop(timeout_at((asked + patience).into(), ended.wait_for(|ended| *ended >= wanted)).await);
        }
        self.shared.lock().answer(wanted, asked)
    }
}

impl<T> State<T> {
    /// What there is to say to who asked at `asked` for the run `wanted`.
    fn answer(&self, wanted: u64, asked: Instant) -> Answer<T> {
        let in_time = self.ended >= wanted;
        let problem = if !in_time {
            Some(LATE)
        } else if self.panicked {
            Some(PANICKED)
        } else {
            None
        };
        let duration = if in_time { self.took } else { asked.elapsed() };
        Answer { value: self.last.clone(), problem, duration }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, work: &mut dyn FnMut(DateTime<Utc>) -> T) {
        let mut state = self.lock();
        loop {
            while state.wanted <= state.begun && !state.stop {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stop {
                return;
            }
            state.begun += 1;
            state.begun_at = Instant::now();
            let now = state.now;
            drop(state);
            // A fault of one run must not end all that come after it. Who keeps a memory between runs minds what a panic leaves.
            let value = catch_unwind(AssertUnwindSafe(|| work(now)));
            state = self.lock();
            state.ended = state.begun;
            state.took = state.begun_at.elapsed();
            state.panicked = value.is_err();
            state.last = value.ok().map(Arc::new).or(state.last.take());
            self.ended.send_replace(state.ended);
            self.changed.notify_all();
        }
    }
}

impl<T> Drop for Worker<T> {
    /// The thread ends when it can. It is not waited for: its disk may hang for ever.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }
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

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn questions_during_a_run_share_the_next_one() {
        let (release, gate) = mpsc::channel::<()>();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let worker = Worker::start("test", move |_| {
            gate.recv().unwrap();
            counted.fetch_add(1, Ordering::SeqCst)
        })
        .unwrap();
        let first = worker.ask(DateTime::UNIX_EPOCH);
        while worker.shared.lock().begun < first {
            thread::yield_now();
        }
        let others = [(); 3].map(|()| worker.ask(DateTime::UNIX_EPOCH));
        assert_eq!(others, [first + 1; 3]);
        release.send(()).unwrap();
        release.send(()).unwrap();
        assert!(worker.wait(first, soon()).problem.is_none());
        let answers = others.map(|other| worker.wait(other, soon()));
        assert!(answers.iter().all(|answer| answer.problem.is_none() && answer.value.as_deref() == Some(&1)));
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_hung_run_gives_the_last_known_value_before_the_deadline_and_heals() {
        let (release, gate) = mpsc::channel::<u32>();
        let worker = Worker::start("test", move |_| gate.recv().unwrap_or(0)).unwrap();
        let wanted = worker.ask(DateTime::UNIX_EPOCH);
        let hung = worker.wait(wanted, Instant::now() + Duration::from_millis(20));
        assert!(
            hung.problem == Some(LATE) && hung.value.is_none() && hung.duration >= Duration::from_millis(20)
        );
        release.send(7).unwrap();
        assert_eq!(worker.wait(wanted, soon()).value.as_deref(), Some(&7));
        let wanted = worker.ask(DateTime::UNIX_EPOCH);
        let hung = worker.wait(wanted, Instant::now() + Duration::from_millis(20));
        assert!(hung.problem == Some(LATE) && hung.value.as_deref() == Some(&7), "the last known value");
        release.send(8).unwrap();
        let healed = worker.wait(wanted, soon());
        assert!(healed.problem.is_none() && healed.value.as_deref() == Some(&8));
    }
}
