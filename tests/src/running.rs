//! The program while it runs: watch it, signal it, wait for it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Ran;

/// Longer than any test has to wait, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any run: some give up only after a minute.
const LONGEST_RUN: Duration = Duration::from_secs(300);

/// A run of the program that has not ended yet. Dropping it kills the program.
pub struct Running {
    child: Option<Child>,
    stderr: Option<BufReader<ChildStderr>>,
    seen: String,
}

impl Running {
    /// Starts `command`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(command: &mut Command) -> Self {
        Self::adopt(command.spawn().expect("the program starts"))
    }

    /// Wraps a program that was started elsewhere.
    pub fn adopt(mut child: Child) -> Self {
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child: Some(child), stderr, seen: String::new() }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().expect("it runs").try_wait().expect("a child can be asked").is_some()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Resident memory in KiB without pages of the executable, whose size depends on the build. None once the program
    /// has ended.
    pub fn anonymous_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }

    /// Sends it `signal`.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().map(Pid::from_child).expect("it runs");
        kill_process(pid, signal).expect("the signal arrives");
    }

    /// Sends it `signal` and waits for its end.
    pub fn end_with(self, signal: Signal) -> Ran {
        self.signal(signal);
        self.end()
    }

    /// Waits until its log contains `text`.
    ///
    /// # Panics
    /// When the log ends without it.
    pub fn until_it_says(&mut self, text: &str) {
        let stderr = self.stderr.as_mut().expect("it has a log");
        while !self.seen.contains(text) {
            let read = stderr.read_line(&mut self.seen).expect("the log can be read");
            assert!(read > 0, "{text:?} was not logged:\n{}", self.seen);
        }
    }

    /// Waits until it asks `question`, which does not end in a line break.
    ///
    /// # Panics
    /// When the log ends without it.
    pub fn until_it_asks(&mut self, question: &str) {
        let stderr = self.stderr.as_mut().expect("it has a log");
        let mut byte = [0];
        while !self.seen.ends_with(question) {
            let read = stderr.read(&mut byte).expect("the log can be read");
            assert!(read > 0, "{question:?} was not asked:\n{}", self.seen);
            // Questions and the text between them are ASCII.
            self.seen.push(char::from(byte[0]));
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let rest = self.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut rest = String::new();
                stderr.read_to_string(&mut rest).expect("the log can be read");
                rest
            })
        });
        eventually_within(LONGEST_RUN, "the program ends", || self.has_ended().then_some(()));
        self.seen.extend(rest.map(|rest| rest.join().expect("the log is read")));
        let child = self.child.take().expect("it ran");
        let mut ran = Ran::from(child.wait_with_output().expect("the program ends"));
        ran.stderr = std::mem::take(&mut self.seen);
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already; then there is nothing to kill.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Waits until `happened` returns true. Fails the test on timeout.
#[track_caller]
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, || happened().then_some(()));
}

/// Waits until `look` returns something. Fails the test after `patience`.
#[track_caller]
pub fn eventually_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < patience, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
