//! A running exporter.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::{self, Answer, PATIENCE};
use crate::programs::program;

/// A running exporter, killed when it is dropped.
pub struct Exporter {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// The exporter's command, without the test's environment.
pub fn command() -> Command {
    let mut command = Command::new(program("qdrant-backup-exporter"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A recent start time for backups, because the exporter uses the real clock.
#[expect(clippy::disallowed_methods, reason = "the built program is told no other time")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

impl Exporter {
    /// An exporter of `directory` with further `arguments`, on a free loopback port.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = command();
        command.arg("--backup-dir").arg(directory).arg("--web.listen-address=127.0.0.1:0").args(arguments);
        Self::spawn(&mut command)
    }

    /// An exporter of `directory` at a fixed address, so that it can be restarted there.
    pub fn start_at(directory: &Path, address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = command();
        command.arg("--backup-dir").arg(directory).arg(format!("--web.listen-address={address}"));
        command.args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts `command` and waits until it logs its address.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the exporter starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut exporter = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), log };
        let address = exporter.wait_for_line("Listening on");
        let address = address.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        exporter.address = address.and_then(|address| address.parse().ok()).expect("an address in the log");
        exporter
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests `path`.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// Requests `path` with this method and these headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = http::connect(self.address).expect("the exporter listens");
        http::ask(&mut stream, method, path, headers).expect("the exporter answers")
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line of the log that contains `part`.
    #[track_caller]
    pub fn wait_for_line(&self, part: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line.contains(part)) {
                return line;
            }
            assert!(began.elapsed() < PATIENCE, "no line contains {part:?}: {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to the exporter.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the exporter runs");
    }

    /// Waits until the exporter exits.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the exporter does not end: {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A memory figure in bytes, for example `VmHWM`, the peak.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.expect("a figure") * 1024
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
