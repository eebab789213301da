//! A server of the Prometheus family, from Debian's packages.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::http;
use crate::running::eventually;

/// A running server, killed when it is dropped.
pub struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts `program` with `arguments` on a free loopback port and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(program: &str, arguments: &[String]) -> Self {
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let daemon = Self { child, address };
        eventually(&format!("{program} is ready"), || is_ready(address));
        daemon
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A loopback address that nothing listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

fn is_ready(address: SocketAddr) -> bool {
    let answer = http::connect(address).and_then(|mut stream| http::ask(&mut stream, "GET", "/-/ready", &[]));
    answer.is_ok_and(|answer| answer.status == 200)
}
