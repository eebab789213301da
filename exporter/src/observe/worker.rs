//! A part of a look on a thread of its own, so that a hung disk blocks nobody but that thread.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Runs one closure, at most once at a time, for all who ask.
pub(super) struct Worker<T> {
    shared: Arc<Shared<T>>,
}

/// What a run of the closure gave.
#[derive(Debug)]
pub(super) struct Answer<T> {
    /// The result of the last finished run, if any has finished.
    pub value: Option<Arc<T>>,
    /// Whether that run was begun after the question, and so answers it.
    pub in_time: bool,
    /// How the run that answers it panicked, if it did; the value is then the one before.
    pub panic: Option<String>,
    /// How long that run took; how long the question waited, if it was not answered.
    pub duration: Duration,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Runs that were begun.
    begun: u64,
    /// Runs that have ended.
    ended: u64,
    /// The run that somebody waits for; never further than one ahead of `begun`.
    wanted: u64,
    /// The time that the next run is told.
    now: DateTime<Utc>,
    last: Option<(Arc<T>, Duration)>,
    /// How the last run panicked, if it did, and how long that took.
    panic: Option<(String, Duration)>,
    stop: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// A worker that runs `work`. A run that panics is over, and the next one comes all the same.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, mut work: impl FnMut(DateTime<Utc>) -> T + Send + 'static) -> io::Result<Self> {
        let state = State {
            begun: 0,
            ended: 0,
            wanted: 0,
            now: DateTime::UNIX_EPOCH,
            last: None,
            panic: None,
            stop: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
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
                let in_time = state.ended >= wanted;
                let (value, took) = match &state.last {
                    Some((value, took)) => (Some(Arc::clone(value)), *took),
                    None => (None, Duration::ZERO),
                };
                let (panic, took) = match state.panic.clone().filter(|_| in_time) {
                    Some((panic, took)) => (Some(panic), took),
                    None => (None, took),
                };
                let duration = if in_time { took } else { asked.elapsed() };
                return Answer { value, in_time, panic, duration };
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
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
            let now = state.now;
            drop(state);
            let began = Instant::now();
            // A fault of one look must not end all that come after it. What a panic may leave half done, `work` does not use
            // again.
            let result = catch_unwind(AssertUnwindSafe(|| work(now)));
            let took = began.elapsed();
            state = self.lock();
            state.ended = state.begun;
            match result {
                Ok(value) => {
                    state.last = Some((Arc::new(value), took));
                    state.panic = None;
                }
                Err(panic) => state.panic = Some((words(&*panic), took)),
            }
            self.changed.notify_all();
        }
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
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
        assert!(worker.wait(first, soon()).in_time);
        let answers = others.map(|other| worker.wait(other, soon()));
        assert!(answers.iter().all(|answer| answer.in_time && answer.value.as_deref() == Some(&1)));
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_run_that_panics_fails_alone_and_the_next_one_comes() {
        let mut runs = 0;
        let worker = Worker::start("test", move |_| {
            runs += 1;
            assert!(runs != 2, "a fault in run {runs}");
            runs
        })
        .unwrap();
        let answers = [(); 3].map(|()| worker.wait(worker.ask(DateTime::UNIX_EPOCH), soon()));
        let values = answers.each_ref().map(|answer| (answer.in_time, answer.value.as_deref().copied()));
        assert_eq!(values, [(true, Some(1)), (true, Some(1)), (true, Some(3))]);
        let panics = answers.map(|answer| answer.panic);
        assert_eq!(panics, [None, Some("a fault in run 2".to_owned()), None]);
    }

    #[test]
    fn a_hung_run_gives_the_last_known_value_before_the_deadline_and_heals() {
        let (release, gate) = mpsc::channel::<u32>();
        let worker = Worker::start("test", move |_| gate.recv().unwrap_or(0)).unwrap();
        let wanted = worker.ask(DateTime::UNIX_EPOCH);
        let hung = worker.wait(wanted, Instant::now() + Duration::from_millis(20));
        assert!(!hung.in_time && hung.value.is_none() && hung.duration >= Duration::from_millis(20));
        release.send(7).unwrap();
        assert_eq!(worker.wait(wanted, soon()).value.as_deref(), Some(&7));
        let wanted = worker.ask(DateTime::UNIX_EPOCH);
        let hung = worker.wait(wanted, Instant::now() + Duration::from_millis(20));
        assert!(!hung.in_time && hung.value.as_deref() == Some(&7), "the last known value");
        release.send(8).unwrap();
        let healed = worker.wait(wanted, soon());
        assert!(healed.in_time && healed.value.as_deref() == Some(&8));
    }
}
