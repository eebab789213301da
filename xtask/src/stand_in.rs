//! The Qdrant stand-in as a running server, stopped when it is dropped.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::sh::{Cmd, Context, Result};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// A stand-in that is listening. It serves until its standard input closes, so it cannot outlive this program.
pub(crate) struct StandIn {
    child: Child,
    url: String,
}

impl StandIn {
    /// Starts the stand-in from the directory of the built programs, on a free port.
    pub(crate) fn start(bin_dir: &Path, args: &[&str]) -> Result<Self> {
        let mut command =
            Cmd::new(bin_dir.join("qdrant-stand-in")).args(["--port", "0"]).args(args).into_command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the Qdrant stand-in")?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // The thread goes on reading, so that the stand-in can never block on a full pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                    drop(sender.send(line));
                }
            });
        }
        let mut stand_in = Self { child, url: String::new() };
        let line = receiver
            .recv_timeout(STARTS_WITHIN)
            .map_err(|_| "the Qdrant stand-in stopped, or did not say where it listens".to_owned())?;
        let url = line.strip_prefix("listening on ");
        url.ok_or_else(|| format!("the Qdrant stand-in said {line:?}, not where it listens"))?
            .trim()
            .clone_into(&mut stand_in.url);
        Ok(stand_in)
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        while asked.elapsed() < STOPS_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
