//! A real Prometheus, from Debian's package, started on a configuration of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::http;
use crate::running::eventually;

/// A running Prometheus, killed when it is dropped.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// A Prometheus that reads `prometheus.yml` in `directory`, keeps its data beside it, and listens on a free port of the
    /// loopback. Gives back once it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let prometheus = Self { child, address };
        eventually("Prometheus is ready", || is_ready(address));
        prometheus
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The series that a query gives now.
    ///
    /// # Panics
    /// When Prometheus refuses the query.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let mut stream = http::connect(self.address).expect("it listens");
        // HTTP/1.0, so that the answer comes in one piece.
        write!(stream, "GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().expect("a result").clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of the loopback that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

/// Whether a program of the Prometheus family answers that it is ready.
pub fn is_ready(address: SocketAddr) -> bool {
    let answer = http::connect(address).and_then(|mut stream| http::ask(&mut stream, "GET", "/-/ready", &[]));
    answer.is_ok_and(|answer| answer.status == 200)
}
