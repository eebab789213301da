//! A program (ours or another) that runs in the background and answers over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::sh::{Cmd, Context, Result};

const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A program that Prometheus can scrape, killed when it is dropped.
pub(crate) struct Daemon {
    pub(crate) name: String,
    address: SocketAddr,
    child: Child,
}

impl Daemon {
    /// Starts the command that `command` returns for a free address, and waits for the first scrape, which reads
    /// everything.
    pub(crate) fn start(name: &str, command: impl FnOnce(SocketAddr) -> Cmd) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.context("a free port")?;
        let mut command = command(address).into_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context(format!("cannot start {name}"))?;
        let mut server = Self { name: name.to_owned(), address, child };
        let began = Instant::now();
        while let Err(error) = server.get("/metrics") {
            if began.elapsed() > STARTS_WITHIN || !matches!(server.child.try_wait(), Ok(None)) {
                return Err(format!("{name} does not answer: {error}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// The body of the answer for `path`.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address).context(self.address)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).context(self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(self.address)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let line = head.lines().next().unwrap_or_default();
        if line.contains(" 200 ") {
            Ok(body.to_owned())
        } else {
            Err(format!("{} answered {line:?}", self.name))
        }
    }

    /// The current memory use.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let text = std::fs::read_to_string(&path).context(path.display())?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kibibytes.ok_or_else(|| format!("{}: has no VmRSS", path.display()))? * 1024)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
