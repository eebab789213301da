//! A restic process: started with its environment, its output captured, and stopped together with this program.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio_util::sync::CancellationToken;

/// How often to check whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Maximum time for restic to clean up.
const TIDY: Duration = Duration::from_secs(20);
/// Number of bytes kept from the beginning and from the end of its output.
const KEPT: usize = 16 << 10;

/// A running process. When dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: Pid,
    /// Notifies the watcher that the process has ended or must be stopped.
    watcher: Option<(SyncSender<()>, JoinHandle<()>)>,
    stop: CancellationToken,
    said: Option<JoinHandle<String>>,
}

/// The result of a process.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Its stderr, shortened.
    pub(super) said: String,
}

impl Running {
    /// Starts `command` with pipes for stdout and stderr. It is stopped when `interrupt` is canceled. In a separate process
    /// group, so that signals from the terminal only reach this program. `stdin` is null unless it is fed: with an open pipe, a
    /// process that asks for a password would wait forever.
    pub(super) fn start(
        mut command: Command,
        stdin: Stdio,
        interrupt: &CancellationToken,
    ) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let said = child.stderr.take().map(|stderr| thread::spawn(move || listen(stderr)));
        let stop = interrupt.child_token();
        let (ended, heard) = sync_channel(1);
        let watched = stop.clone();
        // The process is not reaped before the watcher has ended, so that its id is not reused.
        let watcher = thread::spawn(move || {
            let mut asked: Option<Instant> = None;
            loop {
                match heard.recv_timeout(LOOK) {
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) if !watched.is_cancelled() => {}
                    Err(RecvTimeoutError::Timeout) => {
                        let signal = match asked {
                            // The only signal after which every version cleans up.
                            None => Signal::INT,
                            Some(since) if since.elapsed() > TIDY => Signal::KILL,
                            Some(_) => continue,
                        };
                        asked = asked.or_else(|| Some(Instant::now()));
                        kill_process(pid, signal).unwrap_or(());
                    }
                }
            }
        });
        Ok(Self { child, pid, watcher: Some((ended, watcher)), stop, said })
    }

    /// Its standard input.
    pub(super) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Stops it before it finishes.
    pub(super) fn abort(&self) {
        self.stop.cancel();
    }

    /// Waits until it ends.
    pub(super) fn wait(mut self) -> io::Result<Ended> {
        self.end()
    }

    fn end(&mut self) -> io::Result<Ended> {
        drop(self.child.stdin.take());
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.pid), options) {}
        if let Some((ended, watcher)) = self.watcher.take() {
            drop(ended);
            watcher.join().unwrap_or(());
        }
        let status = self.child.wait()?;
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Ok(Ended { status, said })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.watcher.is_some() {
            self.stop.cancel();
            drop(self.child.stdout.take());
            drop(self.end());
        }
    }
}

/// Reads its output, and keeps the beginning and the end.
fn listen(stderr: impl Read) -> String {
    let mut reader = BufReader::new(stderr);
    let (mut head, mut tail) = (String::new(), String::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(KEPT as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if head.len() + text.len() <= KEPT {
                    head.push_str(&text);
                } else {
                    tail.push_str(&text);
                    if tail.len() > 2 * KEPT {
                        let cut = tail.len() - KEPT;
                        let cut = (cut..tail.len()).find(|at| tail.is_char_boundary(*at)).unwrap_or(0);
                        tail.drain(..cut);
                    }
                }
            }
        }
    }
    head + &tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, interrupt: &CancellationToken) -> Running {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Running::start(command, Stdio::null(), interrupt).unwrap()
    }

    #[test]
    fn a_process_that_asks_for_something_gets_no_answer() {
        let ended = shell("read -r password || exit 5", &CancellationToken::new()).wait().unwrap();
        assert_eq!(ended.status.code(), Some(5));
    }

    #[test]
    fn what_it_says_and_how_it_ends_is_told() {
        let ended = shell("echo why >&2; exit 7", &CancellationToken::new()).wait().unwrap();
        assert_eq!((ended.status.code(), ended.said.as_str()), (Some(7), "why\n"));
    }

    #[test]
    fn a_process_ends_with_us_and_one_that_is_dropped_too() {
        let interrupt = CancellationToken::new();
        let running = shell("exec sleep 600", &interrupt);
        interrupt.cancel();
        assert!(!running.wait().unwrap().status.success());
        drop(shell("exec sleep 600", &CancellationToken::new()));
    }

    #[test]
    fn of_much_that_is_said_the_beginning_and_the_end_are_kept() {
        let text: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
        let kept = listen(text.as_bytes());
        assert!(kept.starts_with("line 0\n") && kept.ends_with("line 99999\n") && kept.len() < 4 * KEPT);
    }
}
