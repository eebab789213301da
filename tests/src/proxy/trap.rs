//! Another host that must never receive a request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// An address that no stand-in of a cluster uses.
const HOST: [u8; 4] = [127, 0, 0, 99];
/// Maximum time to wait for a request on a connection.
const LISTENING: Duration = Duration::from_secs(1);

/// Answers and records every request.
pub struct Trap {
    address: SocketAddr,
    caught: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Trap {
    /// A trap on a free port.
    ///
    /// # Panics
    /// When no port is available.
    pub fn set() -> Self {
        let listener = TcpListener::bind((std::net::Ipv4Addr::from(HOST), 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (caught, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let trap = Self { address, caught: Arc::clone(&caught), over: Arc::clone(&over) };
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                drop(stream.set_read_timeout(Some(LISTENING)));
                let mut said = [0; 16 << 10];
                let length = stream.read(&mut said).unwrap_or(0);
                let text = String::from_utf8_lossy(&said[..length]).into_owned();
                caught.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                drop(
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"),
                );
            }
        });
        trap
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests it received.
    pub fn caught(&self) -> Vec<String> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Makes the thread end.
        drop(TcpStream::connect(self.address));
    }
}
