//! One of our programs as a running server, such as the Qdrant stand-in, stopped when it is dropped.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::sh::{Cmd, Context, Result, lines_of};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// A program that is listening. It serves until its standard input closes, so it cannot outlive this program.
pub(crate) struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    /// Starts the Qdrant stand-in from the directory of the built programs, on a free port.
    pub(crate) fn stand_in(bin_dir: &Path, args: &[&str]) -> Result<Self> {
        let command = Cmd::new(bin_dir.join("qdrant-stand-in")).args(["--port", "0"]).args(args);
        Self::start("the Qdrant stand-in", command)
    }

    /// Starts `command`, called `what` in errors, and waits until it prints its address.
    pub(crate) fn start(what: &str, command: Cmd) -> Result<Self> {
        let mut command = command.into_command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context(format!("cannot start {what}"))?;
        let stdout = child.stdout.take().ok_or_else(|| format!("{what} has no standard output"))?;
        let lines = lines_of(stdout);
        let mut serving = Self { child, url: String::new() };
        let line = lines
            .recv_timeout(STARTS_WITHIN)
            .map_err(|_| format!("{what} stopped, or did not say where it listens"))?;
        let url = line.strip_prefix("listening on ");
        url.ok_or_else(|| format!("{what} said {line:?}, not where it listens"))?
            .trim()
            .clone_into(&mut serving.url);
        Ok(serving)
    }

    /// Its URL, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Serving {
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
