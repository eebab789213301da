//! A part of a look on a thread of its own, so that a hung disk blocks nobody but that thread.

use std::fmt;
use std::io;
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
    stop: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// A worker that runs `work`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, mut work: impl FnMut(DateTime<Utc>) -> T + Send + 'static) -> io::Result<Self> {
        let state =
            State { begun: 0, ended: 0, wanted: 0, now: DateTime::UNIX_EPOCH, last: None, stop: false };
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
                return Answer { value, in_time, duration: if in_time { took } else { asked.elapsed() } };
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
            let value = Arc::new(work(now));
            let took = began.elapsed();
            state = self.lock();
            state.ended = state.begun;
            state.last = Some((value, took));
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
        assert!(worker.wait(first, soon()).in_time);
        let answers = others.map(|other| worker.wait(other, soon()));
        assert!(answers.iter().all(|answer| answer.in_time && answer.value.as_deref() == Some(&1)));
        assert_eq!(runs.load(Ordering::SeqCst), 2);
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
